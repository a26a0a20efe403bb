"""Tables for people: drawn on a terminal, plain aligned text anywhere else."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from birdcli.cli.context import encodable, say
from birdcli.outside_text import visible_text

if TYPE_CHECKING:
    from collections.abc import Container, Sequence


def terminal_width() -> int | None:
    """Returns how many cells a line of stdout has, or None where it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def aligned_lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Container[int] = ()
) -> list[str]:
    """Returns a header and rows as text, every column as wide as its widest cell.

    Args:
        columns: The header.
        rows: Cells, one per column.
        right: The columns whose cells stand at the right.
    """
    cells = [[column.upper() for column in columns], *_visible(rows)]
    widths = [max(len(line[position]) for line in cells) for position in range(len(columns))]
    return [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def _visible(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[visible_text(cell) for cell in row] for row in rows]


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Container[int] = ()
) -> None:
    """Prints a table on stdout; see `aligned_lines`.

    Raises:
        OutputError: ``output.unwritable``.
    """
    if not sys.stdout.isatty():  # rich would cost a pipe 0.06 s, and cut its lines
        say("\n".join(aligned_lines(columns, rows, right=right)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(columns):
        # The names are what people copy: they may be folded, and are never cut.
        table.add_column(column, overflow="fold", justify="right" if at in right else "left")
    for row in _visible(rows):
        table.add_row(*(Text(encodable(cell)) for cell in row))
    Console().print(table)
