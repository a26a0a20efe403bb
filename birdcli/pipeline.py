"""Stages wired together, with cancellation."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.batching import iter_batches
from birdcli.budget import ByteBudget
from birdcli.channel import Channel
from birdcli.download_slot import DownloadSlot
from birdcli.errors import ItemError
from birdcli.hosts import Hosts, host_of
from birdcli.inference import Streams
from birdcli.items import DecodedImage, Failed, FetchedImage, SourceKind, Stage, Timings, Unread
from birdcli.ordering import RecordOrder
from birdcli.prepare import Preparer, failed_input, stuck_error
from birdcli.pump import Pump
from birdcli.sharing import SharedUrls
from birdcli.watch import Watch
from birdcli.worker_threads import AbandonedError, WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from birdcli.budget import ByteShare
    from birdcli.channel import Sender
    from birdcli.hosts import Turn
    from birdcli.inference import Engine
    from birdcli.items import ImageRef, Outcome
    from birdcli.labels import LabelSet
    from birdcli.ports import AnswerCache, Decoder, Fetcher, FileReader, Looks, OutcomeSink
    from birdcli.recall import Recall
    from birdcli.settings import BatchSettings, PipelineSettings

_READ_AHEAD: Final = 256
_LOOKED_UP_TOGETHER: Final = 64
_PATIENCE_S: Final = 1.0
_LAST_WRITE_S: Final = 0.3
_DISK_WAITERS: Final = 2  # further threads, as some of them wait for a disk


class _GivenUpError(Exception):
    """The run was stopped, and this input took too long to finish."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A download on its way to a decoder, with the memory it holds."""

    image: FetchedImage
    share: ByteShare


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
        hosts: Hosts[Unread] | None = None,
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
        self._places = asyncio.Semaphore(settings.fetchers)
        self._hosts = Hosts[Unread](per_host=settings.fetchers) if hosts is None else hosts
        self._order = RecordOrder()
        self._shared = SharedUrls(clock)
        self.watch = Watch()
        self._fetching: set[asyncio.Task[None]] = set()
        self._giving_up = False
        self._hurried = asyncio.Event()
        self._workers = WorkerThreads(workers, name="birdcli-prepare")
        self._looking_up = ThreadPoolExecutor(1, thread_name_prefix="birdcli-recall")
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="birdcli-write")

    async def run(
        self,
        inputs: Iterable[ImageRef | Failed],
        *,
        stop: asyncio.Event,
        looks: Looks | None = None,
    ) -> bool:
        """Processes every input, or until `stop` is set those already taken.

        Args:
            inputs: What to classify, iterated in a thread, as it blocks.
            stop: Set it to begin no further inputs and to finish those in flight.
            looks: By which `inputs` are found, if they may hang; a new iteration goes on then.

        Returns:
            Whether the list's reader is still waiting for input, after a stop.

        Raises:
            ExceptionGroup: Of `BirdError` if the model or the output fails.
            UsageError: The list broke off; the inputs before that have their outcomes.
        """
        pump = Pump(inputs, ahead=_READ_AHEAD)
        urls: Channel[Unread] = Channel(_LOOKED_UP_TOGETHER)
        ready: Channel[Unread | _Fetched] = Channel(2 * self._preparing)
        decoded: Channel[DecodedImage] = Channel(self._settings.decoded_ahead)
        outcomes: Channel[Sequence[Outcome]] = Channel(1024)
        if looks is not None:
            self.watch.listing = looks.waiting
        watching = asyncio.create_task(self._abandon_stuck(pump, looks))
        stopping = asyncio.create_task(self._on_stop(outcomes, stop))
        try:
            async with asyncio.TaskGroup() as tasks:
                senders = urls.sender(), ready.sender(), outcomes.sender()
                taking = self._take_inputs(pump, stop, *senders)
                stages = [taking, self._recall_known(urls, outcomes.sender())]
                stages.append(self._fetch_all(ready.sender(), outcomes.sender(), stop))
                for _ in range(self._preparing):
                    stages.append(self._prepare(ready, decoded.sender(), outcomes.sender(), stop))
                stages += [self._classify(decoded, outcomes.sender()), self._write(outcomes)]
                for stage in stages:
                    tasks.create_task(stage)
            await self._write_rest()
        except asyncio.CancelledError:
            await self._write_rest()
            raise
        finally:
            watching.cancel()
            stopping.cancel()
            self._engine.close()
            self._workers.close()
            for executor in (self._looking_up, self._writes):
                executor.shutdown(wait=False, cancel_futures=True)
        if pump.error is not None:  # only now: the inputs before it have their records
            raise pump.error
        return pump.reading

    def hurry(self) -> None:
        """After a stop: writes what is finished at once, as nobody knows how much time is left."""
        self._hurried.set()

    def give_up(self) -> None:
        """After a stop: abandons what is still being fetched or read, and finishes the rest."""
        self.hurry()
        self._giving_up = True
        for task in self._fetching:
            task.cancel()
        self._workers.abandon(older_than_s=0.0)

    async def _take_inputs(
        self,
        pump: Pump[ImageRef | Failed],
        stop: asyncio.Event,
        urls: Sender[Unread],
        ready: Sender[Unread | _Fetched],
        outcomes: Sender[Sequence[Outcome]],
    ) -> None:
        async with urls, ready, outcomes:
            async for item in pump.items(stop):
                await self._window.acquire()
                ref = item.ref if isinstance(item, Failed) else item
                if self._settings.ordered:
                    self._order.expect(ref.index)
                if isinstance(item, Failed):
                    await outcomes.send([item])
                else:
                    sender = ready if item.kind is SourceKind.FILE else urls
                    await sender.send(Unread(item, Timings(self._clock())))

    async def _recall_known(
        self, urls: Channel[Unread], outcomes: Sender[Sequence[Outcome]]
    ) -> None:
        """Answers what needs no request, and passes the rest on with what is known about it."""
        async with outcomes:
            async for first in urls:
                group: list[Unread] = []
                for item in (first, *urls.take_waiting(_LOOKED_UP_TOGETHER)):
                    if (outcome := self._shared.finished(item)) is not None:
                        await outcomes.send([outcome])
                    elif self._shared.is_first(item):
                        group.append(item)
                for found in await self._look_up(group):
                    if isinstance(found, Unread):
                        if found.is_new:
                            self._engine.start()  # it loads beside the first download
                        self._hosts.put(host_of(found.ref.source), found)
                    else:
                        await outcomes.send([found])
        self._hosts.end()

    async def _look_up(self, group: list[Unread]) -> Sequence[Unread | Outcome]:
        if self._recall is None or not group:
            return group
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._looking_up, self._recall.look_up, group)

    async def _fetch_all(
        self,
        ready: Sender[Unread | _Fetched],
        outcomes: Sender[Sequence[Outcome]],
        stop: asyncio.Event,
    ) -> None:
        async with ready, outcomes, asyncio.TaskGroup() as running:
            while (turn := await self._hosts.turn()) is not None:
                if turn.refused is not None:
                    turn.refused.queued_until_s = self._clock()  # it was never asked for
                    await outcomes.send([self._failed(turn.item, turn.refused)])
                    continue
                if stop.is_set():
                    self._hosts.give_back(turn)
                    continue
                await self._places.acquire()
                slot = DownloadSlot(self._places, await self._budget.share())
                running.create_task(self._fetch(turn, slot, ready, outcomes))

    async def _fetch(
        self,
        turn: Turn[Unread],
        slot: DownloadSlot,
        ready: Sender[Unread | _Fetched],
        outcomes: Sender[Sequence[Outcome]],
    ) -> None:
        unread = turn.item
        self.watch.enter(unread.ref, Stage.FETCH)
        try:
            image = await self._unless_given_up(
                self._fetcher.fetch(unread.ref, unread.timings, known=unread.known, slot=slot)
            )
        except _GivenUpError:
            slot.share.close()
        except ItemError as err:
            slot.share.close()
            await outcomes.send([self._failed(unread, err)])
        else:
            slot.share.settle(len(image.data))
            await ready.send(_Fetched(image, slot.share))
        finally:
            slot.leave()
            self._hosts.give_back(turn)

    async def _unless_given_up(self, work: Awaitable[FetchedImage]) -> FetchedImage:
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
        ready: Channel[Unread | _Fetched],
        decoded: Sender[DecodedImage],
        outcomes: Sender[Sequence[Outcome]],
        stop: asyncio.Event,
    ) -> None:
        async with decoded, outcomes:
            async for item in ready:
                try:
                    if isinstance(item, _Fetched):
                        with item.share:
                            result = await self._prepare_fetched(item.image)
                    elif stop.is_set():
                        continue
                    else:
                        self.watch.enter(item.ref, Stage.FETCH)
                        result = await self._workers.run(self._preparer.prepare, item)
                except AbandonedError:
                    if self._giving_up:
                        continue
                    stuck = item.image if isinstance(item, _Fetched) else item
                    result = self._failed(stuck, stuck_error(stuck.ref, self._settings.stuck_s))
                if isinstance(result, DecodedImage):
                    self.watch.enter(result.ref, Stage.BATCH_WAIT)
                    # Not before: a list of broken pictures needs no engine.
                    self._engine.start()
                    await decoded.send(result)
                else:
                    await outcomes.send([result])

    async def _prepare_fetched(self, image: FetchedImage) -> DecodedImage | Outcome:
        self.watch.enter(image.ref, Stage.DECODE)
        if image.unchanged:
            result = await self._workers.run(self._preparer.prepare_unchanged, image)
            if result is not None:
                return result
            try:  # known by its validators, yet answer and bytes have left the cache
                image = await self._fetcher.fetch(image.ref, image.timings)
            except ItemError as err:
                return self._failed(image, err)
        return await self._workers.run(self._preparer.prepare, image)

    async def _on_stop(self, outcomes: Channel[Sequence[Outcome]], stop: asyncio.Event) -> None:
        await stop.wait()
        self._hosts.drop()
        await self._hurried.wait()
        self._order.end()
        async with outcomes.sender() as sender:
            await sender.send([])  # so that what waits for its turn is written now

    async def _abandon_stuck(self, pump: Pump[ImageRef | Failed], looks: Looks | None) -> None:
        while True:
            await asyncio.sleep(_PATIENCE_S)
            limit_s = _PATIENCE_S if self._giving_up else self._settings.stuck_s
            self._workers.abandon(older_than_s=limit_s)
            if looks is not None and looks.give_up_look():
                pump.go_on()

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
        async for first in outcomes:
            finished: list[Outcome] = []
            for group in (first, *outcomes.take_waiting(1024)):
                for outcome in group:
                    self.watch.leave(outcome.ref)
                    finished += self._shared.settle(outcome)
            for _ in range(await loop.run_in_executor(self._writes, self._deliver, finished)):
                self._window.release()

    def _deliver(self, outcomes: Sequence[Outcome]) -> int:
        """Encodes all, writes those whose turn has come, and returns how many they are."""
        records = [(outcome.ref.index, self._sink.encode(outcome)) for outcome in outcomes]
        ordered = self._settings.ordered
        ready = self._order.put(records) if ordered else [record for _, record in records]
        if ready:
            self._sink.write(ready)
        return len(ready)

    async def _write_rest(self) -> None:
        """After a stop, writes what finished behind inputs that did not."""
        self._order.end()
        with suppress(TimeoutError):  # nobody reads the output any more
            async with asyncio.timeout(_LAST_WRITE_S):
                await asyncio.get_running_loop().run_in_executor(self._writes, self._deliver, [])
