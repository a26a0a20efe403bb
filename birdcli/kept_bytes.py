"""Encoded pictures in a folder, named by their digest, the least recently used going first.

A database takes several times as long for values of this size. Names are digests and every file is
hashed when it is read, so a file that a crash or somebody else has left is no danger.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from birdcli.hashing import sha256_of_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOG: Final = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_PARTIAL: Final = re.compile(r"[0-9a-f]{64}\.\d+-\d+\.part")
# Another run may be writing it at this moment.
_ABANDONED_AFTER_S: Final = 60.0
# Looking through the folder costs more than one picture: room is made for many.
_KEPT_SHARE: Final = 0.9
_READ_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a planted FIFO would make us wait
    | getattr(os, "O_BINARY", 0)
)
_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class KeptBytes:
    """Implements `ByteStore`; for any thread, and for several processes at once.

    Whatever is wrong with it costs one warning, after which nothing more is kept. That somebody
    clears it is nothing wrong.
    """

    def __init__(self, folder: Path, *, room: Callable[[], int], keep: bool) -> None:
        """Belongs to a folder, made by the first picture inside one that is private.

        Args:
            folder: Holds nothing else.
            room: Returns the bytes that pictures may take by now.
            keep: Whether pictures are added; else only what is there is read.
        """
        self._folder = folder
        self._room = room
        self._keep = keep
        self._lock = threading.Lock()
        self._used: int | None = None

    def has(self, sha256: str) -> bool:
        """Tells whether there is a picture of this name."""
        try:
            return stat.S_ISREG(self._path(sha256).lstat().st_mode)
        except OSError:
            return False

    def get(self, sha256: str) -> bytes | None:
        """Returns the bytes, or None; damaged ones are removed."""
        path = self._path(sha256)
        try:
            with os.fdopen(os.open(path, _READ_FLAGS), "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size > self._room():
                    return None
                data = file.read()
            if sha256_of_bytes(data) != sha256:
                path.unlink(missing_ok=True)
                return None
            _touch(path)
        except OSError:
            return None
        return data

    @property
    def keeps(self) -> bool:
        """Whether pictures are added."""
        return self._keep

    def put(self, sha256: str, data: bytes) -> None:
        """Keeps a picture, and lets go of others where room is needed."""
        if not self._keep:
            return
        try:
            try:
                self._put(sha256, data)
            except FileNotFoundError:  # `clear`, perhaps of another process, was in between
                with self._lock:
                    self._used = None
                self._put(sha256, data)
        except OSError as err:
            self._give_up(err.strerror or type(err).__name__)

    def count(self) -> tuple[int, int]:
        """Returns how many pictures there are, and the bytes they take."""
        sizes = [status.st_size for _, status in self._files()]
        return len(sizes), sum(sizes)

    def clear(self) -> int:
        """Removes every picture and returns how many; leaves what is not ours."""
        removed = 0
        for path, _ in self._files():
            path.unlink(missing_ok=True)
            removed += 1
        self._remove_partials(older_than_s=0.0)
        with suppress(OSError):  # not there, or not empty
            self._folder.rmdir()
        with self._lock:
            self._used = None
        return removed

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256

    def _put(self, sha256: str, data: bytes) -> None:
        path = self._path(sha256)
        self._prepare()
        if self.has(sha256):
            _touch(path)
        elif len(data) <= self._room():
            partial = path.with_name(f"{sha256}.{os.getpid()}-{threading.get_ident()}.part")
            try:
                with os.fdopen(os.open(partial, _WRITE_FLAGS, 0o600), "wb", buffering=0) as file:
                    written = file.write(data)
                    if written != len(data):  # a disk that fills up takes a part
                        written += file.write(data[written:])
                partial.replace(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            self._count(len(data))

    def _prepare(self) -> None:
        with self._lock:
            if self._used is not None:
                return
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if not stat.S_ISDIR(self._folder.lstat().st_mode):
                raise OSError(errno.ENOTDIR, "it is no folder of its own")
            self._remove_partials(older_than_s=_ABANDONED_AFTER_S)
            self._used = sum(status.st_size for _, status in self._files())
            self._make_room()

    def _count(self, size: int) -> None:
        with self._lock:
            if self._used is not None:
                self._used += size
            self._make_room()

    def _make_room(self) -> None:
        """Removes what was not used for longest; other processes' pictures are seen here."""
        room = self._room()
        if self._used is None or self._used <= room:
            return
        files = sorted(self._files(), key=lambda file: file[1].st_mtime_ns)
        used = sum(status.st_size for _, status in files)
        for path, status in files:
            if used <= room * _KEPT_SHARE:
                break
            path.unlink(missing_ok=True)
            used -= status.st_size
        self._used = used

    def _files(self, name: re.Pattern[str] = _NAME) -> Iterator[tuple[Path, os.stat_result]]:
        if not self._folder.is_dir() or self._folder.is_symlink():
            return
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # another run has removed it
                        yield self._folder / entry.name, entry.stat(follow_symlinks=False)

    def _remove_partials(self, *, older_than_s: float) -> None:
        now_s = time.time()
        for path, status in self._files(_PARTIAL):
            if now_s - status.st_mtime >= older_than_s:
                path.unlink(missing_ok=True)

    def _give_up(self, reason: str) -> None:
        with self._lock:
            told, self._keep = not self._keep, False
        if not told:
            _LOG.warning("No more pictures are kept in %s: %s", self._folder, reason)


def _touch(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)
