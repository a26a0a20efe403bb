"""Fakes of the ports, with the same contracts as the real ones."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from birdcli.errors import DecodeError, ErrorCode, FetchError, InferenceError, SourceError
from birdcli.items import (
    CachedAnswer,
    DecodedImage,
    FetchedImage,
    ImageInfo,
    ImageRef,
    Outcome,
    SourceKind,
    Stage,
    Timings,
    Validators,
)
from birdcli.labels import LabelSet
from birdcli.ports import DecodedPixels
from birdcli.validators import SeenUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from birdcli.download_slot import DownloadSlot
    from birdcli.items import RgbBatch, ScoreBatch

LABELS = LabelSet(
    labels=("Pica pica", "Corvus corax", "Turdus merula", "background"),
    common_names=("Eurasian Magpie", "Common Raven", None, None),
    background_id=3,
)


class FakeClock:
    """A clock that moves a millisecond with every look."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


def image_ref(index: int, source: str = "a.jpg", kind: SourceKind = SourceKind.FILE) -> ImageRef:
    return ImageRef(index=index, source=source, kind=kind)


def decoded_image(index: int, *, decoded_at_s: float = 1.0) -> DecodedImage:
    info = ImageInfo(sha256="0" * 64, bytes=10, width=4, height=3, format="PNG")
    timings = Timings(decoded_at_s).mark(Stage.DECODE, decoded_at_s)
    pixels = np.zeros((2, 2, 3), np.uint8)
    return DecodedImage(ref=image_ref(index), image=info, pixels=pixels, timings=timings)


class FakeFetcher:
    """Gives the source's own name as bytes; `404` in it fails, `304` is unchanged if known."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.asked: list[tuple[str, bool]] = []

    async def fetch(
        self,
        ref: ImageRef,
        timings: Timings,
        *,
        known: Validators | None = None,
        slot: DownloadSlot | None = None,
    ) -> FetchedImage:
        self.asked.append((ref.source, known is not None))
        if "404" in ref.source:
            raise FetchError(ErrorCode.FETCH_HTTP_STATUS, "HTTP 404 Not Found", status=404)
        unchanged = known is not None and "304" in ref.source
        data = ref.source.encode()
        timings = timings.mark(Stage.QUEUE, self.clock()).mark(Stage.FETCH, self.clock())
        return FetchedImage(
            ref=ref,
            data=b"" if unchanged else data,
            sha256=hashlib.sha256(data).hexdigest(),
            timings=timings,
            unchanged=unchanged,
            offered=Validators(sha256=hashlib.sha256(data).hexdigest(), etag='"1"'),
        )


class FakeReader:
    """Gives the name of the file as its bytes; `404` in it is missing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    def read(self, ref: ImageRef, timings: Timings) -> FetchedImage:
        timings = timings.mark(Stage.QUEUE, self.clock())
        if "404" in ref.source:
            error = SourceError(ErrorCode.SOURCE_NOT_FOUND, "There is no such file")
            error.queued_until_s = timings.marks[-1][1]
            raise error
        data = ref.source.encode()
        return FetchedImage(
            ref=ref,
            data=data,
            sha256=hashlib.sha256(data).hexdigest(),
            timings=timings.mark(Stage.FETCH, self.clock()),
        )


class FakeDecoder:
    """Makes every pixel the first byte of the data; `text` in it is no picture."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.decoded = 0
        self.closed = False

    def decode(self, data: bytes) -> DecodedPixels:
        self.decoded += 1
        if b"text" in data:
            raise DecodeError(ErrorCode.DECODE_NOT_AN_IMAGE, "text is no picture")
        pixels = np.full((2, 2, 3), data[0], np.uint8)
        return DecodedPixels(
            pixels=pixels,
            width=20,
            height=10,
            format="PNG",
            started_s=self.clock(),
            ended_s=self.clock(),
        )

    def close(self) -> None:
        self.closed = True


class FakeClassifier:
    """Likes class (first pixel modulo 4); a first pixel of `!` fails, of `?` gives NaN."""

    backend = "fake/float32"
    class_count = 4
    streams = 1

    def __init__(self, *, streams: int = 1) -> None:
        self.streams = streams
        self.batches: list[int] = []
        self.images = 0

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        self.batches.append(len(pixels))
        self.images += len(pixels)
        first = pixels[:, 0, 0, 0]
        if (first == ord("!")).any():
            raise InferenceError(ErrorCode.INFERENCE_FAILED, "poison")
        scores = np.full((len(pixels), 4), 0.1, np.float32)
        scores[np.arange(len(pixels)), first % 4] = 0.7
        scores[first == ord("?")] = np.nan
        return scores


class FakeAnswers:
    """A result cache in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, CachedAnswer] = {}

    def get(self, sha256: str) -> CachedAnswer | None:
        return self.kept.get(sha256)

    def get_many(self, digests: Iterable[str]) -> dict[str, CachedAnswer]:
        found = ((sha256, self.get(sha256)) for sha256 in digests)
        return {sha256: answer for sha256, answer in found if answer is not None}

    def put(self, sha256: str, answer: CachedAnswer) -> None:
        self.kept[sha256] = answer


class FakeStore:
    """Validators in memory; what was there before was kept by an earlier run."""

    def __init__(self, kept: dict[str, Validators] | None = None) -> None:
        self.kept = kept or {}
        self.put_in_this_run: set[str] = set()

    def get_many(self, urls: Iterable[str]) -> dict[str, SeenUrl]:
        return {
            url: SeenUrl(validators=self.kept[url], in_this_run=url in self.put_in_this_run)
            for url in urls
            if url in self.kept
        }

    def put(self, url: str, validators: Validators) -> None:
        self.kept[url] = validators
        self.put_in_this_run.add(url)

    def forget(self, url: str) -> None:
        self.kept.pop(url, None)


class FakePictures:
    """Encoded bytes in the dictionary of the test."""

    def __init__(self, kept: dict[str, bytes], *, keeps: bool = False) -> None:
        self.kept = kept
        self.keeps = keeps

    def has(self, sha256: str) -> bool:
        return sha256 in self.kept

    def get(self, sha256: str) -> bytes | None:
        return self.kept.get(sha256)

    def put(self, sha256: str, data: bytes) -> None:
        self.kept[sha256] = data


class ListSink:
    """Keeps outcomes; fails at the given count."""

    def __init__(self, *, fail_at: int | None = None, error: Exception | None = None) -> None:
        self.outcomes: list[Outcome] = []
        self.encoded: list[Outcome] = []
        self._fail_at = fail_at
        self._error = error

    def encode(self, outcome: Outcome) -> bytes:
        self.encoded.append(outcome)
        return str(len(self.encoded) - 1).encode()

    def write(self, records: Sequence[bytes]) -> None:
        for record in records:
            if self._error is not None and len(self.outcomes) == self._fail_at:
                raise self._error
            self.outcomes.append(self.encoded[int(record)])
