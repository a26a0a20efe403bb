"""What holds of the regression gate's decision, whatever was measured."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarking.figures import ratio_interval
from scripts.benchmarking.verdict import Verdict, exit_code, judge

times = st.floats(min_value=0.01, max_value=1000.0)
pairs = st.lists(st.tuples(times, times), min_size=6, max_size=15)
noise = st.lists(st.floats(min_value=0.99, max_value=1.01), min_size=6, max_size=15)
OPPOSITE = {
    Verdict.SLOWER: Verdict.FASTER,
    Verdict.FASTER: Verdict.SLOWER,
    Verdict.SAME: Verdict.SAME,
    Verdict.UNCLEAR: Verdict.UNCLEAR,
}


@given(pairs)
def test_an_interval_holds_its_estimate_and_lies_within_the_ratios(
    measured: list[tuple[float, float]],
) -> None:
    found = [one / other for one, other in measured]
    interval = ratio_interval(found)
    slack = 1 + 1e-9
    assert min(found) / slack <= interval.low <= interval.estimate * slack
    assert interval.estimate <= interval.high * slack <= max(found) * slack**2


@given(pairs)
def test_exchanging_the_commits_turns_the_verdict_round(
    measured: list[tuple[float, float]],
) -> None:
    base, head = zip(*measured, strict=True)
    there = judge(base, head, same_within=0.03)
    back = judge(head, base, same_within=0.03)
    assert there.interval is not None
    assert back.interval is not None
    assert math.isclose(there.interval.estimate * back.interval.estimate, 1, rel_tol=1e-9)
    if all(abs(end - 1) > 1e-9 for end in (there.interval.low, there.interval.high)):
        assert back.verdict is OPPOSITE[there.verdict]


@given(pairs, st.floats(min_value=0.001, max_value=1000.0))
def test_the_unit_does_not_matter(measured: list[tuple[float, float]], unit: float) -> None:
    base, head = zip(*measured, strict=True)
    plain = judge(base, head, same_within=0.03).interval
    other = judge(
        [value * unit for value in base], [value * unit for value in head], same_within=0.03
    ).interval
    assert plain is not None
    assert other is not None
    assert math.isclose(plain.estimate, other.estimate, rel_tol=1e-9)


@given(noise, st.floats(min_value=1.05, max_value=3.0))
def test_a_commit_that_takes_clearly_longer_each_time_is_slower(
    wobble: list[float], factor: float
) -> None:
    base = [2.0] * len(wobble)
    head = [2.0 * factor * share for share in wobble]
    assert judge(base, head, same_within=0.03).verdict is Verdict.SLOWER
    assert judge(head, base, same_within=0.03).verdict is Verdict.FASTER


@given(noise)
def test_differences_below_the_margin_are_none(wobble: list[float]) -> None:
    base = [2.0] * len(wobble)
    head = [2.0 * share for share in wobble]
    assert judge(base, head, same_within=0.03).verdict is Verdict.SAME


@given(st.lists(st.tuples(times, times), min_size=1, max_size=5))
def test_too_few_pairs_tell_nothing(measured: list[tuple[float, float]]) -> None:
    base, head = zip(*measured, strict=True)
    assert judge(base, head, same_within=0.03).verdict is Verdict.UNCLEAR


@given(pairs, st.sampled_from([0.0, -0.5]))
def test_a_time_that_noise_made_negative_tells_nothing(
    measured: list[tuple[float, float]], broken: float
) -> None:
    base, head = map(list, zip(*measured, strict=True))
    head[0] = broken
    judged = judge(base, head, same_within=0.03)
    assert (judged.verdict, judged.interval) == (Verdict.UNCLEAR, None)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((Verdict.SAME, Verdict.FASTER), 0),
        ((Verdict.SAME, Verdict.SLOWER), 1),
        ((Verdict.UNCLEAR, Verdict.SLOWER), 1),
        ((Verdict.UNCLEAR, Verdict.FASTER), 2),
    ],
)
def test_the_worst_figure_decides_the_exit_code(verdicts: tuple[Verdict, ...], code: int) -> None:
    assert exit_code(verdicts) == code
