"""About how many inputs there are, before all of them are read."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from birdcli.lists import ListFormat, list_format_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from birdcli.settings import ListSettings

_PIECE_BYTES: Final = 1_000_000
_PIECES: Final = 64  # of a larger list, spread over it: 0.1 s, whatever its length


class EstimatedLength:
    """Counts the lines of lists in a thread, which neither the start nor the end waits for.

    Attributes:
        inputs: About how many there are; None while, or because, that is not known.
    """

    def __init__(
        self, arguments: Sequence[str], lists: Sequence[str], settings: ListSettings
    ) -> None:
        """Begins to count.

        Args:
            arguments: Of the command; a folder among them leaves the length unknown.
            lists: Paths of lists; one that is no file of lines leaves it unknown.
            settings: What ends a line, and which shard is kept.
        """
        self.inputs: int | None = None
        self._arguments = arguments
        self._lists = lists
        self._settings = settings
        # A daemon: a disk that is gone must not keep the process alive.
        self._thread = threading.Thread(target=self._count, name="birdcli-count", daemon=True)
        self._thread.start()

    def _count(self) -> None:
        if "-" in self._arguments:
            return
        total = len(self._arguments)
        end = b"\0" if self._settings.null_separated else b"\n"
        try:
            if any(os.path.isdir(argument) for argument in self._arguments):  # noqa: PTH112 - any text
                return
            for path in self._lists:
                total += estimate_lines(path, end=end)
        except (OSError, ValueError):
            return
        _, shards = self._settings.shard or (0, 1)
        self.inputs = round(total / shards)


def estimate_lines(path: str, *, end: bytes) -> int:
    """Returns how many lines a list has: counted, or estimated from pieces of one above 64 MB.

    Args:
        path: The list.
        end: The byte that ends a line.

    Raises:
        OSError: It cannot be read.
        ValueError: Its lines cannot be counted without reading it, or are no inputs.
    """
    if path == "-" or path.lower().endswith(".gz"):
        raise ValueError(f"{path} can be read only once, or only whole")
    if list_format_of(path) not in (ListFormat.LINES, ListFormat.JSONL):
        raise ValueError(f"a row of {path} may have many lines")
    if not stat.S_ISREG(Path(path).stat().st_mode):  # opening a pipe would take its bytes
        raise ValueError(f"{path} is no file")
    with Path(path).open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        step = max(_PIECE_BYTES, size // _PIECES)
        seen = ends = 0
        for start in range(0, size, step):
            file.seek(start)
            piece = file.read(_PIECE_BYTES)
            seen += len(piece)
            ends += piece.count(end)
        if seen == size:
            return ends + (not piece.endswith(end) if size else 0)
        return round(ends * size / max(seen, 1))  # it may be shrinking
