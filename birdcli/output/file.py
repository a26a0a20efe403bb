"""One file of records: locked while it is written, on the disk within a second."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from birdcli.errors import ErrorCode, OutputError
from birdcli.files import atomic_writer, remove_leftovers, sync_folder
from birdcli.output.destination import unwritable
from birdcli.outside_text import visible_text
from birdcli.writer import UnsyncedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_SYNC_S: Final = 1.0
# Without blocking: whoever put a pipe there since we looked must not make us wait for its reader.
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK


class SyncedFile(io.RawIOBase):
    """Appends to a descriptor, and syncs it every second from a thread of its own.

    An error of a sync is raised by the next write or at the end, with the lines that an earlier
    sync has saved: what was written since then may be lost.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        before_first: Callable[[], object] = lambda: None,
        every_s: float = _SYNC_S,
    ) -> None:
        """Takes over the descriptor; `before_first` is called before the first write."""
        super().__init__()
        self._descriptor = descriptor
        self._before_first: Callable[[], object] | None = before_first
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._error: OSError | None = None
        self._lines = self._saved_lines = 0
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
        if self._before_first is not None:
            self._before_first()
            self._before_first = None
        view = cast("memoryview", data)
        written = os.write(self._descriptor, view)
        self._lines += bytes(view[:written]).count(b"\n")
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
            if self._error is None:
                self._sync()
            if self._error is not None:
                raise self._error
        finally:
            os.close(self._descriptor)

    def _sync_often(self) -> None:
        while self._error is None and not self._closing.wait(self._every_s):
            self._dirty.wait()
            self._dirty.clear()
            self._sync()

    def _sync(self) -> None:
        lines = self._lines
        try:
            os.fsync(self._descriptor)
        except OSError as err:
            self._error = UnsyncedError(err, self._saved_lines)
        else:
            self._saved_lines = lines


def open_stream(path: Path) -> BinaryIO:
    """Opens a pipe, a device or a socket for records, unbuffered.

    Raises:
        OutputError: ``output.unwritable``.
    """
    try:
        return path.open("wb", buffering=0)
    except OSError as err:
        raise unwritable(path, err) from err


def open_records(path: Path, *, beside: Sequence[Path] = ()) -> int:
    """Opens a file of records for reading and appending, locked, made if it is missing.

    What a killed run left of new versions of it, or of the files beside it, is removed.

    Raises:
        OutputError: ``output.in_use``, ``output.unwritable`` or ``output.disk_full``.
    """
    while True:
        try:
            new = not os.path.lexists(path)
            descriptor = os.open(path, _FLAGS, 0o666)
        except OSError as err:
            raise unwritable(path, err) from err
        _make_ours(path, descriptor, beside, new=new)
        if is_still(path, descriptor):
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


def is_still(path: Path, descriptor: int) -> bool:
    """Tells whether a path names the file that was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _make_ours(path: Path, descriptor: int, beside: Sequence[Path], *, new: bool) -> None:
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise unwritable(path, OSError(errno.EINVAL, "it is no file"))
        locked = _lock(descriptor, path)
        if new:
            with suppress(OSError):  # a folder that cannot be synced; the file can be used
                sync_folder(path.parent)
        if locked:  # else another run may be writing one of these
            with suppress(OSError):
                remove_leftovers([path, *beside])
    except BaseException:
        os.close(descriptor)
        raise


def _lock(descriptor: int, path: Path) -> bool:
    """Tells whether the system could lock the file."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs into one file are the user's to avoid
        return False
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
        return False
    return True
