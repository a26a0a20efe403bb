"""Rows of a csv or tsv list; a broken row costs itself and no other."""

from __future__ import annotations

import csv
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from birdcli.list_lines import MAX_LINE_BYTES, TOO_LONG, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from birdcli.list_lines import Line


class Row(NamedTuple):
    """The cells of a row.

    Attributes:
        line: Where the row begins, from 1; a quoted cell may hold further lines.
        cells: Its cells, unquoted.
    """

    line: int
    cells: list[str]


class BrokenRow(NamedTuple):
    """A row that cannot be read.

    Attributes:
        line: Where the row begins, from 1.
        reason: What is wrong with it, to follow "line 7".
    """

    line: int
    reason: str


def iter_rows(lines: Iterator[Line], *, delimiter: str) -> Iterator[Row | BrokenRow]:
    """Yields the rows as their lines arrive; blank lines are no rows.

    Args:
        lines: Lines of the list.
        delimiter: What separates cells.
    """
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as err:
            yield BrokenRow(feed.first.number, feed.why_broken(err))
            feed.give_back_all_but_the_first()
            continue
        if feed.first.data.strip():
            yield Row(feed.first.number, cells)


class _Feed:
    """Lines for a csv reader, to be had again after a broken row.

    A quote that is never closed takes the rows after it along; without it they read well.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self._row: list[Line] = []
        self._row_bytes = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._row.append(line)
        self._row_bytes += len(line.data)
        if self._row_bytes > MAX_LINE_BYTES:
            raise csv.Error(f"it goes on for more than {MAX_LINE_BYTES:,} bytes")
        return text_of(line.data) + "\n"

    @property
    def first(self) -> Line:
        return self._row[0]

    def begin_row(self) -> None:
        self._row.clear()
        self._row_bytes = 0

    def why_broken(self, err: csv.Error) -> str:
        return TOO_LONG if self.first.too_long else f"is no valid row: {err}"

    def give_back_all_but_the_first(self) -> None:
        self._again.extendleft(reversed(self._row[1:]))
