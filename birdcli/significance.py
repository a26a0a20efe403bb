"""How much a count of right answers, or the difference between two, may owe to chance."""

from __future__ import annotations

import math
from typing import Final

_Z_95: Final = 1.959963984540054  # two-sided 95 % of the normal distribution


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval of a share.

    Args:
        right: How many, 0 to `total`.
        total: Of how many, 1 or more.

    Returns:
        The lower and the upper share, 0 to 1.

    Source:
        Wilson's score interval (1927) without continuity correction; unlike the usual one it holds
        for few photos and for shares near 0 and 1.
    """
    share = right / total
    shrink = 1.0 + _Z_95**2 / total
    centre = (share + _Z_95**2 / (2 * total)) / shrink
    half = _Z_95 / shrink * math.sqrt(share * (1 - share) / total + (_Z_95 / (2 * total)) ** 2)
    low = 0.0 if right == 0 else max(0.0, centre - half)
    high = 1.0 if right == total else min(1.0, centre + half)
    return low, high


def mcnemar_p(lost: int, won: int) -> float:
    """Returns how often chance alone makes two models differ at least this much.

    Args:
        lost: Photos that only the first model got right.
        won: Photos that only the second model got right.

    Returns:
        The two-sided p of McNemar's exact test, 0 to 1; 1 where nothing differs.

    Source:
        Under chance a photo that changed sides is as likely lost as won: a binomial test with one
        half. Whole numbers throughout, so no count is too large.
    """
    changed = lost + won
    term = tail = 1
    for taken in range(min(lost, won)):
        term = term * (changed - taken) // (taken + 1)  # math.comb anew would cost a square
        tail += term
    return min(1.0, 2 * tail / (1 << changed))
