"""Outcomes written as JSON lines or csv, every line whole and flushed.

What is ready leaves in one unbuffered write of whole lines, so a killed run leaves at most its last
line torn, and whoever reads the pipe sees every answer at once.
"""

from __future__ import annotations

import csv
import errno
import io
import re
import select
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeAlias

from birdcli.errors import ErrorCode, OutputError
from birdcli.items import Classified
from birdcli.masking import visible_message, visible_source
from birdcli.outside_text import visible_text
from birdcli.record import encode_record, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from birdcli.items import Outcome

Cell: TypeAlias = str | int | float | None

# Spreadsheets run a cell that starts so as a formula (some also the full-width characters), but a
# plain number is a number.
_FORMULA: Final = re.compile("[=@\uff1d\uff0b\uff0d\uff20]|[+-](?!\\d*\\.?\\d*$)")
FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says of a full disk."""

_CLOSED: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN})


class OutcomeWriter(Protocol):
    """Takes the outcomes of a run: encoded as they finish, written when it is their turn."""

    def encode(self, outcome: Outcome) -> bytes:
        """Returns the record of one input, with the end of its last line."""
        ...

    def write(self, records: Sequence[bytes]) -> None:
        """Writes encoded records and flushes them.

        Raises:
            OutputError: ``output.closed``, ``output.disk_full`` or ``output.unwritable``; its
                detail `records` says how many were written whole.
        """
        ...

    def close(self) -> None:
        """Finishes the output and closes its target; again does nothing.

        Raises:
            OutputError: As for `write`; after a failed write it stays silent.
        """
        ...


class UnsyncedError(OSError):
    """A disk refused what it had taken.

    Attributes:
        saved_lines: How many lines are safe.
    """

    def __init__(self, err: OSError, saved_lines: int) -> None:
        """Says what `err` says."""
        super().__init__(err.errno, err.strerror)
        self.saved_lines = saved_lines


class LineSink:
    """Whole records to a binary file, with its faults in our words.

    Attributes:
        records: How many records were written whole.
    """

    def __init__(self, target: BinaryIO, *, earlier: int = 0) -> None:
        """Takes over the target, best an unbuffered one, and closes it in the end.

        Args:
            target: The file.
            earlier: How many records it holds already, for the message of a fault.
        """
        self.records = 0
        self._earlier = earlier
        self._aside = 0
        self._target = target
        self._usable = True

    def write(self, records: Sequence[bytes]) -> None:
        """Writes and flushes records.

        Raises:
            OutputError: See `OutcomeWriter.write`.
        """
        rest = memoryview(b"".join(records))
        try:
            while rest:
                # A raw file may take a part only; None from a pipe that another program, such as
                # ssh, made non-blocking means that it is full.
                written: int | None = self._target.write(rest)
                if written is None:
                    select.select([], [self._target], [])
                else:
                    rest = rest[written:]
            self._target.flush()
        except OSError as err:
            self._usable = False
            self.records += _whole(records, len(rest))
            raise self._fault(err) from err
        self.records += len(records)

    def write_aside(self, line: bytes) -> None:
        """Writes what is no record, such as a header; raises as `write` does."""
        self.write([line])
        self.records -= 1
        self._aside += 1

    def close(self) -> None:
        """Closes the target.

        Raises:
            OutputError: The last bytes did not reach it (network disks say so only now).
        """
        if not self._usable:
            with suppress(OSError):  # the first fault was told already
                self._target.close()
            return
        try:
            self._target.close()
        except OSError as err:
            self._usable = False
            raise self._fault(err) from err

    def _fault(self, err: OSError) -> OutputError:
        if isinstance(err, UnsyncedError):
            self.records = max(err.saved_lines - self._aside, 0)
        return output_error(err, self.records, earlier=self._earlier)


def _whole(records: Sequence[bytes], unwritten_bytes: int) -> int:
    """How many records left whole, if so many bytes of their end did not."""
    whole = len(records)
    while whole and unwritten_bytes > 0:
        whole -= 1
        unwritten_bytes -= len(records[whole])
    return whole


class JsonLinesWriter:
    """One JSON record per line, the format for programs."""

    def __init__(
        self,
        target: BinaryIO,
        *,
        run: str,
        digest: Callable[[str], str] | None = None,
        earlier: int = 0,
    ) -> None:
        """Writes the records of this run; for `digest` see `record_of`, for the rest `LineSink`."""
        self._sink = LineSink(target, earlier=earlier)
        self._run = run
        self._digest = digest

    def encode(self, outcome: Outcome) -> bytes:
        """See `OutcomeWriter.encode`."""
        return encode_record(record_of(outcome, self._run, digest=self._digest))

    def write(self, records: Sequence[bytes]) -> None:
        """See `OutcomeWriter.write`."""
        self._sink.write(records)

    def close(self) -> None:
        """See `OutcomeWriter.close`."""
        self._sink.close()


class CsvWriter:
    """One row per input, the format for spreadsheets.

    A cell that a spreadsheet would run as a formula (it starts with `=`, `+`, `-` or `@` and is no
    number) gets an apostrophe in front; control characters are shown as escapes, so that a row
    stays one line. JSON lines hold the exact names.
    """

    def __init__(self, target: BinaryIO, *, top_k: int) -> None:
        """Writes so many guesses per row."""
        self._sink = LineSink(target)
        self._top_k = top_k
        self._headed = False

    def encode(self, outcome: Outcome) -> bytes:
        """See `OutcomeWriter.encode`."""
        return _csv_line(csv_row(outcome, self._top_k))

    def write(self, records: Sequence[bytes]) -> None:
        """See `OutcomeWriter.write`."""
        self._write_header()
        self._sink.write(records)

    def close(self) -> None:
        """Finishes the file, which has a header even without rows; see `OutcomeWriter.close`."""
        try:
            self._write_header()
        finally:
            self._sink.close()

    def _write_header(self) -> None:
        if not self._headed:
            self._headed = True
            self._sink.write_aside(_csv_line(csv_header(self._top_k)))


def csv_header(top_k: int) -> list[str]:
    """Returns the names of the columns, with those of so many guesses."""
    guesses = [
        f"{column}{suffix}"
        for suffix in ("", *(f"_{rank}" for rank in range(2, top_k + 1)))
        for column in ("label", "common_name", "score")
    ]
    return [
        *("index", "id", "input", "status"),
        *guesses,
        *("error_code", "error_message", "model", "total_ms"),
    ]


def csv_row(outcome: Outcome, top_k: int) -> list[Cell]:
    """Returns the cells of one input, in the order of `csv_header`; None leaves a cell empty."""
    ref = outcome.ref
    guesses: list[Cell] = []
    if isinstance(outcome, Classified):
        status, code, message, model = "ok", None, None, outcome.model
        for guess in outcome.predictions[:top_k]:
            guesses += (guess.label, guess.common_name, round(guess.score, 6))
    else:
        status, code, model = "error", outcome.error.code.value, None
        message = visible_message(outcome.error.message)
    guesses += [None] * (3 * top_k - len(guesses))
    return [
        *(ref.index, ref.id, visible_source(ref.source), status),
        *guesses,
        *(code, message, model, round(outcome.timings.total_ms, 3)),
    ]


def _csv_line(cells: Sequence[Cell]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(
        _safe_cell(cell) if isinstance(cell, str) else cell for cell in cells
    )
    return text.getvalue().encode("utf-8")


def _safe_cell(cell: str) -> str:
    cell = visible_text(cell)
    return f"'{cell}" if _FORMULA.match(cell) else cell


def output_error(err: OSError, records: int, *, earlier: int = 0) -> OutputError:
    """Returns why an output cannot be written, and how many records are safe."""
    count = "1 record is" if records == 1 else f"{records:,} records are"
    if err.errno in _CLOSED:
        code, message = ErrorCode.OUTPUT_CLOSED, "the reader closed the output"
    elif err.errno in FULL_DISK:
        code, message = ErrorCode.OUTPUT_DISK_FULL, "the disk of the output is full"
    else:
        code, message = ErrorCode.OUTPUT_UNWRITABLE, f"the output failed: {err.strerror}"
    before = f", besides {earlier:,} of before" if earlier else ""
    return OutputError(code, f"{message}; {count} written whole{before}", records=records)
