"""One outcome per input, whatever fails."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.errors import ErrorCode, FetchError, ModelError, OutputError, UsageError
from birdcli.inference import Engine
from birdcli.inputs import Inputs
from birdcli.items import (
    CachedAnswer,
    CacheState,
    Classified,
    ErrorInfo,
    Failed,
    FetchedImage,
    ImageInfo,
    ImageRef,
    Outcome,
    SourceKind,
    Stage,
    Timings,
    Validators,
)
from birdcli.pipeline import Pipeline
from birdcli.recall import Recall
from birdcli.settings import BatchSettings, ListSettings, PipelineSettings
from tests.fakes import (
    LABELS,
    FakeAnswers,
    FakeClassifier,
    FakeClock,
    FakeDecoder,
    FakeFetcher,
    FakePictures,
    FakeReader,
    FakeStore,
    ListSink,
    image_ref,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from birdcli.download_slot import DownloadSlot
    from birdcli.items import RgbBatch, ScoreBatch
    from birdcli.ports import Classifier, FileReader


WINDOW = 8
KNOWN = Validators(sha256=hashlib.sha256(b"304").hexdigest(), etag='"1"')


class Forgetful(FakeAnswers):
    """Knows an answer that is gone when it is asked for again, as in a cache that is full."""

    asked = 0

    def get(self, sha256: str) -> CachedAnswer | None:
        self.asked += 1
        info = ImageInfo(sha256=sha256, bytes=3, width=2, height=2, format="PNG")
        answer = CachedAnswer(image=info, predictions=(), backend="fake/float32")
        return answer if self.asked == 1 else None


class Bench:
    """A pipeline over fakes."""

    def __init__(
        self,
        *,
        ordered: bool = True,
        sink: ListSink | None = None,
        answers: bool = False,
        streams: int = 1,
    ) -> None:
        self.clock = FakeClock()
        self.fetcher = FakeFetcher(self.clock)
        self.reader: FileReader = FakeReader(self.clock)
        self.decoder = FakeDecoder(self.clock)
        self.classifier = FakeClassifier(streams=streams)
        self.loads = 0
        self.answers = FakeAnswers() if answers else None
        self.store = FakeStore()
        self.pictures = FakePictures({})
        self.sink = sink or ListSink()
        self.ordered = ordered
        self.stuck_s = 60.0
        self.load_error: ModelError | None = None

    def load(self) -> Classifier:
        self.loads += 1
        if self.load_error is not None:
            raise self.load_error
        return self.classifier

    def run(self, inputs: Iterable[ImageRef | Failed]) -> list[Outcome]:
        async def main() -> None:
            await self.pipeline().run(iter(inputs), stop=asyncio.Event())

        asyncio.run(main())
        return self.sink.outcomes

    def recall(self, answers: FakeAnswers) -> Recall:
        return Recall(self.store, answers, model="fake@1", clock=self.clock, pictures=self.pictures)

    def pipeline(self) -> Pipeline:
        return Pipeline(
            fetcher=self.fetcher,
            reader=self.reader,
            decoder=self.decoder,
            engine=Engine(self.load),
            labels=LABELS,
            model="fake@1",
            answers=self.answers,
            recall=None if self.answers is None else self.recall(self.answers),
            sink=self.sink,
            settings=PipelineSettings(
                fetchers=4, window=WINDOW, ordered=self.ordered, stuck_s=self.stuck_s
            ),
            batching=BatchSettings(max_size=3, max_age_s=0.001),
            clock=self.clock,
        )


def refs(*sources: str, kind: SourceKind = SourceKind.URL) -> list[ImageRef]:
    return [image_ref(index, source, kind) for index, source in enumerate(sources)]


def error_code(outcome: Outcome) -> str:
    assert isinstance(outcome, Failed)
    return outcome.error.code


def test_outcomes_come_in_input_order() -> None:
    outcomes = Bench().run(refs(*(f"{letter}.jpg" for letter in "abcdefghijklmnopqrstuvwxyz")))
    assert [outcome.ref.index for outcome in outcomes] == list(range(26))
    assert all(isinstance(outcome, Classified) for outcome in outcomes)


def test_unordered_outcomes_are_the_same_ones() -> None:
    outcomes = Bench(ordered=False).run(refs(*"abcdefghij"))
    assert sorted(outcome.ref.index for outcome in outcomes) == list(range(10))


def test_shards_keep_their_order_though_indexes_have_gaps() -> None:
    outcomes = Bench().run([image_ref(index, kind=SourceKind.URL) for index in (1, 5, 9, 13)])
    assert [outcome.ref.index for outcome in outcomes] == [1, 5, 9, 13]


def test_the_answer_is_that_of_the_right_picture() -> None:
    outcomes = Bench().run(refs("d", "e", "f"))  # 100, 101, 102
    best = [o.predictions[0].class_id for o in outcomes if isinstance(o, Classified)]
    assert best == [0, 1, 2]


def test_each_failure_becomes_its_own_record_and_harms_nobody_else() -> None:
    listed = Failed(
        ref=image_ref(4, "ftp://x"),
        error=ErrorInfo(code=ErrorCode.SOURCE_BAD_SCHEME, message="ftp"),
        timings=Timings(1.0),
    )
    outcomes = Bench().run(
        [*refs("a", "b404", "text", "d"), listed, image_ref(5, "e", SourceKind.URL)]
    )
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Classified",
        "Failed",
        "Failed",
        "Classified",
        "Failed",
        "Classified",
    ]
    assert error_code(outcomes[1]) == "fetch.http_status"
    assert error_code(outcomes[2]) == "decode.not_an_image"
    assert error_code(outcomes[4]) == "source.bad_scheme"


def test_files_are_read_without_the_downloader() -> None:
    bench = Bench()
    outcomes = bench.run(refs("d", "e404", "text", "f", kind=SourceKind.FILE))
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Classified",
        "Failed",
        "Failed",
        "Classified",
    ]
    assert error_code(outcomes[1]) == "source.not_found"
    assert list(outcomes[1].timings.stages_ms()) == [Stage.QUEUE, Stage.FETCH]
    assert list(outcomes[2].timings.stages_ms()) == [Stage.QUEUE, Stage.FETCH, Stage.DECODE]
    assert bench.fetcher.asked == []


def test_urls_and_files_of_one_list_keep_their_order() -> None:
    kinds = [SourceKind.FILE if index % 3 else SourceKind.URL for index in range(60)]
    outcomes = Bench().run(image_ref(index, "a", kind) for index, kind in enumerate(kinds))
    assert [outcome.ref.kind for outcome in outcomes] == kinds


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_as_many_batches_run_at_once_as_the_classifier_has_streams(streams: int) -> None:
    class Counting(FakeClassifier):
        """Holds the first batches until all streams have one."""

        def __init__(self) -> None:
            super().__init__(streams=streams)
            self.all_busy = threading.Event()
            self.lock = threading.Lock()
            self.running = 0
            self.most = 0

        def classify(self, pixels: RgbBatch) -> ScoreBatch:
            with self.lock:
                self.running += 1
                self.most = max(self.most, self.running)
                if self.running == streams:
                    self.all_busy.set()
            assert self.all_busy.wait(10.0)
            scores = super().classify(pixels)
            with self.lock:
                self.running -= 1
            return scores

    bench = Bench()
    counting = bench.classifier = Counting()
    outcomes = bench.run(refs(*("abc" * 20), kind=SourceKind.FILE))
    assert [outcome.ref.index for outcome in outcomes] == list(range(60))
    assert counting.most == streams


def test_an_image_the_engine_refuses_costs_only_itself() -> None:
    outcomes = Bench().run(refs("a", "!", "c"))
    assert [isinstance(outcome, Classified) for outcome in outcomes] == [True, False, True]
    assert error_code(outcomes[1]) == "inference.failed"


def test_a_score_that_is_no_number_costs_only_its_image() -> None:
    outcomes = Bench().run(refs("a", "?", "c"))
    assert [isinstance(outcome, Classified) for outcome in outcomes] == [True, False, True]
    assert error_code(outcomes[1]) == "inference.non_finite"


def test_the_same_url_twice_is_one_download_and_two_records() -> None:
    bench = Bench()
    outcomes = bench.run(refs("a", "b", "a"))
    assert [outcome.ref.index for outcome in outcomes] == [0, 1, 2]
    assert sorted(url for url, _ in bench.fetcher.asked) == ["a", "b"]
    first, _, again = outcomes
    assert isinstance(first, Classified)
    assert isinstance(again, Classified)
    assert again.predictions == first.predictions
    assert again.cache is CacheState.HIT


def test_a_url_that_fails_twice_is_asked_for_once() -> None:
    bench = Bench()
    outcomes = bench.run(refs(*["404"] * 20))
    assert [error_code(outcome) for outcome in outcomes] == ["fetch.http_status"] * 20
    assert len(bench.fetcher.asked) == 1


def test_stages_sum_to_the_total() -> None:
    for outcome in Bench().run(refs("a", "b404", "text", "!", "e")):
        stages = outcome.timings.stages_ms()
        assert all(duration >= 0.0 for duration in stages.values())
        assert sum(stages.values()) == pytest.approx(outcome.timings.total_ms, abs=1e-6)


def test_an_answer_of_an_earlier_run_needs_no_decoder_and_no_engine() -> None:
    bench = Bench(answers=True)
    first = bench.run(refs("a", "b"))
    assert {o.cache for o in first if isinstance(o, Classified)} == {CacheState.MISS}
    assert bench.answers is not None
    again = Bench(answers=True)
    again.answers, again.store = bench.answers, bench.store
    second = again.run(refs("a", "b"))
    assert {o.cache for o in second if isinstance(o, Classified)} == {CacheState.HIT}
    assert [o.predictions for o in second if isinstance(o, Classified)] == [
        o.predictions for o in first if isinstance(o, Classified)
    ]
    assert (again.loads, again.decoder.decoded) == (0, 0)


def test_without_a_cache_records_say_so() -> None:
    (outcome,) = Bench().run(refs("a"))
    assert isinstance(outcome, Classified)
    assert outcome.cache is CacheState.OFF


def test_unchanged_bytes_whose_answer_is_gone_are_fetched_again() -> None:
    bench = Bench(answers=True)
    bench.answers = Forgetful()
    bench.store.kept["304"] = KNOWN
    (outcome,) = bench.run(refs("304"))
    assert isinstance(outcome, Classified)
    assert bench.fetcher.asked == [("304", True), ("304", False)]
    assert outcome.image.bytes == 3


def test_unchanged_bytes_that_were_kept_are_classified_without_a_download() -> None:
    bench = Bench(answers=True)
    bench.store.kept["304"] = KNOWN
    bench.pictures.kept[KNOWN.sha256] = b"304"
    (outcome,) = bench.run(refs("304"))
    assert isinstance(outcome, Classified)
    assert outcome.cache is CacheState.MISS
    assert outcome.image.bytes == 3
    assert bench.fetcher.asked == [("304", True)]


def test_a_second_run_over_urls_without_validators_loads_no_engine() -> None:
    first = Bench(answers=True)
    first.run(refs("http://a", "http://404", "http://text"))
    again = Bench(answers=True)
    again.answers = first.answers
    again.store.kept = {url: replace(it, etag=None) for url, it in first.store.kept.items()}
    outcomes = again.run(refs("http://a", "http://404", "http://text"))
    assert [isinstance(it, Classified) for it in outcomes] == [True, False, False]
    assert {known for _, known in again.fetcher.asked} == {False}
    assert again.loads == 0


def test_unchanged_bytes_with_an_answer_are_not_fetched_again() -> None:
    bench = Bench(answers=True)
    bench.run(refs("304"))
    bench.fetcher.asked.clear()
    bench.store.put_in_this_run.clear()
    outcome = bench.run(refs("304"))[-1]
    assert isinstance(outcome, Classified)
    assert outcome.cache is CacheState.HIT
    assert bench.fetcher.asked == [("304", True)]


def test_unchanged_bytes_that_cannot_be_fetched_again_fail_as_downloads_do() -> None:
    class Gone(FakeFetcher):
        async def fetch(
            self,
            ref: ImageRef,
            timings: Timings,
            *,
            known: Validators | None = None,
            slot: DownloadSlot | None = None,
        ) -> FetchedImage:
            if known is None:
                raise FetchError(ErrorCode.FETCH_HTTP_STATUS, "HTTP 410 Gone", status=410)
            return await super().fetch(ref, timings, known=known, slot=slot)

    bench = Bench(answers=True)
    bench.answers = Forgetful()
    bench.store.kept["304"] = KNOWN
    bench.fetcher = Gone(bench.clock)
    (outcome,) = bench.run(refs("304"))
    assert error_code(outcome) == "fetch.http_status"
    assert list(outcome.timings.stages_ms()) == [Stage.QUEUE, Stage.FETCH]


def test_no_inputs_give_no_outcomes_and_load_nothing() -> None:
    bench = Bench()
    assert bench.run([]) == []
    assert bench.loads == 0


def test_only_failed_inputs_load_nothing() -> None:
    bench = Bench()
    assert len(bench.run(refs("404", "404", kind=SourceKind.FILE))) == 2
    assert bench.loads == 0


def test_a_model_that_cannot_be_loaded_ends_the_run() -> None:
    bench = Bench()
    bench.load_error = ModelError(ErrorCode.MODEL_LOAD_FAILED, "broken")
    with pytest.raises(ExceptionGroup) as caught:
        bench.run(refs(*"abcdefgh"))
    assert caught.group_contains(ModelError, match="broken")


def test_an_output_that_cannot_be_written_ends_the_run() -> None:
    error = OutputError(ErrorCode.OUTPUT_DISK_FULL, "full")
    bench = Bench(sink=ListSink(fail_at=3, error=error))
    with pytest.raises(ExceptionGroup) as caught:
        bench.run(refs(*"abcdefghijklmnop"))
    assert caught.group_contains(OutputError, match="full")
    assert [outcome.ref.index for outcome in bench.sink.outcomes] == [0, 1, 2]


def test_the_list_is_read_no_further_than_the_window() -> None:
    read = 0
    in_flight: list[int] = []

    class Stuck(FakeFetcher):
        """Keeps the first input until the window is full and the loop has nothing else to do."""

        async def fetch(
            self,
            ref: ImageRef,
            timings: Timings,
            *,
            known: Validators | None = None,
            slot: DownloadSlot | None = None,
        ) -> FetchedImage:
            in_flight.append(ref.index)
            if ref.index == 0:
                for _ in range(1000):
                    await asyncio.sleep(0)
                assert max(in_flight) < WINDOW
            return await super().fetch(ref, timings, known=known, slot=slot)

    def inputs() -> Iterator[ImageRef]:
        nonlocal read
        for index in range(2000):
            read += 1
            yield image_ref(index, kind=SourceKind.URL)

    bench = Bench()
    bench.fetcher = Stuck(bench.clock)
    assert len(bench.run(inputs())) == 2000
    assert read == 2000


@pytest.mark.parametrize("kind", SourceKind)
async def test_stop_takes_no_more_inputs_and_finishes_those_in_flight(
    kind: SourceKind,
) -> None:
    bench = Bench()
    stop = asyncio.Event()

    def endless() -> Iterator[ImageRef]:
        index = 0
        while True:
            yield image_ref(index, kind=kind)
            index += 1

    class StopAtFive(ListSink):
        def write(self, records: Sequence[bytes]) -> None:
            super().write(records)
            if len(self.outcomes) >= 5:
                loop.call_soon_threadsafe(stop.set)

    loop = asyncio.get_running_loop()
    sink = StopAtFive()
    bench.sink = sink
    pipeline = bench.pipeline()
    await asyncio.wait_for(pipeline.run(endless(), stop=stop), 10.0)
    indexes = [outcome.ref.index for outcome in sink.outcomes]
    assert indexes == sorted(indexes)
    assert len(indexes) >= 5


async def test_giving_up_abandons_downloads_and_writes_what_finished() -> None:
    """Input 0 never arrives; those behind it are done, and must not be lost with it."""
    bench = Bench()
    stop = asyncio.Event()
    never = asyncio.Event()

    class Hanging(FakeFetcher):
        async def fetch(
            self,
            ref: ImageRef,
            timings: Timings,
            *,
            known: Validators | None = None,
            slot: DownloadSlot | None = None,
        ) -> FetchedImage:
            if ref.index == 0:
                await never.wait()
            return await super().fetch(ref, timings, known=known, slot=slot)

    bench.fetcher = Hanging(bench.clock)
    pipeline = bench.pipeline()
    running = asyncio.ensure_future(pipeline.run(iter(refs("a", "b", "c")), stop=stop))
    async with asyncio.timeout(10.0):
        while bench.classifier.images < 2:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.001)
    stop.set()
    pipeline.give_up()
    await asyncio.wait_for(running, 10.0)
    assert [outcome.ref.index for outcome in bench.sink.outcomes] == [1, 2]


async def test_in_a_hurry_what_waits_for_its_turn_is_written_at_once() -> None:
    """Input 0 never arrives; a second signal may end the process before it is given up."""
    bench = Bench()
    stop = asyncio.Event()

    class Hanging(FakeFetcher):
        async def fetch(
            self,
            ref: ImageRef,
            timings: Timings,
            *,
            known: Validators | None = None,
            slot: DownloadSlot | None = None,
        ) -> FetchedImage:
            if ref.index == 0:
                await asyncio.Event().wait()
            return await super().fetch(ref, timings, known=known, slot=slot)

    bench.fetcher = Hanging(bench.clock)
    pipeline = bench.pipeline()
    running = asyncio.ensure_future(pipeline.run(iter(refs("a", "b", "c")), stop=stop))
    async with asyncio.timeout(10.0):
        while bench.classifier.images < 2:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.001)
        stop.set()
        await asyncio.sleep(0.02)
        assert not bench.sink.outcomes  # by itself, a stop keeps the order
        pipeline.hurry()
        while len(bench.sink.outcomes) < 2:  # noqa: ASYNC110 - nor has the sink
            await asyncio.sleep(0.001)
    assert not running.done()
    pipeline.give_up()
    await asyncio.wait_for(running, 10.0)
    assert [outcome.ref.index for outcome in bench.sink.outcomes] == [1, 2]


def test_a_disk_that_hangs_costs_the_input_that_is_on_it() -> None:
    bench = Bench()
    bench.stuck_s = 0.2
    go_on = threading.Event()

    class Hanging(FakeReader):
        def read(self, ref: ImageRef, timings: Timings) -> FetchedImage:
            if ref.index == 1:
                go_on.wait(30.0)
            return super().read(ref, timings)

    bench.reader = Hanging(bench.clock)
    outcomes = bench.run(refs("a", "b", "c", kind=SourceKind.FILE))
    go_on.set()
    assert [isinstance(outcome, Classified) for outcome in outcomes] == [True, False, True]
    assert error_code(outcomes[1]) == "source.unreadable"


def test_more_hanging_files_than_threads_keep_nobody_waiting() -> None:
    bench = Bench()
    bench.stuck_s = 0.2
    go_on = threading.Event()

    class Hanging(FakeReader):
        def read(self, ref: ImageRef, timings: Timings) -> FetchedImage:
            if ref.index < 9:
                go_on.wait(30.0)
            return super().read(ref, timings)

    bench.reader = Hanging(bench.clock)
    outcomes = bench.run(refs(*"abcdefghijkl", kind=SourceKind.FILE))
    go_on.set()
    assert [isinstance(outcome, Failed) for outcome in outcomes] == [True] * 9 + [False] * 3


def test_a_disk_that_never_says_what_a_path_is_costs_that_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    back = threading.Event()
    real_stat = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        if path == "dead.jpg":
            assert back.wait(30.0)
        return real_stat(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    bench = Bench()
    inputs = Inputs(
        ["a", "dead.jpg", "c"],
        (),
        ListSettings(),
        stdin=io.BytesIO(),
        clock=time.perf_counter,
        patience_s=0.1,
    )

    async def main() -> bool:
        return await bench.pipeline().run(inputs, stop=asyncio.Event(), looks=inputs)

    reading = asyncio.run(main())
    back.set()
    outcomes = bench.sink.outcomes
    assert [isinstance(outcome, Classified) for outcome in outcomes] == [True, False, True]
    assert error_code(outcomes[1]) == "source.unreadable"
    assert not reading, "the inputs have ended, though a thread has not"


async def test_giving_up_abandons_a_disk_that_hangs() -> None:
    bench = Bench()
    stop = asyncio.Event()
    go_on = threading.Event()

    class Hanging(FakeReader):
        def read(self, ref: ImageRef, timings: Timings) -> FetchedImage:
            if ref.index == 0:
                go_on.wait(10.0)
            return super().read(ref, timings)

    bench.reader = Hanging(bench.clock)
    pipeline = bench.pipeline()
    inputs = iter(refs("a", "b", "c", kind=SourceKind.FILE))
    running = asyncio.ensure_future(pipeline.run(inputs, stop=stop))
    async with asyncio.timeout(10.0):
        while bench.classifier.images < 2:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.001)
    stop.set()
    pipeline.give_up()
    await asyncio.wait_for(running, 5.0)
    go_on.set()
    assert [outcome.ref.index for outcome in bench.sink.outcomes] == [1, 2]


def test_a_list_that_breaks_off_ends_the_run_after_the_inputs_before_it() -> None:
    def broken() -> Iterator[ImageRef]:
        for index in range(40):
            yield image_ref(index, kind=SourceKind.URL)
        raise UsageError(ErrorCode.USAGE_INPUT_UNREADABLE, "the list broke off")

    bench = Bench()
    with pytest.raises(UsageError, match="broke off"):
        bench.run(broken())
    assert [outcome.ref.index for outcome in bench.sink.outcomes] == list(range(40))
