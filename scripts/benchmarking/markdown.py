"""Pieces of Markdown: numbers, tables, plots."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def three(value: float) -> str:
    """Returns a number with three significant digits, a dash for NaN."""
    if math.isnan(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 2
    return f"{value:.{min(max(digits, 0), 3)}f}"


def spread(values: Sequence[float], *, strong: bool = False) -> str:
    """Returns the median and, of several values, the range."""
    if not values:
        return "-"
    middle = three(statistics.median(values))
    middle = f"**{middle}**" if strong else middle
    if len(values) == 1:
        return middle
    return f"{middle} ({three(min(values))} to {three(max(values))})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table, and an empty one after it."""
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def picture(name: str, says: str) -> list[str]:
    """Returns a plot that follows the page's colours.

    Args:
        name: Of the plot.
        says: What it shows, for those who cannot see it.
    """
    folder = "docs/benchmark"
    return [
        "<picture>",
        f'  <source media="(prefers-color-scheme: dark)" srcset="{folder}/{name}-dark.svg">',
        f'  <img alt="{says}" src="{folder}/{name}-light.svg">',
        "</picture>",
        "",
    ]


def duration(seconds: float) -> str:
    """Returns a time as people say it."""
    if math.isnan(seconds):
        return "-"
    if seconds < 120:
        return f"{three(seconds)} s"
    if seconds < 2 * 3600:
        return f"{three(seconds / 60)} min"
    return f"{three(seconds / 3600)} h"
