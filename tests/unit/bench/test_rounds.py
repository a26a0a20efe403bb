"""One figure, several times."""

from __future__ import annotations

import pytest

from birdcli.bench.rounds import Rounds, Work, core_ms_of, rates_of


def test_rounds_tell_median_and_spread() -> None:
    rounds = Rounds((90.0, 100.0, 120.0))
    assert rounds.median == 100.0
    assert rounds.spread == pytest.approx(0.3)


def test_rounds_of_nothing_have_no_spread() -> None:
    assert Rounds((0.0, 0.0)).spread == 0.0


@pytest.mark.parametrize(("last", "noisy"), [(109.0, False), (112.0, True)])
def test_more_than_a_tenth_is_noise(last: float, *, noisy: bool) -> None:
    assert Rounds((100.0, 100.0, last)).noisy is noisy


def test_work_is_summed_up_by_rate_and_cost() -> None:
    works = [
        Work(images=10, images_per_s=rate, cpu_s=cpu_s, busy=1.0)
        for rate, cpu_s in ((100.0, 0.1), (110.0, 0.2), (90.0, 0.3))
    ]
    assert rates_of(works).median == 100.0
    assert core_ms_of(works) == pytest.approx(20.0)
