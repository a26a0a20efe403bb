"""One input made ready for the engine, in a worker thread."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from birdcli.errors import DecodeError, ErrorCode, ItemError, SourceError
from birdcli.items import (
    Classified,
    DecodedImage,
    ErrorInfo,
    Failed,
    FetchedImage,
    ImageInfo,
    SourceKind,
    Stage,
    Unread,
)
from birdcli.list_likeness import looks_like_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.items import ImageRef, Outcome, Timings
    from birdcli.ports import AnswerCache, Decoder, FileReader
    from birdcli.recall import Recall


def failed_input(
    ref: ImageRef, timings: Timings, error: ItemError, *, at: tuple[Stage, float]
) -> Failed:
    """Returns an input as failed, in the stage and at the second of `at`."""
    if error.queued_until_s is not None:
        timings = timings.mark(Stage.QUEUE, error.queued_until_s)
    return Failed(ref=ref, error=ErrorInfo.from_error(error), timings=timings.mark(*at))


def stuck_error(ref: ImageRef, stuck_s: float) -> ItemError:
    """Returns why an input was given up that a disk or a decoder has not let go for so long."""
    message = f"It was not read and decoded within {stuck_s:g} s"
    if ref.kind is SourceKind.URL:
        return DecodeError(ErrorCode.DECODE_TIMEOUT, message)
    return SourceError(ErrorCode.SOURCE_UNREADABLE, message, retryable=True)


class Preparer:
    """Reads, hashes, looks up and decodes without a change of threads; for several at once.

    Handing an image from a reader to a decoder costs more than reading it, and its bytes are still
    in the cache of the processor that has hashed them.
    """

    def __init__(
        self,
        *,
        reader: FileReader,
        decoder: Decoder,
        answers: AnswerCache | None,
        recall: Recall | None,
        model: str,
        clock: Callable[[], float],
    ) -> None:
        """Uses what it is given.

        Args:
            reader: Reads files.
            decoder: Decodes.
            answers: Of earlier runs, or None.
            recall: Learns what servers say about their bytes, or None.
            model: `name@version`, for answers.
            clock: Seconds of the clock the timings are marked with.
        """
        self._reader = reader
        self._decoder = decoder
        self._answers = answers
        self._recall = recall
        self._model = model
        self._clock = clock

    def prepare(self, item: Unread | FetchedImage) -> DecodedImage | Outcome:
        """Returns the pixels of an input, its cached answer, or why it has neither."""
        timings, stage = item.timings, Stage.FETCH
        try:
            image = self._reader.read(item.ref, timings) if isinstance(item, Unread) else item
            timings, stage = image.timings, Stage.DECODE
            if self._recall is not None:
                self._recall.learn(image)
            return self._cached_answer(image) or self._decode(image)
        except ItemError as err:
            return failed_input(item.ref, timings, err, at=(stage, self._clock()))

    def prepare_unchanged(self, image: FetchedImage) -> DecodedImage | Outcome | None:
        """Returns what `prepare` does for a 304; None if answer and bytes have left the cache."""
        if (answer := self._cached_answer(image)) is not None:
            if self._recall is not None:
                self._recall.learn(image)
            return answer
        data = None if self._recall is None else self._recall.bytes_of(image.sha256)
        return None if data is None else self.prepare(replace(image, data=data))

    def _cached_answer(self, image: FetchedImage) -> Classified | None:
        answer = None if self._answers is None else self._answers.get(image.sha256)
        if answer is None:
            return None
        return Classified.from_cache(image.ref, answer, model=self._model, timings=image.timings)

    def _decode(self, image: FetchedImage) -> DecodedImage:
        try:
            result = self._decoder.decode(image.data)
        except DecodeError as err:
            _hint_at_list(err, image)
            raise
        timings = image.timings.mark(Stage.DECODE_WAIT, result.started_s)
        return DecodedImage(
            ref=image.ref,
            image=ImageInfo(
                sha256=image.sha256,
                bytes=len(image.data),
                width=result.width,
                height=result.height,
                format=result.format,
                truncated=result.truncated,
            ),
            pixels=result.pixels,
            timings=timings.mark(Stage.DECODE, result.ended_s),
        )


def _hint_at_list(error: DecodeError, image: FetchedImage) -> None:
    """Tells those who give a list in place of a picture how lists are given."""
    if image.ref.kind is not SourceKind.FILE or ("looks_like", "text") not in error.details:
        return
    if looks_like_list(image.data):
        error.hint = f"For a list of inputs: -f {shlex.quote(image.ref.source)}"
