"""Whether birdcli wrote a file, judged by how it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from birdcli.output.lines import LONGEST_LINE_BYTES, Line, head_of

if TYPE_CHECKING:
    from pathlib import Path

_CSV: Final = b"index,id,input,status,label,"


def looks_like_ours(path: Path) -> bool:
    """Tells whether a file begins with a record or with the header of our csv.

    Nobody should be told to throw away what may be the only copy of something else. An empty file
    is nobody's loss.
    """
    try:
        with path.open("rb") as file:
            first = file.readline(LONGEST_LINE_BYTES)
    except OSError:
        return False
    whole = first.endswith(b"\n")
    return (
        not first
        or first.startswith(_CSV)
        or head_of(Line(0, first, len(first), whole=whole)) is not None
    )
