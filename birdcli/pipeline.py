"""Stages wired together, with cancellation."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from birdcli.batching import iter_batches
from birdcli.channel import Channel
from birdcli.errors import ItemError
from birdcli.inference import Streams
from birdcli.items import DecodedImage, Failed, FetchedImage, SourceKind, Stage, Timings, Unread
from birdcli.prepare import Preparer, failed_input
from birdcli.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from birdcli.channel import Sender
    from birdcli.inference import Engine
    from birdcli.items import ImageRef, Outcome
    from birdcli.labels import LabelSet
    from birdcli.ports import AnswerCache, Decoder, Fetcher, FileReader
    from birdcli.recall import Recall
    from birdcli.settings import BatchSettings, PipelineSettings

T = TypeVar("T")

_LOOKED_UP_TOGETHER: Final = 64
_DISK_WAITERS: Final = 2  # further threads, as some of them wait for a disk


class OutcomeSink(Protocol):
    """Where outcomes go, in the order they are written."""

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Writes outcomes; called in a thread, one call at a time.

        Raises:
            OutputError: They cannot be written; the run ends.
        """
        ...


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
        reader: FileReader,
        decoder: Decoder,
        engine: Engine,
        labels: LabelSet,
        model: str,
        answers: AnswerCache | None,
        recall: Recall | None = None,
        sink: OutcomeSink,
        settings: PipelineSettings,
        batching: BatchSettings,
        clock: Callable[[], float],
    ) -> None:
        """Wires the stages; nothing runs before `run`."""
        self._fetcher = fetcher
        self._engine = engine
        self._labels = labels
        self._model = model
        self._answers = answers
        self._recall = recall
        self._sink = sink
        self._settings = settings
        self._batching = batching
        self._clock = clock
        self._preparer = Preparer(
            reader=reader,
            decoder=decoder,
            answers=answers,
            recall=recall,
            model=model,
            clock=clock,
        )
        workers = settings.decoding + _DISK_WAITERS
        self._preparing = 2 * workers  # a free thread finds its next image without the loop
        self._window = asyncio.Semaphore(settings.window)
        self._budget = ByteBudget(settings.max_bytes)
        self._order: deque[int] = deque()
        self._fetching: set[asyncio.Task[None]] = set()
        self._giving_up = False
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="birdcli-prepare")
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
        urls: Channel[Unread] = Channel(_LOOKED_UP_TOGETHER)
        wanted: Channel[Unread] = Channel(self._settings.fetchers)
        ready: Channel[Unread | FetchedImage] = Channel(2 * self._preparing)
        decoded: Channel[DecodedImage] = Channel(self._settings.decoded_ahead)
        outcomes: Channel[Sequence[Outcome]] = Channel(1024)
        try:
            async with asyncio.TaskGroup() as tasks:
                taking = self._take_inputs(
                    pump, stop, urls.sender(), ready.sender(), outcomes.sender()
                )
                stages = [taking, self._recall_known(urls, wanted.sender(), outcomes.sender())]
                for _ in range(self._settings.fetchers):
                    stages.append(self._fetch(wanted, ready.sender(), outcomes.sender(), stop))
                for _ in range(self._preparing):
                    stages.append(self._prepare(ready, decoded.sender(), outcomes.sender(), stop))
                stages.append(self._classify(decoded, outcomes.sender()))
                stages.append(self._write(outcomes))
                for stage in stages:
                    tasks.create_task(stage)
        finally:
            self._engine.close()
            for executor in (self._workers, self._writes):
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
        urls: Sender[Unread],
        ready: Sender[Unread | FetchedImage],
        outcomes: Sender[Sequence[Outcome]],
    ) -> None:
        async with urls, ready, outcomes:
            async for item in pump.items(stop):
                await self._window.acquire()
                ref = item.ref if isinstance(item, Failed) else item
                if self._settings.ordered:
                    self._order.append(ref.index)
                if isinstance(item, Failed):
                    await outcomes.send([item])
                else:
                    sender = ready if item.kind is SourceKind.FILE else urls
                    await sender.send(Unread(item, Timings(self._clock())))

    async def _recall_known(
        self,
        urls: Channel[Unread],
        wanted: Sender[Unread],
        outcomes: Sender[Sequence[Outcome]],
    ) -> None:
        """Answers what needs no request, and passes the rest on with what is known about it."""
        loop = asyncio.get_running_loop()
        async with wanted, outcomes:
            async for first in urls:
                group = [first, *urls.take_waiting(_LOOKED_UP_TOGETHER)]
                found: Sequence[Unread | Outcome] = group
                if self._recall is not None:
                    look_up = self._recall.look_up
                    found = await loop.run_in_executor(self._workers, look_up, group)
                for item in found:
                    if isinstance(item, Unread):
                        if item.is_new:
                            self._engine.start()  # it loads beside the first download
                        await wanted.send(item)
                    else:
                        await outcomes.send([item])

    async def _fetch(
        self,
        wanted: Channel[Unread],
        ready: Sender[Unread | FetchedImage],
        outcomes: Sender[Sequence[Outcome]],
        stop: asyncio.Event,
    ) -> None:
        async with ready, outcomes:
            async for unread in wanted:
                if stop.is_set():
                    continue
                try:
                    image = await self._unless_given_up(
                        self._fetcher.fetch(unread.ref, unread.timings, known=unread.known)
                    )
                except _GivenUpError:
                    continue
                except ItemError as err:
                    await outcomes.send([self._failed(unread, err)])
                    continue
                await self._budget.acquire(len(image.data))
                await ready.send(image)

    async def _unless_given_up(self, work: Awaitable[T]) -> T:
        """Waits for what may take forever, such as a server or a disk."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only ever runs in a task
        self._fetching.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            if self._giving_up and task.uncancel() == 0:
                raise _GivenUpError from None
            raise
        finally:
            self._fetching.discard(task)

    async def _prepare(
        self,
        ready: Channel[Unread | FetchedImage],
        decoded: Sender[DecodedImage],
        outcomes: Sender[Sequence[Outcome]],
        stop: asyncio.Event,
    ) -> None:
        loop = asyncio.get_running_loop()
        async with decoded, outcomes:
            async for item in ready:
                if isinstance(item, Unread):
                    if stop.is_set():
                        continue
                    work = loop.run_in_executor(self._workers, self._preparer.prepare, item)
                    try:
                        result = await self._unless_given_up(work)
                    except _GivenUpError:
                        continue
                else:
                    result = await self._prepare_fetched(item)
                    self._budget.release(len(item.data))
                if isinstance(result, DecodedImage):
                    # Not before: a list of broken pictures needs no engine.
                    self._engine.start()
                    await decoded.send(result)
                else:
                    await outcomes.send([result])

    async def _prepare_fetched(self, image: FetchedImage) -> DecodedImage | Outcome:
        loop = asyncio.get_running_loop()
        if image.unchanged:
            prepare = self._preparer.prepare_unchanged
            result = await loop.run_in_executor(self._workers, prepare, image)
            if result is not None:
                return result
            try:  # known by its validators, yet answer and bytes have left the cache
                image = await self._fetcher.fetch(image.ref, image.timings)
            except ItemError as err:
                return self._failed(image, err)
        return await loop.run_in_executor(self._workers, self._preparer.prepare, image)

    async def _classify(
        self, decoded: Channel[DecodedImage], outcomes: Sender[Sequence[Outcome]]
    ) -> None:
        streams: Streams | None = None

        async def classify(streams: Streams, batch: list[DecodedImage]) -> None:
            await outcomes.send(await streams.classify(batch))

        try:
            async with outcomes, asyncio.TaskGroup() as running:
                async for batch in iter_batches(decoded, self._batching, clock=self._clock):
                    if streams is None:
                        streams = await self._open_streams()
                    await streams.acquire()
                    # What came while the engine was loading or busy belongs into this batch.
                    batch.extend(decoded.take_waiting(self._batching.max_size - len(batch)))
                    running.create_task(classify(streams, batch))
        finally:
            if streams is not None:
                streams.close()

    async def _open_streams(self) -> Streams:
        return Streams(
            await self._engine.start(),
            labels=self._labels,
            top_k=self._settings.top_k,
            model=self._model,
            answers=self._answers,
            clock=self._clock,
        )

    def _failed(self, item: Unread | FetchedImage, err: ItemError) -> Failed:
        return failed_input(item.ref, item.timings, err, at=(Stage.FETCH, self._clock()))

    async def _write(self, outcomes: Channel[Sequence[Outcome]]) -> None:
        loop = asyncio.get_running_loop()
        waiting: dict[int, Outcome] = {}
        async for first in outcomes:
            ready: list[Outcome] = []
            for group in (first, *outcomes.take_waiting(1024)):
                if self._settings.ordered:
                    waiting.update((outcome.ref.index, outcome) for outcome in group)
                else:
                    ready.extend(group)
            while self._order and self._order[0] in waiting:
                ready.append(waiting.pop(self._order.popleft()))
            if ready:
                await loop.run_in_executor(self._writes, self._sink.write, ready)
                for _ in ready:
                    self._window.release()
        if waiting:  # after a stop, what finished behind inputs that did not
            rest = [outcome for _, outcome in sorted(waiting.items())]
            await loop.run_in_executor(self._writes, self._sink.write, rest)
