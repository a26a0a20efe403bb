"""Crash-safe file writes."""

from __future__ import annotations

import os
import re
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Makes renames inside a folder durable; systems that cannot sync folders need not."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Makes a folder durable with all that is in it, before it is renamed to where it counts."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Opens a sibling temporary file that becomes `path`, whole and synced, or nothing at all.

    Whoever may read other new files of this user may read it: a registry that one user fills is
    often used by others.

    Raises:
        OSError: The folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with temporary.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def remove_leftovers(paths: Sequence[Path]) -> None:
    """Removes what `atomic_writer` left when it was killed; only for who alone writes the files.

    Args:
        paths: What was being written, all in one folder.

    Raises:
        OSError: The folder cannot be read or written.
    """
    names = "|".join(re.escape(path.name) for path in paths)
    ours = re.compile(rf"\.(?:{names})\.[0-9a-f]{{12}}\.tmp")
    folder = paths[0].parent
    with os.scandir(folder) as entries:
        left = [entry.name for entry in entries if ours.fullmatch(entry.name)]
    for name in left:
        (folder / name).unlink(missing_ok=True)
