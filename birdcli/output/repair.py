"""A file of records read to its end, and freed of what a power cut left in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, OutputError
from birdcli.files import atomic_writer
from birdcli.output.lines import head_of, is_of_a_later_schema, iter_lines
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
        damaged_lines: Lines in its middle that were taken out.
    """

    records: int
    torn_bytes: int
    damaged_lines: int


def read_and_repair(path: Path, on_record: Callable[[RecordHead], None]) -> Repair:
    """Reads a file of records and takes out what is none.

    An end that was torn is cut off; damage elsewhere, which only a power cut leaves, is taken out
    by writing the file anew beside itself.

    Args:
        path: The file.
        on_record: Told each whole record, in the order of the file.

    Raises:
        OutputError: ``output.not_resumable`` if nothing in the file is a record, or something is
            one of a later version; it is left as it is.
        OSError: It cannot be read or repaired.
    """
    records = damaged = inside = 0
    good_end = size = 0
    regions: list[tuple[int, int]] = []
    with path.open("rb") as file:
        for line in iter_lines(file):
            size = line.end
            head = head_of(line)
            if head is not None:
                on_record(head)
                records += 1
                good_end, inside = line.end, damaged
                continue
            if is_of_a_later_schema(line):
                raise _foreign(path)
            damaged += 1
            start = regions.pop()[0] if regions and regions[-1][1] == line.start else line.start
            regions.append((start, line.end))
    if not records and damaged > 1:
        raise _foreign(path)
    if good_end < size:
        _cut(path, good_end)
    if inside:
        _take_out(path, [region for region in regions if region[1] <= good_end])
    return Repair(records, size - good_end, inside)


def _cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
        file.flush()
        os.fsync(file.fileno())


def _take_out(path: Path, regions: list[tuple[int, int]]) -> None:
    skipped = dict(regions)
    with path.open("rb") as file, atomic_writer(path) as out:
        inside_until = 0
        for line in iter_lines(file):
            inside_until = max(inside_until, skipped.get(line.start, 0))
            if line.start >= inside_until:
                out.write(line.data)


def _foreign(path: Path) -> OutputError:
    return OutputError(
        ErrorCode.OUTPUT_NOT_RESUMABLE,
        f"{visible_text(str(path))} holds something other than records of birdcli",
        hint="Choose another --output, or throw it away with --fresh.",
        path=str(path),
    )
