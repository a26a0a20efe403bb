"""A real file system that runs full, at every amount of free space."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, ModelError
from scripts.registry_proof.faults import find_litter, read_state
from scripts.registry_proof.operations import OPERATIONS, prepare
from scripts.registry_proof.placeholder import open_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE_BYTES = 4096
_PAGES = 512


@contextmanager
def small_file_system() -> Iterator[Path | None]:
    """Mounts 2 MB of memory as a file system; gives None where that is not allowed."""
    with tempfile.TemporaryDirectory() as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_PAGES * _PAGE_BYTES}", "tmpfs", name]
        allowed = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount") is not None
        if not allowed or subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def _fill(folder: Path, *, free_pages: int) -> None:
    """Leaves so many pages of a file system free."""
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(_PAGE_BYTES))
        except OSError:
            ballast.truncate(ballast.tell() // _PAGE_BYTES * _PAGE_BYTES - free_pages * _PAGE_BYTES)


def run_full(*, every: int) -> tuple[int, list[str]] | None:
    """Makes changes with hardly any space left, one page more each time, until they succeed.

    Args:
        every: Tries each n-th amount only.

    Returns:
        How often a change was refused, and what was wrong; None where no file system can be
        mounted.
    """
    refused, problems = 0, []
    with small_file_system() as folder:
        if folder is None:
            return None
        for name in ("add", "promote", "remove"):
            for free_pages in range(0, 40, every):
                home = folder / "home"
                prepare(home)
                before = read_state(home)
                _fill(folder, free_pages=free_pages)
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
                (folder / "ballast").unlink()
                OPERATIONS["keep proof"](open_registry(home))
                problems += [f"{name}, left behind: {path}" for path in find_litter(home)]
                shutil.rmtree(home)
                if done:
                    break
    return refused, problems
