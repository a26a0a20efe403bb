"""Encoded records held back until those before them are out."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class RecordOrder:
    """Puts records back into the order of their inputs; about 0.8 KB for each that waits.

    One thread may call `expect` and `end` while another calls `put`.
    """

    def __init__(self) -> None:
        """Expects nothing yet."""
        self._expected: deque[int] = deque()
        self._waiting: dict[int, bytes] = {}
        self._ended = False

    def expect(self, index: int) -> None:
        """Says which input comes next; every record must have been expected."""
        self._expected.append(index)

    def put(self, records: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Takes records by the indexes of their inputs, and returns those whose turn has come."""
        self._waiting.update(records)
        ready = []
        while self._expected and (record := self._waiting.pop(self._expected[0], None)) is not None:
            self._expected.popleft()
            ready.append(record)
        if self._ended:
            ready += [record for _, record in sorted(self._waiting.items())]
            self._waiting.clear()
        return ready

    def end(self) -> None:
        """Holds back nothing more: the next `put` also returns what waits for others, by index."""
        self._ended = True
