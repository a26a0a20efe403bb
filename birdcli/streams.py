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
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from birdcli.masking import masked_message
from birdcli.unhurried import UnhurriedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger("birdcli.libraries")

_ERASE_LINE: Final = "\r\x1b[2K"


class _ForgivingStream(io.TextIOWrapper):
    """Standard error; a full disk or a closed terminal behind it costs words, never records.

    What others print, such as Typer about a command line or Python about a bug, shows no passwords
    either.

    Attributes:
        line_below: Whether the last line of the terminal is drawn again and again.
    """

    line_below = False

    def write(self, text: str) -> int:
        """Writes what can be written; whole lines in the place of the one below, which moves on."""
        aside = self.line_below and len(text) > 1 and text.endswith("\n")
        with suppress(OSError):
            super().write(masked_message(f"{_ERASE_LINE}{text}" if aside else text))
        return len(text)

    def flush(self) -> None:
        """Flushes what can be flushed."""
        with suppress(OSError):
            super().flush()

    def close(self) -> None:
        """Closes the descriptor, whatever did not reach it."""
        with suppress(OSError):
            super().close()


class PeopleStream(_ForgivingStream):
    """Standard error, line-buffered, while a command works: writing to it never waits."""

    def __init__(self, descriptor: int) -> None:
        """Takes over the descriptor."""
        self._file = UnhurriedFile(descriptor)
        super().__init__(
            io.BufferedWriter(self._file),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )

    def say_at_once(self, text: str) -> None:
        """Writes a line past those that wait for their reader, if that takes no time."""
        self._file.write_at_once(f"{text}\n".encode())

    def drain(self) -> None:
        """Waits until all is written, or until the time to leave."""
        self.flush()
        self._file.drain()

    def leave_after(self, seconds: float) -> None:
        """Makes `drain` and the end wait no longer than so many seconds from now."""
        self._file.leave_after(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Where a command writes.

    Attributes:
        records: Unbuffered, the real standard output.
        people: The real standard error.
    """

    records: BinaryIO
    people: PeopleStream

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


@contextmanager
def line_below(people: IO[str]) -> Iterator[None]:
    """Keeps what is written to a terminal apart from a line that is redrawn at its bottom.

    Args:
        people: Of `Streams`; anything else stays as it is.
    """
    if not isinstance(people, PeopleStream):
        yield
        return
    people.line_below = True
    try:
        yield
    finally:
        people.line_below = False


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
    sys.stderr = _ForgivingStream(
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
    people = PeopleStream(people_descriptor)
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = people
    try:
        yield Streams(records=records, people=people)
    finally:
        sys.stdout, sys.stderr = before
        people.drain()
        os.dup2(records_descriptor, 1)  # this also closes the pipe's last writers
        os.dup2(people_descriptor, 2)
        reader.join(timeout=1.0)
        records.close()
        people.close()
