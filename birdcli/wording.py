"""Counts, durations and rates in the words of people."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """Returns a count with its words: `1 picture`, `1,200 pictures`.

    Args:
        count: How many.
        one: The words for one.
        many: The words for any other number; `one` with an s if left out.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def duration(seconds: float) -> str:
    """Returns a time span: `4.1 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 59.95:
        return f"{figures(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min"


def figures(value: float) -> str:
    """Returns as many figures as tell something: 0.42, 4.1, 48.3, 1,204."""
    if value < 1:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
