"""Batches of decoded images to outcomes, on an engine that is loaded when it is needed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from birdcli.classifier import top_k_of_each
from birdcli.errors import InferenceError
from birdcli.items import CachedAnswer, CacheState, Classified, ErrorInfo, Failed, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from birdcli.items import DecodedImage, Outcome, Prediction, RgbBatch
    from birdcli.labels import LabelSet
    from birdcli.ports import AnswerCache, Classifier


class Engine:
    """A classifier that is loaded, once, when the first image needs it."""

    def __init__(self, load: Callable[[], Classifier]) -> None:
        """Keeps `load` for later; a run whose answers are all cached never calls it."""
        self._load = load
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="birdcli-load")
        self._loading: asyncio.Future[Classifier] | None = None

    def start(self) -> asyncio.Future[Classifier]:
        """Begins to load, if nobody has, and returns the classifier to come."""
        if self._loading is None:
            loop = asyncio.get_running_loop()
            self._loading = asyncio.ensure_future(loop.run_in_executor(self._loader, self._load))
            self._loading.add_done_callback(_note_failure)
        return self._loading

    def close(self) -> None:
        """Gives up what has not begun, without waiting."""
        self._loader.shutdown(wait=False, cancel_futures=True)


def _note_failure(loading: asyncio.Future[Classifier]) -> None:
    """Marks an error as seen: where no picture needs the engine, nobody asks for it."""
    if not loading.cancelled():
        loading.exception()


class Streams:
    """As many batches at once as a classifier takes, each in a thread and an array of its own."""

    def __init__(
        self,
        classifier: Classifier,
        *,
        labels: LabelSet,
        top_k: int,
        model: str,
        answers: AnswerCache | None,
        clock: Callable[[], float],
    ) -> None:
        """Starts no thread yet.

        Args:
            classifier: The engine.
            labels: Its class names.
            top_k: Guesses per image.
            model: `name@version`.
            answers: Where answers are kept for later runs, or None.
            clock: Seconds of the clock the timings are marked with.
        """
        self._classifier = classifier
        self._labels = labels
        self._top_k = top_k
        self._model = model
        self._answers = answers
        self._clock = clock
        self._threads = ThreadPoolExecutor(
            classifier.streams, thread_name_prefix="birdcli-inference"
        )
        self._free = asyncio.Semaphore(classifier.streams)
        # A batch in new memory costs more than copying it: the system clears every page first.
        self._arrays: list[RgbBatch] = []

    async def acquire(self) -> None:
        """Waits until `classify` would begin at once; each acquisition is for one call of it."""
        await self._free.acquire()

    async def classify(self, batch: Sequence[DecodedImage]) -> list[Outcome]:
        """Returns the outcomes of a batch, in its order, and lets the next one in."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._classify, batch)
        finally:
            self._free.release()

    def close(self) -> None:
        """Gives up what has not begun, without waiting."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _classify(self, batch: Sequence[DecodedImage]) -> list[Outcome]:
        array = self._take_array(batch)
        started_s = self._clock()
        outcomes = self._classify_in(array, batch, started_s)
        self._arrays.append(array)
        return outcomes

    def _take_array(self, batch: Sequence[DecodedImage]) -> RgbBatch:
        try:
            array = self._arrays.pop()
        except IndexError:
            array = None
        if array is None or len(array) < len(batch):
            array = np.empty((len(batch), *batch[0].pixels.shape), np.uint8)
        return array

    def _classify_in(
        self, array: RgbBatch, batch: Sequence[DecodedImage], started_s: float
    ) -> list[Outcome]:
        pixels = array[: len(batch)]
        np.stack([image.pixels for image in batch], out=pixels)
        try:
            scores = self._classifier.classify(pixels)
        except InferenceError as err:
            if len(batch) == 1:
                return [self._failed(batch[0], err, started_s, self._clock())]
            return [  # one image must not cost the others their answers
                outcome
                for image in batch
                for outcome in self._classify_in(array, [image], self._clock())
            ]
        ended_s = self._clock()
        return [
            self._failed(image, best, started_s, ended_s)
            if isinstance(best, InferenceError)
            else self._answered(image, best, started_s, ended_s, len(batch))
            for image, best in zip(
                batch, top_k_of_each(scores, self._labels, self._top_k), strict=True
            )
        ]

    def _failed(
        self, image: DecodedImage, error: InferenceError, started_s: float, ended_s: float
    ) -> Failed:
        timings = image.timings.mark(Stage.BATCH_WAIT, started_s).mark(Stage.INFERENCE, ended_s)
        return Failed(ref=image.ref, error=ErrorInfo.from_error(error), timings=timings)

    def _answered(
        self,
        image: DecodedImage,
        predictions: tuple[Prediction, ...],
        started_s: float,
        ended_s: float,
        batch_size: int,
    ) -> Classified:
        backend = self._classifier.backend
        # Of a file that was cut off, the answer is only for those who allow it.
        if self._answers is not None and not image.image.truncated:
            answer = CachedAnswer(image=image.image, predictions=predictions, backend=backend)
            self._answers.put(image.image.sha256, answer)
        return Classified(
            ref=image.ref,
            image=image.image,
            predictions=predictions,
            model=self._model,
            backend=backend,
            cache=CacheState.OFF if self._answers is None else CacheState.MISS,
            batch_size=batch_size,
            timings=image.timings.mark(Stage.BATCH_WAIT, started_s).mark(Stage.INFERENCE, ended_s),
        )
