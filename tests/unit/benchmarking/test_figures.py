from __future__ import annotations

import math

import pytest

from scripts.benchmarking.figures import marginal_rates, ratio_interval, ratios


def test_ratios_are_formed_pair_by_pair() -> None:
    assert ratios([1.0, 6.0], [2.0, 3.0]) == [0.5, 2.0]


def test_a_rate_after_the_start_leaves_the_start_out() -> None:
    assert marginal_rates([5.0, 2.0], [9.0, 4.0], 400) == [100.0, 200.0]


@pytest.mark.parametrize(
    ("pairs", "confidence", "left_out"),
    # Tables of the signed-rank test: critical values 0, 2, 3, 8 at 5 %, two-sided.
    [(6, 0.96875, 0), (7, 0.953125, 2), (8, 0.9609375, 3), (10, 0.951171875, 8)],
)
def test_intervals_are_those_of_wilcoxons_tables(
    pairs: int, confidence: float, left_out: int
) -> None:
    logs = [0.01 * number**1.5 for number in range(1, pairs + 1)]
    walsh = sorted((a + b) / 2 for at, a in enumerate(logs) for b in logs[at:])
    interval = ratio_interval([math.exp(value) for value in logs])
    assert interval.confidence == pytest.approx(confidence)
    assert math.log(interval.low) == pytest.approx(walsh[left_out])
    assert math.log(interval.high) == pytest.approx(walsh[-1 - left_out])


def test_few_pairs_admit_their_confidence() -> None:
    assert ratio_interval([1.0, 1.1, 1.2]).confidence == 0.75


def test_no_pairs_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        ratio_interval([])
