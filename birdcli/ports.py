"""The protocols that the pipeline is wired from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from birdcli.download_slot import DownloadSlot
    from birdcli.items import (
        CachedAnswer,
        FetchedImage,
        ImageRef,
        Outcome,
        RgbBatch,
        RgbImage,
        ScoreBatch,
        Timings,
        Validators,
    )
    from birdcli.watch import Busy


class Looks(Protocol):
    """The looks at a disk by which inputs are found."""

    def waiting(self) -> Busy | None:
        """Returns what the disk or the list is asked for; for any thread."""
        ...

    def give_up_look(self) -> bool:
        """Makes a path whose disk has not answered in time a failed input.

        Returns:
            Whether it did: then the inputs are to be iterated anew, in another thread.
        """
        ...


class Fetcher(Protocol):
    """Turns URLs into encoded bytes."""

    async def fetch(
        self,
        ref: ImageRef,
        timings: Timings,
        *,
        known: Validators | None = None,
        slot: DownloadSlot | None = None,
    ) -> FetchedImage:
        """Returns the bytes of one input, with the queue and fetch stages marked.

        Args:
            ref: The input, of kind URL.
            timings: Its timings, started and not yet marked.
            known: What an earlier run knows; then a 304 without bytes is a welcome answer.
            slot: What the download holds, to be told of its size and of its pauses.

        Raises:
            ItemError: The input has no bytes for us; `attempts` is filled in.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecodedPixels:
    """What a decoder makes of one encoded file.

    Attributes:
        pixels: uint8 [H, W, 3] at the model's input size, RGB, read-only.
        width: Pixels of the picture as shown, after EXIF orientation.
        height: Pixels of the picture as shown, after EXIF orientation.
        format: Pillow's name of the format.
        started_s: When decoding began, seconds of `time.perf_counter`.
        ended_s: When it was done.
        truncated: Whether the file ended early and what was missing is grey.
    """

    pixels: RgbImage
    width: int
    height: int
    format: str
    started_s: float
    ended_s: float
    truncated: bool = False


class FileReader(Protocol):
    """Reads local files; called in several threads at once."""

    def read(self, ref: ImageRef, timings: Timings) -> FetchedImage:
        """Returns the bytes of one file, with the queue and fetch stages marked.

        Args:
            ref: The input, of kind FILE.
            timings: Its timings, started and not yet marked.

        Raises:
            SourceError: There is no such file, or it is none for us.
        """
        ...


class Decoder(Protocol):
    """Turns encoded bytes into model-sized pixels; called in several threads at once."""

    def decode(self, data: bytes) -> DecodedPixels:
        """Returns the pixels.

        Raises:
            DecodeError: The bytes are no picture that can be used.
        """
        ...

    def close(self) -> None:
        """Ends what decodes, without waiting for pictures under way; again does nothing."""
        ...


class Classifier(Protocol):
    """A loaded model on one engine."""

    @property
    def backend(self) -> str:
        """Engine and precision, such as `tensorflow/float32`."""
        ...

    @property
    def class_count(self) -> int:
        """C, the number of scores per image."""
        ...

    @property
    def streams(self) -> int:
        """How many threads may call `classify` at once, at least 1; 1 means never two at once."""
        ...

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        """Returns the scores of a batch.

        Args:
            pixels: uint8 [N, H, W, 3] at the model's input size, C-contiguous. The caller
                overwrites them afterwards: scores must not be a view of them.

        Returns:
            float32 [N, C] probabilities.

        Raises:
            InferenceError: The engine refused the batch.
        """
        ...


class AnswerCache(Protocol):
    """Answers of earlier runs for this model, its preprocessing and its labels."""

    def get(self, sha256: str) -> CachedAnswer | None:
        """Returns the answer for these encoded bytes, or None; a broken cache has no answers."""
        ...

    def get_many(self, digests: Iterable[str]) -> dict[str, CachedAnswer]:
        """Returns the answers there are, by the digest of the encoded bytes."""
        ...

    def put(self, sha256: str, answer: CachedAnswer) -> None:
        """Keeps an answer; a cache that cannot be written keeps nothing."""
        ...


class OutcomeSink(Protocol):
    """Where outcomes go: encoded as they finish, written when it is their turn.

    Called in a thread, one call at a time.
    """

    def encode(self, outcome: Outcome) -> bytes:
        """Returns the record of one outcome."""
        ...

    def write(self, records: Sequence[bytes]) -> None:
        """Writes records.

        Raises:
            OutputError: They cannot be written; the run ends.
        """
        ...
