"""Counters and percentiles of a run."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.errors import ErrorCode
from birdcli.items import Stage
from birdcli.metrics import LatencyHistogram, RunMetrics, RunSummary
from tests.unit.test_record import BACKGROUND, CROW, cached, classified, failed

if TYPE_CHECKING:
    from birdcli.items import Outcome


def summary_of(*outcomes: Outcome, wall_s: float = 2.0) -> RunSummary:
    metrics = RunMetrics()
    for outcome in outcomes:
        metrics.observe(outcome)
    return metrics.summary(wall_s)


def nearest_rank(values: list[float], percent: float) -> float:
    return sorted(values)[max(1, math.ceil(percent / 100 * len(values))) - 1]


@given(
    st.lists(st.floats(0.001, 1e7), min_size=1, max_size=200),
    st.sampled_from([0.1, 5, 50, 95, 99, 100]),
)
def test_percentile_is_the_exact_one_within_4_percent(values: list[float], percent: float) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.observe(value)
    exact = nearest_rank(values, percent)
    assert histogram.percentile(percent) == pytest.approx(exact, rel=0.036)


def test_percentile_of_one_duration_is_that_duration() -> None:
    histogram = LatencyHistogram()
    histogram.observe(81.2)
    assert histogram.percentile(99) == 81.2


@pytest.mark.parametrize("duration_ms", [0.0, 1e-9, 1e9])
def test_duration_out_of_range_is_kept_within_what_was_seen(duration_ms: float) -> None:
    histogram = LatencyHistogram()
    histogram.observe(duration_ms)
    assert histogram.percentile(50) == duration_ms


def test_negative_duration_counts_as_zero() -> None:
    histogram = LatencyHistogram()
    histogram.observe(-1.0)
    assert (histogram.count, histogram.percentile(50)) == (1, 0.0)


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no durations"):
        LatencyHistogram().percentile(50)


def test_histogram_does_not_grow() -> None:
    histogram = LatencyHistogram()
    before = sys.getsizeof(histogram._buckets)
    for exponent in range(-400, 400):
        histogram.observe(math.exp2(exponent / 10))
    assert sys.getsizeof(histogram._buckets) == before


def test_outcomes_are_counted_by_status() -> None:
    summary = summary_of(classified(), cached(), failed())
    assert (summary.total, summary.named, summary.failed) == (3, 2, 1)


def test_failures_are_counted_by_code_the_most_frequent_first() -> None:
    dns = failed("a", ErrorCode.FETCH_DNS)
    status = failed("b")
    cut = failed("c", ErrorCode.DECODE_TRUNCATED)
    summary = summary_of(dns, status, cut, status)
    counts = [(failure.code.value, failure.count) for failure in summary.failures]
    assert counts == [("fetch.http_status", 2), ("decode.truncated", 1), ("fetch.dns", 1)]


def test_first_failure_of_a_code_is_its_example() -> None:
    first = failed("first.jpg")
    summary = summary_of(first, failed("second.jpg"))
    assert summary.failures[0].first is first


def test_retryable_failures_are_counted() -> None:
    assert summary_of(failed(retryable=True), failed()).retryable == 1


def test_cache_hits_are_counted() -> None:
    assert summary_of(classified(), cached(), cached()).cache_hits == 2


def test_background_counts_at_the_top_only() -> None:
    no_bird = classified(predictions=(BACKGROUND, CROW))
    summary = summary_of(no_bird, classified(predictions=(CROW, BACKGROUND)))
    assert summary.background == 1


def test_answer_without_guesses_is_no_background() -> None:
    assert summary_of(classified(predictions=())).background == 0


def test_batch_sizes_are_counted_in_images() -> None:
    summary = summary_of(*[classified(batch_size=4)] * 8, classified(batch_size=1), cached())
    assert summary.batch_sizes == ((1, 1), (4, 8))
    assert summary.mean_batch_size == 3.0


def test_nothing_classified_has_no_batch_size() -> None:
    assert summary_of(cached(), failed()).mean_batch_size == 0.0


def test_answers_repeated_within_the_run_are_no_cache_hits() -> None:
    summary = summary_of(cached(), replace(cached(), repeated=True))
    assert (summary.cache_hits, summary.repeats) == (1, 1)


def test_throughput_is_inputs_with_a_record_per_second() -> None:
    assert summary_of(classified(), failed(), wall_s=4.0).inputs_per_s == 0.5


def test_run_without_duration_has_no_throughput() -> None:
    assert summary_of(classified(), wall_s=0.0).inputs_per_s == 0.0


def test_every_stage_has_its_percentiles() -> None:
    summary = summary_of(classified(batch_size=32))
    shown = {latency.stage: latency for latency in summary.latencies}
    assert list(shown) == [*(stage.value for stage in Stage), "total", "inference_share"]
    assert shown["fetch"].p50_ms == pytest.approx(81.2)
    assert shown["total"].p99_ms == pytest.approx(183.9)
    assert shown["inference_share"].p95_ms == pytest.approx(85.1 / 32)


def test_percentiles_differ_where_durations_do() -> None:
    outcomes = [classified(stages_ms={Stage.FETCH: float(ms)}) for ms in range(1, 101)]
    (fetch, *_) = summary_of(*outcomes).latencies
    assert [fetch.p50_ms, fetch.p95_ms, fetch.p99_ms] == pytest.approx([50, 95, 99], rel=0.036)


def test_stage_that_nothing_reached_is_left_out() -> None:
    stages = [latency.stage for latency in summary_of(failed(), cached()).latencies]
    assert stages == ["queue", "fetch", "total"]


def test_failed_inputs_count_in_the_stages_they_went_through() -> None:
    counts = {
        latency.stage: latency.count for latency in summary_of(failed(), classified()).latencies
    }
    assert (counts["fetch"], counts["decode"]) == (2, 1)


def test_slowest_stage_is_work_and_no_wait() -> None:
    slow_wait = {Stage.QUEUE: 900.0, Stage.FETCH: 5.0, Stage.DECODE: 7.0, Stage.INFERENCE: 6.0}
    assert summary_of(classified(stages_ms=slow_wait)).slowest_stage == "decode"


def test_run_without_work_has_no_slowest_stage() -> None:
    assert summary_of(failed(stages_ms={})).slowest_stage is None


def test_summary_in_between_changes_nothing() -> None:
    metrics = RunMetrics()
    metrics.observe(classified())
    first = metrics.summary(1.0)
    metrics.observe(failed())
    assert (first.total, metrics.summary(1.0).total) == (1, 2)
