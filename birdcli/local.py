"""Local files as encoded bytes."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, SourceError
from birdcli.hashing import sha256_of_bytes
from birdcli.items import FetchedImage, Stage
from birdcli.sources import local_path, source_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.items import ImageRef, Timings

_MORE_BYTES: Final = 1_048_576

# A file may turn into a FIFO between a look at it and opening it: never wait for a writer.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
)


class LocalReader:
    """Reads files of a bounded size; implements `FileReader`."""

    def __init__(self, *, max_bytes: int, clock: Callable[[], float] = time.perf_counter) -> None:
        """Opens nothing yet.

        Args:
            max_bytes: Largest file that is read.
            clock: Seconds of the clock the timings are marked with.
        """
        self._max_bytes = max_bytes
        self._clock = clock

    def read(self, ref: ImageRef, timings: Timings) -> FetchedImage:
        """Returns the bytes of a file, with the queue and fetch stages marked.

        Args:
            ref: The input, of kind FILE.
            timings: Its timings, started and not yet marked.

        Raises:
            SourceError: See `read_file`.
        """
        timings = timings.mark(Stage.QUEUE, self._clock())
        try:
            data = read_file(local_path(ref.source), max_bytes=self._max_bytes)
        except SourceError as err:
            err.queued_until_s = timings.marks[-1][1]
            raise
        sha256 = sha256_of_bytes(data)
        timings = timings.mark(Stage.FETCH, self._clock())
        return FetchedImage(ref=ref, data=data, sha256=sha256, timings=timings)


def read_file(path: str, *, max_bytes: int) -> bytes:
    """Returns the content of a regular file; nothing else is opened or waited for.

    Args:
        path: The file; bytes that are no UTF-8 as surrogate escapes.
        max_bytes: Largest content.

    Raises:
        SourceError: ``source.not_found``, ``source.permission``, ``source.not_a_file``,
            ``source.too_large``, ``source.empty``, or ``source.unreadable`` for what else the
            system says, with its name in `errno`.
    """
    try:
        data = _read(os.fsencode(path), max_bytes)
    except OSError as err:
        raise source_error(err) from err
    except ValueError as err:  # NUL, or half a character
        raise SourceError(ErrorCode.SOURCE_NOT_FOUND, "No file can have this name") from err
    if not data:
        raise SourceError(ErrorCode.SOURCE_EMPTY, "The file is empty")
    return data


def _read(path: bytes, max_bytes: int) -> bytes:
    # Before it is opened, as opening a device or a FIFO may have effects of its own.
    _verify_regular(os.stat(path))  # noqa: PTH116 - pathlib takes no bytes
    descriptor = os.open(path, _FLAGS)
    try:
        found = os.fstat(descriptor)
        _verify_regular(found)
        if found.st_size > max_bytes:
            raise _too_large(found.st_size, max_bytes)
        return _read_all(descriptor, found.st_size, max_bytes)
    finally:
        os.close(descriptor)


def _verify_regular(found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "a device")
    raise SourceError(ErrorCode.SOURCE_NOT_A_FILE, f"This is {kind}, not a file", kind=kind)


def _read_all(descriptor: int, expected_bytes: int, max_bytes: int) -> bytes:
    """Reads to the end, which a file that grows meanwhile moves."""
    parts: list[bytes] = []
    size = 0
    wanted = expected_bytes + 1
    while part := os.read(descriptor, wanted):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise _too_large(size, max_bytes)
        wanted = _MORE_BYTES
    return b"".join(parts)


def _too_large(size: int, max_bytes: int) -> SourceError:
    return SourceError(
        ErrorCode.SOURCE_TOO_LARGE,
        f"The file is larger than {max_bytes:,} {'byte' if max_bytes == 1 else 'bytes'}",
        hint="Raise --max-bytes.",
        bytes=size,
        max_bytes=max_bytes,
    )
