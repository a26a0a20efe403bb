"""Lines of a file that are byte for byte an earlier one, found in memory that does not grow."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from birdcli.output.counting import KeyCounts
from birdcli.output.lines import iter_lines

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.output.lines import Line, RecordHead

_NEAR: Final = 65_536
_MOST_RUNS: Final = 10_000
_DIGEST_BYTES: Final = 16


class Doubles:
    """Tells doubled lines of one file, asked for each of its records in their order.

    A run writes each index once, and roughly in order. An index of the run at hand that is above
    all before it, or missing among those close behind, is new, which costs next to nothing to
    know. Only where that does not settle it, all lines so far are read again, and digests of lines
    are kept on disk from then on.
    """

    def __init__(self, path: Path) -> None:
        """Looks at nothing yet."""
        self._path = path
        self._run = ""
        self._runs: set[str] = set()
        self._highest = -1
        self._near: set[int] = set()
        self._near_from = 0
        self._digests: KeyCounts | None = None

    def is_double(self, line: Line, head: RecordHead) -> bool:
        """Tells whether a record is there for the second time.

        Raises:
            OutputError: ``output.disk_full``.
            OSError: The file cannot be read again.
        """
        new = self._is_surely_new(head.run, head.index)
        if new and self._digests is None:
            return False
        digests = self._digests = self._digests or self._digests_before(line)
        digest = _digest(line)
        if not new and digests.holds(digest):
            return True
        digests.add_all([digest])
        return False

    def close(self) -> None:
        """Forgets everything."""
        if self._digests is not None:
            self._digests.close()

    def _is_surely_new(self, run: str, index: int) -> bool:
        if run != self._run:
            if run in self._runs or len(self._runs) == _MOST_RUNS:
                return False
            self._runs.add(run)
            self._run, self._highest, self._near, self._near_from = run, -1, set(), 0
        if index > self._highest:
            self._highest = index
        elif index < self._near_from or index in self._near:
            return False
        self._near.add(index)
        if len(self._near) > 2 * _NEAR:
            self._near_from = self._highest - _NEAR
            self._near = {known for known in self._near if known >= self._near_from}
        return True

    def _digests_before(self, line: Line) -> KeyCounts:
        digests = KeyCounts()
        with self._path.open("rb") as file:
            for earlier in iter_lines(file):
                if earlier.start == line.start:
                    break
                digests.add_all([_digest(earlier)])
        return digests


def _digest(line: Line) -> bytes:
    # One whose newline a power cut took is the same record.
    return hashlib.blake2b(line.data.rstrip(b"\n"), digest_size=_DIGEST_BYTES).digest()
