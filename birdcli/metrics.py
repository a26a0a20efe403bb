"""Counters, latencies and percentiles of a run."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.items import CacheState, Classified, Failed, Stage

if TYPE_CHECKING:
    from birdcli.errors import ErrorCode
    from birdcli.items import Outcome

BACKGROUND_LABEL: Final = "background"
TOTAL: Final = "total"
INFERENCE_SHARE: Final = "inference_share"

_WORK: Final = (Stage.FETCH, Stage.DECODE, Stage.INFERENCE)
_LOWEST_MS: Final = 0.001
_PER_OCTAVE: Final = 10
_BUCKETS: Final = 34 * _PER_OCTAVE  # 1 µs to 4.7 hours


class LatencyHistogram:
    """Durations counted in buckets of a fixed ratio: 340 numbers, however many are observed.

    Bounds are a factor of 2^(1/10) apart and a bucket answers with its geometric middle, so a
    percentile is within 3.6 % of the exact one. Below 1 µs and above 4.7 hours it is only within
    the smallest and the largest duration seen.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self.count = 0
        self._buckets = [0] * _BUCKETS
        self._smallest_ms = math.inf
        self._largest_ms = 0.0

    def observe(self, duration_ms: float) -> None:
        """Counts one duration, milliseconds; one below 0, from clocks that differ, counts as 0."""
        duration_ms = max(duration_ms, 0.0)
        octaves = math.log2(max(duration_ms, _LOWEST_MS) / _LOWEST_MS)
        self._buckets[min(int(octaves * _PER_OCTAVE), _BUCKETS - 1)] += 1
        self.count += 1
        self._smallest_ms = min(self._smallest_ms, duration_ms)
        self._largest_ms = max(self._largest_ms, duration_ms)

    def percentile(self, percent: float) -> float:
        """Returns the duration that so many percent do not exceed, milliseconds.

        Args:
            percent: Above 0, up to 100.

        Raises:
            ValueError: Nothing was observed.

        Source:
            Nearest rank: the value at position ceil(percent / 100 * count).
        """
        if not self.count:
            raise ValueError("no durations, no percentile")
        rank = max(1, math.ceil(percent / 100.0 * self.count))
        bucket, seen = 0, self._buckets[0]
        while seen < rank:
            bucket += 1
            seen += self._buckets[bucket]
        middle_ms = _LOWEST_MS * math.exp2((bucket + 0.5) / _PER_OCTAVE)
        return min(max(middle_ms, self._smallest_ms), self._largest_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """Where the time went before an engine could answer, seconds.

    Attributes:
        imports_s: Importing the engine's library.
        model_s: Reading and compiling the model, and preparing it if it had to be.
        first_batch_s: The golden outputs, its first batch.
    """

    imports_s: float
    model_s: float
    first_batch_s: float

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.imports_s + self.model_s + self.first_batch_s


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLatency:
    """How long one stage took, over all inputs that finished it.

    Attributes:
        stage: A `Stage`, `total` or `inference_share`.
        count: Inputs.
        p50_ms: Half took no longer, milliseconds.
        p95_ms: 95 % took no longer.
        p99_ms: 99 % took no longer.
    """

    stage: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCount:
    """One kind of failure, with the first input that failed so."""

    code: ErrorCode
    count: int
    first: Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did.

    Attributes:
        named: Inputs with an answer.
        failures: Failed inputs by code, most frequent first, equally many by code.
        retryable: Failed inputs that may succeed later.
        cache_hits: Answers that came from the result cache.
        repeats: Answers to a URL that this run had asked for already.
        background: Answers whose best guess is that there is no bird.
        batch_sizes: Size of the batch and number of inputs classified in such batches, ascending.
        latencies: Stages in their order, then `total`, then `inference_share`; failed inputs count
            in the stages they went through.
        wall_s: From the first input to the last record, seconds.
    """

    named: int
    failures: tuple[FailureCount, ...]
    retryable: int
    cache_hits: int
    repeats: int
    background: int
    batch_sizes: tuple[tuple[int, int], ...]
    latencies: tuple[StageLatency, ...]
    wall_s: float

    @property
    def failed(self) -> int:
        """Inputs without an answer."""
        return sum(failure.count for failure in self.failures)

    @property
    def total(self) -> int:
        """All inputs that have a record."""
        return self.named + self.failed

    @property
    def inputs_per_s(self) -> float:
        """Inputs with a record per second of wall time, 0 for a run without duration."""
        return self.total / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def mean_batch_size(self) -> float:
        """Images per batch, 0 if nothing was classified."""
        batches = sum(images / size for size, images in self.batch_sizes)
        return sum(images for _, images in self.batch_sizes) / batches if batches else 0.0

    @property
    def slowest_stage(self) -> str | None:
        """The work with the longest median for one input, None if none was done.

        Waits do not count: what an input waits for is the work of others.
        """
        work = [latency for latency in self.latencies if latency.stage in _WORK]
        return max(work, key=lambda latency: latency.p50_ms).stage if work else None


class RunMetrics:
    """Counts the outcomes of a run, in memory that does not grow with it; for one thread."""

    def __init__(self) -> None:
        """Starts at zero."""
        self._named = 0
        self._retryable = 0
        self._cache_hits = 0
        self._repeats = 0
        self._background = 0
        self._failures: Counter[ErrorCode] = Counter()
        self._first_failures: dict[ErrorCode, Failed] = {}
        self._batch_sizes: Counter[int] = Counter()
        self._latencies = {
            name: LatencyHistogram()
            for name in (*(stage.value for stage in Stage), TOTAL, INFERENCE_SHARE)
        }

    @property
    def total(self) -> int:
        """Outcomes so far."""
        return self._named + self.failed

    @property
    def failed(self) -> int:
        """Failures so far."""
        return self._failures.total()

    def observe(self, outcome: Outcome) -> None:
        """Counts one outcome."""
        stages = outcome.timings.stages_ms()
        for stage, duration_ms in stages.items():
            self._latencies[stage.value].observe(duration_ms)
        self._latencies[TOTAL].observe(outcome.timings.total_ms)
        if isinstance(outcome, Failed):
            self._observe_failed(outcome)
        else:
            self._observe_classified(outcome, stages.get(Stage.INFERENCE))

    def summary(self, wall_s: float) -> RunSummary:
        """Returns the counts and percentiles so far, for a run that took `wall_s` seconds."""
        return RunSummary(
            named=self._named,
            failures=tuple(
                FailureCount(code=code, count=count, first=self._first_failures[code])
                for code, count in sorted(
                    self._failures.items(), key=lambda item: (-item[1], item[0])
                )
            ),
            retryable=self._retryable,
            cache_hits=self._cache_hits,
            repeats=self._repeats,
            background=self._background,
            batch_sizes=tuple(sorted(self._batch_sizes.items())),
            latencies=tuple(
                StageLatency(
                    stage=stage,
                    count=histogram.count,
                    p50_ms=histogram.percentile(50),
                    p95_ms=histogram.percentile(95),
                    p99_ms=histogram.percentile(99),
                )
                for stage, histogram in self._latencies.items()
                if histogram.count
            ),
            wall_s=wall_s,
        )

    def _observe_failed(self, outcome: Failed) -> None:
        code = outcome.error.code
        self._failures[code] += 1
        first = self._first_failures.setdefault(code, outcome)
        if outcome.ref.index < first.ref.index:  # they come as they finish
            self._first_failures[code] = outcome
        self._retryable += outcome.error.retryable

    def _observe_classified(self, outcome: Classified, inference_ms: float | None) -> None:
        self._named += 1
        if outcome.repeated:
            self._repeats += 1
        else:
            self._cache_hits += outcome.cache is CacheState.HIT
        best = outcome.predictions[0] if outcome.predictions else None
        self._background += best is not None and best.label == BACKGROUND_LABEL
        if outcome.batch_size:
            self._batch_sizes[outcome.batch_size] += 1
            if inference_ms is not None:
                self._latencies[INFERENCE_SHARE].observe(inference_ms / outcome.batch_size)
