"""One file of records: locked while it is written, on the disk within a second."""

from __future__ import annotations

import io
import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from birdcli.errors import ErrorCode, OutputError
from birdcli.files import atomic_writer, sync_folder
from birdcli.outside_text import visible_text
from birdcli.writer import FULL_DISK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SYNC_S: Final = 1.0


class SyncedFile(io.RawIOBase):
    """Appends to a descriptor, and syncs it every second from a thread of its own.

    An error of a sync is raised by the next write or at the end: what was written since the last
    one may be lost then.
    """

    def __init__(self, descriptor: int, *, every_s: float = _SYNC_S) -> None:
        """Takes over the descriptor."""
        super().__init__()
        self._descriptor = descriptor
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._error: OSError | None = None
        self._every_s = every_s
        self._thread = threading.Thread(target=self._sync_often, name="birdcli-sync", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._descriptor

    def write(self, data: object) -> int:
        """Writes what the system takes at once; see `io.RawIOBase.write`."""
        if self._error is not None:
            raise self._error
        written = os.write(self._descriptor, cast("memoryview", data))
        self._dirty.set()
        return written

    def close(self) -> None:
        """Syncs and closes."""
        if self.closed:
            return
        super().close()
        self._closing.set()
        self._dirty.set()
        self._thread.join()
        try:
            if self._error is not None:
                raise self._error
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def _sync_often(self) -> None:
        while not self._closing.wait(self._every_s):
            self._dirty.wait()
            self._dirty.clear()
            try:
                os.fsync(self._descriptor)
            except OSError as err:
                self._error = err
                return


def open_stream(path: Path) -> BinaryIO:
    """Opens a pipe, a device or a socket for records, unbuffered.

    Raises:
        OutputError: ``output.unwritable``.
    """
    try:
        return path.open("wb", buffering=0)
    except OSError as err:
        raise unwritable(path, err) from err


def is_stream(path: Path) -> bool:
    """Tells whether a path leads to something that is neither a file nor a folder."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def open_records(path: Path) -> int:
    """Opens a file of records for reading and appending, locked, made if it is missing.

    Raises:
        OutputError: ``output.in_use``, ``output.unwritable`` or ``output.disk_full``.
    """
    while True:
        try:
            new = not path.exists()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as err:
            raise unwritable(path, err) from err
        _make_ours(path, descriptor, new=new)
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)  # another run put a new file in its place before we had the lock


@contextmanager
def rewritten(path: Path, locks: list[int]) -> Iterator[IO[bytes]]:
    """Opens a sibling that becomes `path`, whole, synced, with its mode and locked all along.

    Args:
        path: The file, no link to it.
        locks: Gets the descriptor that holds the lock and writes at the end of the new file.

    Raises:
        OSError: The folder cannot be written.
    """
    with atomic_writer(path) as out:
        os.fchmod(out.fileno(), path.stat().st_mode & 0o777)
        _lock(out.fileno(), path)  # before it has the name by which others find it
        yield out
        out.flush()
        held = os.dup(out.fileno())
    locks.append(held)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _make_ours(path: Path, descriptor: int, *, new: bool) -> None:
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise unwritable(path, IsADirectoryError(0, "It is no file"))
        _lock(descriptor, path)
        if new:
            with suppress(OSError):  # a folder that cannot be synced; the file can be used
                sync_folder(path.parent)
    except BaseException:
        os.close(descriptor)
        raise


def unwritable(path: Path, err: OSError) -> OutputError:
    """Returns why a file cannot be made or changed."""
    missing = isinstance(err, FileNotFoundError)
    return OutputError(
        ErrorCode.OUTPUT_DISK_FULL if err.errno in FULL_DISK else ErrorCode.OUTPUT_UNWRITABLE,
        f"{visible_text(str(path))} cannot be written: {err.strerror}",
        hint="Its folder does not exist: create it first." if missing else "",
        path=str(path),
    )


def _lock(descriptor: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: two runs into one file are the user's to avoid
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise OutputError(
            ErrorCode.OUTPUT_IN_USE,
            f"another run is writing {visible_text(str(path))}",
            hint="Wait for it, or choose another --output.",
            path=str(path),
        ) from err
    except OSError:  # a file system without locks
        return
