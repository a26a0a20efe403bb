"""Repeated measurements of one thing, and what may be said of them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where a ratio lies.

    Attributes:
        estimate: The ratio.
        low: Lower end.
        high: Upper end.
        confidence: How often such an interval holds the truth, 0 to 1.
    """

    estimate: float
    low: float
    high: float
    confidence: float


def ratios(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Returns first over second, pair by pair.

    Raises:
        ValueError: The series have different lengths.
    """
    return [one / other for one, other in zip(first, second, strict=True)]


def marginal_rates(once_s: Sequence[float], longer_s: Sequence[float], extra: float) -> list[float]:
    """Returns images/s after the start, pair by pair.

    Args:
        once_s: Wall times of runs over a list.
        longer_s: Wall times of runs over a longer list.
        extra: How many images longer.
    """
    return [extra / (longer - shorter) for shorter, longer in zip(once_s, longer_s, strict=True)]


def ratio_interval(paired: Sequence[float], confidence: float = _CONFIDENCE) -> Interval:
    """Returns the typical ratio of pairs of runs, with its confidence interval.

    Args:
        paired: Ratios of runs made one right after the other, each above 0.
        confidence: What the interval should reach; with few pairs it stays below, and says so.

    Source:
        Hodges and Lehmann (1963) on logarithms, with the interval of Wilcoxon's signed-rank test:
        exact for any number of pairs, whatever the noise is like, as long as it is symmetric. The
        bootstrap is too sure of itself with as few pairs as these.

    Raises:
        ValueError: No pairs.
    """
    logs = sorted(math.log(ratio) for ratio in paired)
    if not logs:
        raise ValueError("no pairs, no ratio")
    walsh = sorted((one + other) / 2 for at, one in enumerate(logs) for other in logs[at:])
    tail = (1 - confidence) / 2
    cumulative = 0.0
    cut = 0  # how many Walsh averages are left out at each end
    for share in _signed_rank_shares(len(logs)):
        if cumulative + share > tail:
            break
        cumulative += share
        cut += 1
    left_out = max(cut - 1, 0)
    reached = 1 - 2 * cumulative if cut else 1 - 2 * _signed_rank_shares(len(logs))[0]
    return Interval(
        estimate=math.exp(statistics.median(walsh)),
        low=math.exp(walsh[left_out]),
        high=math.exp(walsh[-1 - left_out]),
        confidence=reached,
    )


def _signed_rank_shares(count: int) -> list[float]:
    """Returns how often chance gives each sum of positive ranks, 0 to count (count + 1) / 2."""
    ways = [1]
    for rank in range(1, count + 1):
        longer = ways + [0] * rank
        for at, number in enumerate(ways):
            longer[at + rank] += number
        ways = longer
    return [number / 2**count for number in ways]
