"""A real file system that runs full, at every amount of free space."""

from __future__ import annotations

import shutil

from birdcli.errors import ErrorCode, ModelError
from scripts.registry_proof.faults import find_litter, read_state
from scripts.registry_proof.operations import OPERATIONS, prepare
from scripts.registry_proof.placeholder import open_registry
from scripts.small_disk import fill, small_file_system

_PAGES = 512


def run_full(*, every: int) -> tuple[int, list[str]] | None:
    """Makes changes with hardly any space left, one page more each time, until they succeed.

    Args:
        every: Tries each n-th amount only.

    Returns:
        How often a change was refused, and what was wrong; None where no file system can be
        mounted.
    """
    refused, problems = 0, []
    with small_file_system(pages=_PAGES) as folder:
        if folder is None:
            return None
        for name in ("add", "promote", "remove"):
            for free_pages in range(0, 40, every):
                home = folder / "home"
                prepare(home)
                before = read_state(home)
                ballast = fill(folder, free_pages=free_pages)
                try:
                    OPERATIONS[name](open_registry(home))
                    done = True
                except ModelError as err:
                    done = False
                    refused += 1
                    if err.code is not ErrorCode.MODEL_UNWRITABLE or "full" not in err.message:
                        problems.append(f"{name}, {free_pages} pages free: {err.message}")
                after = read_state(home)
                if not done and after != before:
                    problems.append(f"{name}, {free_pages} pages free: refused, yet changed")
                if done and after == before:
                    problems.append(f"{name}, {free_pages} pages free: failed without a word")
                ballast.unlink()
                OPERATIONS["keep proof"](open_registry(home))
                problems += [f"{name}, left behind: {path}" for path in find_litter(home)]
                shutil.rmtree(home)
                if done:
                    break
    return refused, problems
