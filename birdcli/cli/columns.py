"""Rows of text as aligned columns, no wider than they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from birdcli.table import cut, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP: Final = "  "
_NARROWEST: Final = 6


def aligned(
    rows: Sequence[Sequence[str]], *, width: int | None = None, right: Sequence[int] = ()
) -> list[str]:
    """Returns the rows as lines.

    Where they are too wide, the widest columns give way: the first one is cut in its middle, as
    both ends of a path tell most, the others at their ends. No column gets narrower than 6 cells.

    Args:
        rows: Cells, as many in every row.
        width: Cells of a line at the most; None for no limit.
        right: The columns whose cells stand at the right.
    """
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    if width is not None:
        widths = _narrowed(widths, width - len(_GAP) * (len(widths) - 1))
    lines = []
    for row in rows:
        cells = []
        for at, (cell, room) in enumerate(zip(row, widths, strict=True)):
            fitting = cut(cell, room) if at else shortened(cell, room)
            space = " " * (room - cell_len(fitting))
            cells.append(space + fitting if at in right else fitting + space)
        lines.append(_GAP.join(cells).rstrip())
    return lines


def _narrowed(widths: list[int], room: int) -> list[int]:
    """Returns widths of so many cells together, taken from the widest ones."""
    longest = max(widths)
    while longest > _NARROWEST and sum(min(width, longest) for width in widths) > room:
        longest -= 1
    narrowed = [min(width, longest) for width in widths]
    spare = max(0, room - sum(narrowed))  # of lowering several at once by a cell
    for at, width in enumerate(widths):
        if spare and width > narrowed[at]:
            narrowed[at] += 1
            spare -= 1
    return narrowed
