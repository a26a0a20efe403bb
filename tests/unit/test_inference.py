"""Batches on a classifier: arrays that are used again, and one outcome per image."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from birdcli.inference import Engine, Streams
from birdcli.items import Classified, DecodedImage, ImageInfo, Outcome, Stage, Timings
from tests.fakes import LABELS, FakeAnswers, FakeClassifier, FakeClock, image_ref

if TYPE_CHECKING:
    import pytest

    from birdcli.items import RgbBatch, ScoreBatch


class Watching(FakeClassifier):
    """Remembers in which memory batches came."""

    def __init__(self, *, streams: int = 1) -> None:
        super().__init__(streams=streams)
        self.arrays: list[RgbBatch] = []
        self.together: threading.Barrier | None = None

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        self.arrays.append(pixels)
        if self.together is not None:
            self.together.wait(10.0)
        return super().classify(pixels)


def open_streams(classifier: FakeClassifier) -> Streams:
    return Streams(
        classifier, labels=LABELS, top_k=1, model="fake@1", answers=None, clock=FakeClock()
    )


def image(index: int, level: int) -> DecodedImage:
    info = ImageInfo(sha256="0" * 64, bytes=10, width=4, height=3, format="PNG")
    pixels = np.full((2, 2, 3), level, np.uint8)
    timings = Timings(90.0).mark(Stage.DECODE, 91.0)
    return DecodedImage(ref=image_ref(index), image=info, pixels=pixels, timings=timings)


def class_ids(outcomes: list[Outcome]) -> list[int | None]:
    return [o.predictions[0].class_id if isinstance(o, Classified) else None for o in outcomes]


async def test_the_next_batch_takes_the_memory_of_the_last() -> None:
    classifier = Watching()
    streams = open_streams(classifier)
    first = await streams.classify([image(0, 1), image(1, 2), image(2, 3)])
    second = await streams.classify([image(3, 0), image(4, 2)])
    assert class_ids(first) == [1, 2, 3]
    assert class_ids(second) == [0, 2]
    first_array, second_array = classifier.arrays
    assert np.shares_memory(first_array, second_array)
    assert [len(array) for array in classifier.arrays] == [3, 2]
    assert all(array.flags.c_contiguous for array in classifier.arrays)


async def test_a_larger_batch_gets_larger_memory() -> None:
    streams = open_streams(Watching())
    assert class_ids(await streams.classify([image(0, 1)])) == [1]
    assert class_ids(await streams.classify([image(1, 2), image(2, 3)])) == [2, 3]


async def test_batches_at_the_same_time_have_memory_of_their_own() -> None:
    classifier = Watching(streams=2)
    classifier.together = threading.Barrier(2)
    streams = open_streams(classifier)
    outcomes = await asyncio.gather(
        streams.classify([image(0, 1)]), streams.classify([image(1, 2)])
    )
    assert [class_ids(part) for part in outcomes] == [[1], [2]]
    first_array, second_array = classifier.arrays
    assert not np.shares_memory(first_array, second_array)


async def test_a_refused_batch_is_tried_image_by_image() -> None:
    classifier = Watching()
    outcomes = await open_streams(classifier).classify(
        [image(0, 1), image(1, ord("!")), image(2, 3)]
    )
    assert class_ids(outcomes) == [1, None, 3]
    assert [outcome.ref.index for outcome in outcomes] == [0, 1, 2]
    assert [o.batch_size for o in outcomes if isinstance(o, Classified)] == [1, 1]


async def test_inference_is_the_time_of_the_whole_batch() -> None:
    outcomes = await open_streams(Watching()).classify([image(0, 1), image(1, 2)])
    marks = [outcome.timings.marks[-2:] for outcome in outcomes]
    assert marks[0] == marks[1]
    assert [stage for stage, _ in marks[0]] == [Stage.BATCH_WAIT, Stage.INFERENCE]


async def test_the_answer_to_a_part_of_a_picture_is_not_kept() -> None:
    answers = FakeAnswers()
    streams = Streams(
        FakeClassifier(), labels=LABELS, top_k=1, model="fake@1", answers=answers, clock=FakeClock()
    )
    whole, part = image(0, 1), image(1, 2)
    part = replace(part, image=replace(part.image, sha256="1" * 64, truncated=True))
    outcomes = await streams.classify([whole, part])
    assert class_ids(outcomes) == [1, 2]
    assert list(answers.kept) == [whole.image.sha256]


async def test_a_batch_waits_for_a_free_stream() -> None:
    streams = open_streams(Watching())
    await streams.acquire()
    second = asyncio.ensure_future(streams.acquire())
    await asyncio.sleep(0)
    assert not second.done()
    await streams.classify([image(0, 1)])
    await asyncio.wait_for(second, 5.0)


async def test_an_engine_is_loaded_once() -> None:
    loaded: list[FakeClassifier] = []

    def load() -> FakeClassifier:
        loaded.append(FakeClassifier())
        return loaded[-1]

    engine = Engine(load)
    first, second = await asyncio.gather(engine.start(), engine.start())
    engine.close()
    assert loaded == [first]
    assert second is first


async def test_an_engine_that_fails_unneeded_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def load() -> FakeClassifier:
        raise RuntimeError("no engine")

    engine = Engine(load)
    await asyncio.wait([engine.start()])
    engine.close()
    del engine
    gc.collect()
    assert caplog.records == []
