"""The folder of partial files: one user per file, and nothing in it for ever."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import filelock

from birdcli.hashing import sha256_of_bytes
from birdcli.models.partials import open_beside, open_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from birdcli.models.partials import Partial

# `.<name>.<random>.tmp` is what a checkpoint leaves behind that was killed while it was written.
_OURS: Final = re.compile(r"\.?([0-9a-f]{64})\.(?:part|json|lock)(?:\.\w+\.tmp)?")


@contextmanager
def open_partial(
    source: str,
    destination: Path,
    folder: Path | None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Partial]:
    """Opens the file for the bytes of a source, with those that came earlier.

    Afterwards it is placed, or kept to be continued, or gone. While another process downloads the
    same source, and wherever the folder cannot be used, the file starts empty and is not kept.

    Args:
        source: As the user gave it: what it redirects to may change every time.
        destination: Where the file is to be placed; files that are not kept are made beside it.
        folder: Of the files that are kept, made if need be; None keeps nothing.
        clock: Seconds, for the pace of checkpoints.

    Raises:
        OSError: No file can be made.
    """
    with _lock(folder, sha256_of_bytes(source.encode(errors="surrogatepass"))) as kept:
        partial = None
        if kept is not None:
            with suppress(OSError):
                partial = open_kept(kept, clock)
        if partial is None:
            partial = open_beside(destination)
        try:
            yield partial
        finally:
            partial.close()


@contextmanager
def _lock(folder: Path | None, key: str) -> Iterator[Path | None]:
    """Gives the path of a partial file that is ours alone, or None."""
    lock = None if folder is None else _try_lock(folder, key)
    if folder is None or lock is None:
        yield None
        return
    path = folder / f"{key}.part"
    try:
        yield path
    finally:
        _unlock(lock, path)


def _try_lock(folder: Path, key: str) -> filelock.BaseFileLock | None:
    path = folder / f"{key}.lock"
    lock = filelock.FileLock(path, timeout=0)
    try:
        if folder.is_symlink():
            return None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        lock.acquire()
    except (OSError, filelock.Timeout):
        return None
    return lock


def _unlock(lock: filelock.BaseFileLock, path: Path) -> None:
    if not os.path.lexists(path):
        with suppress(OSError):
            Path(lock.lock_file).unlink()  # while it is held: whoever waits for it notices
    lock.release()


def sweep_partials(folder: Path, older_than_s: float, now_s: float) -> int:
    """Removes partial files that nobody has continued for a while and nobody is filling.

    Args:
        folder: That of `open_partial`; it need not exist. Files that are not ours stay.
        older_than_s: How long nobody has written to them, at least, in seconds.
        now_s: Seconds since 1970.

    Returns:
        The bytes that were freed.
    """
    files: dict[str, list[Path]] = {}
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            match = _OURS.fullmatch(path.name)
            if match is not None:
                files.setdefault(match[1], []).append(path)
    written_before_s = now_s - older_than_s
    return sum(_sweep(folder, key, paths, written_before_s) for key, paths in files.items())


def _sweep(folder: Path, key: str, paths: list[Path], written_before_s: float) -> int:
    freed = 0
    with suppress(OSError):  # somebody else was quicker
        if any(path.lstat().st_mtime > written_before_s for path in paths):
            return 0
    with _lock(folder, key) as kept:
        for path in paths if kept is not None else ():
            with suppress(OSError):
                size = path.lstat().st_size
                path.unlink()
                freed += size
    return freed
