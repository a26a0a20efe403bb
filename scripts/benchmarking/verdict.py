"""Whether one commit is slower than another, from runs in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from scripts.benchmarking.figures import Interval, ratio_interval, ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE: Final = 0.95


class Verdict(StrEnum):
    """What pairs of runs say."""

    SLOWER = "slower"
    SAME = "same"
    FASTER = "faster"
    UNCLEAR = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One figure of two commits, compared.

    Attributes:
        verdict: Of the second against the first.
        interval: Time of the second over the first; None if there is none.
    """

    verdict: Verdict
    interval: Interval | None


def judge(base: Sequence[float], head: Sequence[float], *, same_within: float) -> Judged:
    """Decides whether the second commit takes longer.

    Args:
        base: Times of the first commit, one for each pair; any unit.
        head: Times of the second, in the same order.
        same_within: A share, such as 0.03: less than that is no difference that matters.

    Returns:
        `same` if the whole 95 % interval of the ratio is that close to 1; `slower` or `faster` if
        it lies on one side of 1; otherwise, and with fewer pairs than 95 % need (six) or a time
        that is not above 0, `cannot tell`.
    """
    if not base or min(*base, *head) <= 0:
        return Judged(verdict=Verdict.UNCLEAR, interval=None)
    interval = ratio_interval(ratios(head, base), CONFIDENCE)
    return Judged(verdict=_decide(interval, same_within), interval=interval)


def _decide(interval: Interval, same_within: float) -> Verdict:
    if interval.confidence < CONFIDENCE:
        return Verdict.UNCLEAR
    if 1 / (1 + same_within) <= interval.low and interval.high <= 1 + same_within:
        return Verdict.SAME
    if interval.low > 1:
        return Verdict.SLOWER
    if interval.high < 1:
        return Verdict.FASTER
    return Verdict.UNCLEAR


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Returns 1 if anything is slower, else 2 if anything is unclear, else 0."""
    if Verdict.SLOWER in verdicts:
        return 1
    return 2 if Verdict.UNCLEAR in verdicts else 0
