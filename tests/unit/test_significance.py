"""Intervals and p values against published and independently computed numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.significance import mcnemar_p, wilson_interval


@pytest.mark.parametrize(
    ("right", "total", "expected"),
    [
        # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_interval_is_the_published_one(
    right: int, total: int, expected: tuple[float, float]
) -> None:
    assert wilson_interval(right, total) == pytest.approx(expected, abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_holds_the_share_and_stays_between_0_and_1(counts: tuple[int, int]) -> None:
    right, total = counts
    low, high = wilson_interval(right, total)
    assert 0.0 <= low <= right / total <= high <= 1.0


@pytest.mark.parametrize(
    ("lost", "won", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (0, 6, 2 / 64),
        (6, 0, 2 / 64),
        (2, 8, 112 / 1024),
        (5, 5, 1.0),
    ],
)
def test_p_is_that_of_tossing_a_coin(lost: int, won: int, expected: float) -> None:
    assert mcnemar_p(lost, won) == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
def test_p_is_twice_the_smaller_tail(lost: int, won: int) -> None:
    tail = sum(math.comb(lost + won, i) for i in range(min(lost, won) + 1))
    assert mcnemar_p(lost, won) == min(1.0, 2 * tail / (1 << (lost + won)))


def test_p_of_many_photos_is_a_number() -> None:
    assert 0.0 < mcnemar_p(4_900, 5_100) < 0.1
    assert mcnemar_p(0, 5_000) == 0.0
