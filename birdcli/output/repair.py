"""A file of records read to its end, and freed of what a power cut left in it."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, OutputError
from birdcli.output.doubles import Doubles
from birdcli.output.file import rewritten
from birdcli.output.lines import (
    head_of,
    is_of_a_later_schema,
    iter_lines,
    lacks_only_its_newline,
    may_be_torn_first,
)
from birdcli.outside_text import visible_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from birdcli.output.lines import RecordHead


@dataclass(frozen=True, slots=True)
class Repair:
    """What was wrong with a file.

    Attributes:
        records: Whole records in it.
        torn_bytes: What was cut off its end.
        damaged_lines: Lines that were taken out, of its middle or as doubles of others.
    """

    records: int
    torn_bytes: int
    damaged_lines: int


def read_and_repair(
    path: Path, on_record: Callable[[RecordHead], None], *, locks: list[int]
) -> Repair:
    """Reads a file of records and takes out what is none.

    An end that was torn is cut off, and ended if only its newline is missing; damage elsewhere,
    which only a power cut leaves, and lines that are there twice are taken out by writing the file
    anew beside itself.

    Args:
        path: The file.
        on_record: Told each whole record, in the order of the file.
        locks: Gets the lock of the file if it was written anew.

    Raises:
        OutputError: ``output.not_resumable`` if nothing in the file is a record, or several lines
            are such of a later version; it is left as it is.
        OSError: It cannot be read or repaired.
    """
    records = damaged = inside = doubled_after = later = good_end = size = 0
    unended = torn_first = False
    with path.open("rb") as file, closing(Doubles(path)) as doubles:
        for line in iter_lines(file):
            size = line.end
            head = head_of(line)
            unended = head is None and not line.whole and lacks_only_its_newline(line)
            if unended:
                head = head_of(replace(line, whole=True))
            if head is not None and doubles.is_double(line, head):
                doubled_after += 1
                damaged += 1
            elif head is not None:
                on_record(head)
                records += 1
                good_end, inside, doubled_after = line.end, damaged, 0
            else:
                damaged += 1
                later += is_of_a_later_schema(line)
                torn_first = line.start == 0 and may_be_torn_first(line)
    # One flipped bit makes a 1 a 3: a single line of another schema is damage among records.
    if later > 1 or (damaged and not records and not torn_first):
        raise _foreign(path)
    if good_end < size:
        _cut(path, good_end)
    elif unended:
        _end(path)
    if inside:
        _take_out(path, locks)
    return Repair(records, size - good_end, inside + doubled_after)


def _end(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())


def _cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
        file.flush()
        os.fsync(file.fileno())


def _take_out(path: Path, locks: list[int]) -> None:
    with path.open("rb") as file, rewritten(path, locks) as out, closing(Doubles(path)) as doubles:
        for line in iter_lines(file):
            head = head_of(line)
            if head is not None and not doubles.is_double(line, head):
                out.write(line.data)


def _foreign(path: Path) -> OutputError:
    return OutputError(
        ErrorCode.OUTPUT_NOT_RESUMABLE,
        f"{visible_text(str(path))} holds something other than records of birdcli",
        hint="Choose another --output.",
        path=str(path),
    )
