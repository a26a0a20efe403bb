"""Own descriptors for records and for people; what libraries write to 1 and 2 goes to the log.

libtiff, libjpeg and TensorFlow write straight to file descriptors. A line of theirs among the
records would break whoever reads them, so while images are classified descriptors 1 and 2 lead
into a pipe whose lines are logged at debug level.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger("birdcli.libraries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Where a command writes.

    Attributes:
        records: Unbuffered, the real standard output.
        people: Line-buffered text, the real standard error.
    """

    records: BinaryIO
    people: IO[str]

    def given(self, number: int) -> int:
        """Returns a new descriptor of what the caller of this process gave it as `number`.

        Raises:
            OSError: Nothing was given by that number, or nothing that can be written.
        """
        real = {1: self.records.fileno(), 2: self.people.fileno()}.get(number, number)
        # Ours are not inherited by children, and what we were given was.
        if real == number and not os.get_inheritable(number):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if number not in (1, 2) and _is_for_reading(number):
            raise OSError(errno.EBADF, "it is open for reading only")
        return os.dup(real)


def _is_for_reading(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows, where writing to it will tell
        return False
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY


class _PeopleStream(io.TextIOWrapper):
    """Standard error; a full disk or a closed terminal behind it costs words, never records."""

    def write(self, text: str) -> int:
        """Writes what can be written."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes what can be flushed."""
        with suppress(OSError):
            super().flush()

    def close(self) -> None:
        """Closes the descriptor, whatever did not reach it."""
        with suppress(OSError):
            super().close()


def open_missing_streams() -> None:
    """Fills the places of standard streams that the caller closed (`>&-`).

    The next file that is opened would get their numbers. Writing records to a closed stdout has to
    fail, so its place is taken by a descriptor that cannot be written.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "wb", closefd=False), write_through=True)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "wb", closefd=False), write_through=True)


def tolerate_lost_stderr() -> None:
    """Makes `sys.stderr` forgive a full disk or a closed terminal: the exit code still tells."""
    sys.stderr = _PeopleStream(
        io.BufferedWriter(io.FileIO(2, "wb", closefd=False)),
        encoding=sys.stderr.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def _log_lines(descriptor: int) -> None:
    with open(descriptor, "rb", buffering=0) as pipe:
        rest = b""
        while chunk := pipe.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                _log.debug("%s", line.decode(errors="replace"))
            rest = rest[-65536:]


@contextmanager
def protected_streams() -> Iterator[Streams]:
    """Gives the real descriptors to us alone, until the block ends.

    Python's own `sys.stdout` and `sys.stderr` write to the real standard error meanwhile, so that
    a traceback is seen and a stray `print` does no harm.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    records_descriptor, people_descriptor = os.dup(1), os.dup(2)
    read_end, write_end = os.pipe()
    # A library that writes while it holds the interpreter must not wait for our reader.
    os.set_blocking(write_end, False)
    os.dup2(write_end, 1)
    os.dup2(write_end, 2)
    os.close(write_end)
    reader = threading.Thread(
        target=_log_lines, args=(read_end,), name="birdcli-libraries", daemon=True
    )
    reader.start()
    records = io.FileIO(records_descriptor, "wb")
    people = _PeopleStream(
        io.BufferedWriter(io.FileIO(people_descriptor, "wb")),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = people
    try:
        yield Streams(records=records, people=people)
    finally:
        sys.stdout, sys.stderr = before
        people.flush()
        os.dup2(records_descriptor, 1)  # this also closes the pipe's last writers
        os.dup2(people_descriptor, 2)
        reader.join(timeout=1.0)
        records.close()
        people.close()
