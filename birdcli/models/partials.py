"""A file that is being downloaded, with what it takes to continue it later."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from birdcli.errors import ErrorCode, ModelError
from birdcli.files import atomic_writer, sync_folder
from birdcli.models.editions import Edition  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable

_CHECKPOINT_BYTES: Final = 1 << 22
_CHECKPOINT_S: Final = 1.0
_LARGEST_STATE_BYTES: Final = 4096


class _State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the bytes of a partial file.

    Attributes:
        key: Digest of the source, so that a renamed file is not taken for another one's.
        count: How many bytes are synced; what follows them does not count.
        edition: Of which file they are the beginning.
    """

    key: str
    count: int
    edition: Edition


class Partial:
    """The file that the bytes of one source go into; its faults are told from the network's.

    Attributes:
        edition: Which file the bytes belong to, or None if they cannot be continued.
        count: How many bytes there are.
    """

    def __init__(
        self,
        raw: io.FileIO,
        path: Path,
        state_path: Path | None = None,
        *,
        known: _State | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes over an open file.

        Args:
            raw: The file, open for writing.
            path: Where it is.
            state_path: Where to keep what is needed to continue it later; None keeps nothing.
            known: What is known of its bytes; the others are cut off.
            clock: Seconds, for the pace of checkpoints.
        """
        self._out = io.BufferedWriter(raw)
        self._path = path
        self._state_path = state_path
        self._clock = clock
        self._saved = 0
        self._saved_at_s = clock()
        self.edition: Edition | None = None
        self.count = 0
        if known is not None:
            # A whole file that was not put in its place is asked for its last byte: one case less.
            whole = known.edition.length is not None and known.count >= known.edition.length
            self.count = known.count - 1 if whole else known.count
            self.edition = known.edition if self.count > 0 else None
            self._saved = self.count
            self._out.seek(self.count)
            self._out.truncate()

    @property
    def beginning_of(self) -> Edition | None:
        """Which file these bytes can be continued to; None if there are none or it is unknown."""
        return self.edition if self.count > 0 else None

    def restart(self, edition: Edition | None = None) -> None:
        """Throws all bytes away; those that follow belong to `edition`.

        Raises:
            ModelError: ``model.unwritable``.
        """
        try:
            if self._state_path is not None:
                # Before the first new byte, and durably: old words must never describe new bytes.
                self._state_path.unlink(missing_ok=True)
                sync_folder(self._state_path.parent)
            self._out.seek(0)
            self._out.truncate()
        except OSError as err:
            raise self._broken(err) from err
        self.edition = edition
        self.count = self._saved = 0
        self._saved_at_s = self._clock()

    def write(self, chunk: bytes) -> None:
        """Adds bytes, and syncs every second or 4 MiB, so that a killed process can continue.

        Raises:
            ModelError: ``model.unwritable``.
        """
        try:
            self._out.write(chunk)
            self.count += len(chunk)
            if (
                self.count - self._saved >= _CHECKPOINT_BYTES
                or self._clock() - self._saved_at_s >= _CHECKPOINT_S
            ):
                self._checkpoint()
        except OSError as err:
            raise self._broken(err) from err

    def place(self, destination: Path) -> None:
        """Makes the file, whole and synced, `destination`.

        Raises:
            ModelError: ``model.unwritable``.
        """
        try:
            self._sync()
            self._out.close()  # Windows renames no open file
            self._path.replace(destination)
            if self._state_path is not None:
                self._state_path.unlink(missing_ok=True)
            sync_folder(destination.parent)
        except OSError as err:
            raise self._broken(err, destination) from err

    def close(self) -> None:
        """Keeps what can be continued and removes what cannot."""
        if self._out.closed:
            return
        if self._state_path is None or self.beginning_of is None:
            self._discard()
            return
        with suppress(OSError):  # the last checkpoint holds
            self._checkpoint()
        with suppress(OSError):
            self._out.close()

    def _checkpoint(self) -> None:
        if self._state_path is not None and self.edition is not None:
            self._sync()
            state = _State(key=self._path.stem, count=self.count, edition=self.edition)
            with atomic_writer(self._state_path) as out:
                out.write(msgspec.json.encode(state))
        self._saved = self.count
        self._saved_at_s = self._clock()

    def _sync(self) -> None:
        self._out.flush()
        os.fsync(self._out.fileno())

    def _broken(self, err: OSError, path: Path | None = None) -> ModelError:
        self._discard()  # also gives a full disk its space back
        return unwritable(err, path or self._path)

    def _discard(self) -> None:
        with suppress(OSError):  # what is still buffered may not fit on a full disk
            self._out.close()
        for path in (self._state_path, self._path):
            if path is not None:
                with suppress(OSError):
                    path.unlink()


def unwritable(err: OSError, path: Path) -> ModelError:
    """Returns the error for a file that cannot be written."""
    return ModelError(
        ErrorCode.MODEL_UNWRITABLE,
        f"{path} cannot be written: {err.strerror or err}",
        path=str(path),
    )


def open_beside(destination: Path) -> Partial:
    """Opens an empty file beside `destination` that is not kept.

    Raises:
        OSError: No file can be made.
    """
    descriptor, name = tempfile.mkstemp(
        prefix=f".{destination.name}.", suffix=".tmp", dir=destination.parent
    )
    return Partial(io.FileIO(descriptor, "w"), Path(name))


def open_kept(path: Path, clock: Callable[[], float]) -> Partial:
    """Opens a file that is kept, with the bytes that came earlier.

    Links and whatever else is in its place are replaced, never followed.

    Args:
        path: Where it is or will be; nobody else may use it meanwhile.
        clock: Seconds, for the pace of checkpoints.

    Raises:
        OSError: No file can be made.
    """
    state_path = path.with_suffix(".json")
    known = _load_state(path, state_path)
    if known is None:
        for old in (state_path, path):
            old.unlink(missing_ok=True)
        raw = io.FileIO(path, "x", opener=_open_no_link)
    else:
        raw = io.FileIO(path, "r+", opener=_open_no_link)
    return Partial(raw, path, state_path, known=known, clock=clock)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _load_state(path: Path, state_path: Path) -> _State | None:
    """Returns what is known of a partial file, None if it does not hold what it should."""
    try:
        if not (_is_own_file(path) and _is_own_file(state_path)):
            return None
        if state_path.stat().st_size > _LARGEST_STATE_BYTES:
            return None
        state = msgspec.json.decode(state_path.read_bytes(), type=_State)
        size = path.stat().st_size
    except (OSError, msgspec.DecodeError, ValueError, RecursionError):
        return None
    return state if state.key == path.stem and 0 < state.count <= size else None


def _is_own_file(path: Path) -> bool:
    """Tells whether this is a regular file that has no other name; writing it changes no other."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
