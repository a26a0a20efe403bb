"""Whether bytes look like a list of inputs, for hints alone."""

from __future__ import annotations

import re
from typing import Final

from birdcli.sources import IMAGE_SUFFIXES

_HEAD_BYTES: Final = 4096
_LINES: Final = 20
_URL: Final = re.compile(r"(?:https?|file)://", re.IGNORECASE)
_COLUMNS: Final = frozenset({"url", "link", "path", "image", "source"})


def looks_like_list(data: bytes) -> bool:
    """Tells whether most of the first lines, and at least two, hold a URL or name a picture."""
    text = data[:_HEAD_BYTES].decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")][:_LINES]
    inputs = [line for line in lines if _URL.search(line) or line.lower().endswith(IMAGE_SUFFIXES)]
    return len(inputs) >= 2 and 2 * len(inputs) > len(lines)


def looks_like_header(line: bytes) -> bool:
    """Tells whether a line looks like the header of a csv table with a column of inputs."""
    cells = line.decode("utf-8-sig", "replace").lower().split(",")
    return len(cells) > 1 and not _COLUMNS.isdisjoint(cell.strip(' \t\r\n"') for cell in cells)
