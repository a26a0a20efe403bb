"""Stages wired together, with cancellation."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np

from birdcli.batching import iter_batches
from birdcli.channel import Channel
from birdcli.classifier import top_k
from birdcli.errors import InferenceError, ItemError
from birdcli.items import (
    CachedAnswer,
    CacheState,
    Classified,
    DecodedImage,
    ErrorInfo,
    Failed,
    ImageInfo,
    Stage,
    Timings,
)
from birdcli.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from birdcli.channel import Sender
    from birdcli.items import FetchedImage, ImageRef, Outcome, ScoreBatch
    from birdcli.labels import LabelSet
    from birdcli.ports import AnswerCache, Classifier, Decoder, Fetcher
    from birdcli.settings import BatchSettings, PipelineSettings


class OutcomeSink(Protocol):
    """Where outcomes go, in the order they are written."""

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Writes outcomes; called in a thread, one call at a time.

        Raises:
            OutputError: They cannot be written; the run ends.
        """
        ...


class Engine:
    """A classifier that is loaded, once, when the first image needs it."""

    def __init__(self, load: Callable[[], Classifier]) -> None:
        """Keeps `load` for later; a run whose answers are all cached never calls it."""
        self._load = load
        # One thread: TensorFlow spreads a batch over the cores by itself.
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="birdcli-inference")
        self._loading: asyncio.Future[Classifier] | None = None

    def start(self) -> asyncio.Future[Classifier]:
        """Begins to load, if nobody has, and returns the classifier to come."""
        if self._loading is None:
            loop = asyncio.get_running_loop()
            self._loading = asyncio.ensure_future(loop.run_in_executor(self.executor, self._load))
        return self._loading


class _GivenUpError(Exception):
    """The run was stopped, and this input took too long to finish."""


class ByteBudget:
    """Encoded bytes in memory, bounded; one image larger than the bound passes alone."""

    def __init__(self, limit: int) -> None:
        """Allows `limit` bytes at once."""
        self._limit = limit
        self._used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self, size: int) -> None:
        """Waits until `size` more bytes fit."""
        while self._used and self._used + size > self._limit:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self._used += size

    def release(self, size: int) -> None:
        """Gives `size` bytes back."""
        self._used -= size
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)


class Pipeline:
    """One run: inputs to outcomes, every stage bounded, one outcome per input."""

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        decoder: Decoder,
        decode_workers: int,
        engine: Engine,
        labels: LabelSet,
        model: str,
        answers: AnswerCache | None,
        sink: OutcomeSink,
        settings: PipelineSettings,
        batching: BatchSettings,
        clock: Callable[[], float],
    ) -> None:
        """Wires the stages; nothing runs before `run`."""
        self._fetcher = fetcher
        self._decoder = decoder
        self._engine = engine
        self._labels = labels
        self._model = model
        self._answers = answers
        self._sink = sink
        self._settings = settings
        self._batching = batching
        self._clock = clock
        self._decode_tasks = 2 * decode_workers  # one decodes while the other is looked up
        self._window = asyncio.Semaphore(settings.window)
        self._budget = ByteBudget(settings.max_bytes)
        self._order: deque[int] = deque()
        self._fetching: set[asyncio.Task[None]] = set()
        self._giving_up = False
        self._lookups = ThreadPoolExecutor(2, thread_name_prefix="birdcli-lookup")
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="birdcli-write")

    async def run(self, inputs: Iterator[ImageRef | Failed], *, stop: asyncio.Event) -> bool:
        """Processes every input, or until `stop` is set those already taken.

        Args:
            inputs: A blocking iterator, read in a thread.
            stop: Set it to begin no further inputs and to finish those in flight.

        Returns:
            Whether the list's reader is still waiting for input, after a stop.

        Raises:
            ExceptionGroup: Of `BirdError` if the model or the output fails.
            UsageError: The list broke off; the inputs before that have their outcomes.
        """
        pump = Pump(inputs, ahead=256)
        refs: Channel[tuple[ImageRef, Timings]] = Channel(self._settings.fetchers)
        fetched: Channel[FetchedImage] = Channel(2 * self._decode_tasks)
        decoded: Channel[DecodedImage] = Channel(self._settings.decoded_ahead)
        outcomes: Channel[Outcome] = Channel(1024)
        try:
            async with asyncio.TaskGroup() as tasks:
                stages = [self._take_inputs(pump, stop, refs.sender(), outcomes.sender())]
                for _ in range(self._settings.fetchers):
                    fetching = self._fetch(refs, fetched.sender(), outcomes.sender(), stop)
                    stages.append(fetching)
                for _ in range(self._decode_tasks):
                    stages.append(self._decode(fetched, decoded.sender(), outcomes.sender()))
                stages.append(self._classify(decoded, outcomes.sender()))
                stages.append(self._write(outcomes))
                for stage in stages:
                    tasks.create_task(stage)
        finally:
            for executor in (self._engine.executor, self._lookups, self._writes):
                executor.shutdown(wait=False, cancel_futures=True)
        if pump.error is not None:  # only now: the inputs before it have their records
            raise pump.error
        return pump.reading

    def give_up(self) -> None:
        """After a stop: abandons what is still being fetched, and finishes the rest."""
        self._giving_up = True
        for task in self._fetching:
            task.cancel()

    async def _take_inputs(
        self,
        pump: Pump[ImageRef | Failed],
        stop: asyncio.Event,
        refs: Sender[tuple[ImageRef, Timings]],
        outcomes: Sender[Outcome],
    ) -> None:
        async with refs, outcomes:
            async for item in pump.items(stop):
                await self._window.acquire()
                ref = item.ref if isinstance(item, Failed) else item
                if self._settings.ordered:
                    self._order.append(ref.index)
                if isinstance(item, Failed):
                    await outcomes.send(item)
                else:
                    await refs.send((item, Timings(self._clock())))

    async def _fetch(
        self,
        refs: Channel[tuple[ImageRef, Timings]],
        fetched: Sender[FetchedImage],
        outcomes: Sender[Outcome],
        stop: asyncio.Event,
    ) -> None:
        async with fetched, outcomes:
            async for ref, timings in refs:
                if stop.is_set():
                    continue
                try:
                    image = await self._fetch_one(ref, timings)
                except _GivenUpError:
                    continue
                except ItemError as err:
                    if err.queued_until_s is not None:
                        timings = timings.mark(Stage.QUEUE, err.queued_until_s)
                    ended = self._ended(timings, Stage.FETCH)
                    await outcomes.send(_failed(ref, err, ended))
                    continue
                await self._budget.acquire(len(image.data))
                await fetched.send(image)

    async def _fetch_one(self, ref: ImageRef, timings: Timings) -> FetchedImage:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only ever runs in a task
        self._fetching.add(task)
        try:
            return await self._fetcher.fetch(ref, timings)
        except asyncio.CancelledError:
            if self._giving_up and task.uncancel() == 0:
                raise _GivenUpError from None
            raise
        finally:
            self._fetching.discard(task)

    async def _decode(
        self,
        fetched: Channel[FetchedImage],
        decoded: Sender[DecodedImage],
        outcomes: Sender[Outcome],
    ) -> None:
        async with decoded, outcomes:
            async for image in fetched:
                size = len(image.data)
                try:
                    answer = await self._look_up(image)
                    if answer is not None:
                        await outcomes.send(self._cached(image, answer))
                    else:
                        await decoded.send(await self._decode_one(image))
                except ItemError as err:
                    ended = self._ended(image.timings, Stage.DECODE)
                    await outcomes.send(_failed(image.ref, err, ended))
                finally:
                    self._budget.release(size)

    async def _look_up(self, image: FetchedImage) -> CachedAnswer | None:
        if self._answers is None:
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._lookups, self._answers.get, image.sha256)

    async def _decode_one(self, image: FetchedImage) -> DecodedImage:
        if image.unchanged:  # known by its validators, yet its answer has left the cache meanwhile
            image = await self._fetcher.fetch(image.ref, image.timings, conditional=False)
        result = await self._decoder.decode(image.data)
        self._engine.start()  # not before: a list of broken pictures needs no engine
        timings = image.timings.mark(Stage.DECODE_WAIT, result.started_s)
        return DecodedImage(
            ref=image.ref,
            image=ImageInfo(
                sha256=image.sha256,
                bytes=len(image.data),
                width=result.width,
                height=result.height,
                format=result.format,
            ),
            pixels=result.pixels,
            timings=timings.mark(Stage.DECODE, result.ended_s),
        )

    async def _classify(self, decoded: Channel[DecodedImage], outcomes: Sender[Outcome]) -> None:
        loop = asyncio.get_running_loop()
        async with outcomes:
            async for batch in iter_batches(decoded, self._batching, clock=self._clock):
                classifier = await self._engine.start()
                # What came while the engine was loading belongs into its first batch.
                batch.extend(decoded.take_waiting(self._batching.max_size - len(batch)))
                for outcome in await loop.run_in_executor(
                    self._engine.executor, self._classify_batch, classifier, batch
                ):
                    await outcomes.send(outcome)

    def _classify_batch(self, classifier: Classifier, batch: list[DecodedImage]) -> list[Outcome]:
        started_s = self._clock()
        try:
            scores = classifier.classify(np.stack([image.pixels for image in batch]))
        except InferenceError as err:
            if len(batch) > 1:  # one image must not cost the others their answers
                return [
                    outcome
                    for image in batch
                    for outcome in self._classify_batch(classifier, [image])
                ]
            timings = batch[0].timings.mark(Stage.BATCH_WAIT, started_s)
            return [_failed(batch[0].ref, err, self._ended(timings, Stage.INFERENCE))]
        ended_s = self._clock()
        return [
            self._answer(classifier, image, row, started_s, ended_s, len(batch))
            for image, row in zip(batch, scores, strict=True)
        ]

    def _answer(
        self,
        classifier: Classifier,
        image: DecodedImage,
        scores: ScoreBatch,
        started_s: float,
        ended_s: float,
        batch_size: int,
    ) -> Outcome:
        timings = image.timings.mark(Stage.BATCH_WAIT, started_s).mark(Stage.INFERENCE, ended_s)
        try:
            predictions = top_k(scores, self._labels, self._settings.top_k)
        except InferenceError as err:
            return _failed(image.ref, err, timings)
        if self._answers is not None:
            self._answers.put(
                image.image.sha256,
                CachedAnswer(
                    image=image.image, predictions=predictions, backend=classifier.backend
                ),
            )
        return Classified(
            ref=image.ref,
            image=image.image,
            predictions=predictions,
            model=self._model,
            backend=classifier.backend,
            cache=CacheState.OFF if self._answers is None else CacheState.MISS,
            batch_size=batch_size,
            timings=timings,
        )

    def _cached(self, image: FetchedImage, answer: CachedAnswer) -> Classified:
        return Classified(
            ref=image.ref,
            image=answer.image,
            predictions=answer.predictions,
            model=self._model,
            backend=answer.backend,
            cache=CacheState.HIT,
            batch_size=None,
            timings=image.timings,
        )

    def _ended(self, timings: Timings, stage: Stage) -> Timings:
        return timings.mark(stage, self._clock())

    async def _write(self, outcomes: Channel[Outcome]) -> None:
        loop = asyncio.get_running_loop()
        waiting: dict[int, Outcome] = {}
        async for first in outcomes:
            ready: list[Outcome] = []
            for outcome in (first, *outcomes.take_waiting(1024)):
                if self._settings.ordered:
                    waiting[outcome.ref.index] = outcome
                else:
                    ready.append(outcome)
            while self._order and self._order[0] in waiting:
                ready.append(waiting.pop(self._order.popleft()))
            if ready:
                await loop.run_in_executor(self._writes, self._sink.write, ready)
                for _ in ready:
                    self._window.release()
        if waiting:  # after a stop, what finished behind inputs that did not
            rest = [outcome for _, outcome in sorted(waiting.items())]
            await loop.run_in_executor(self._writes, self._sink.write, rest)


def _failed(ref: ImageRef, error: ItemError, timings: Timings) -> Failed:
    return Failed(ref=ref, error=ErrorInfo.from_error(error), timings=timings)
