"""The frozen values that travel between stages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from birdcli.errors import Detail, ErrorCode, ItemError

    RgbImage: TypeAlias = NDArray[np.uint8]
    """uint8 [H, W, 3], RGB, 0 to 255."""

    RgbBatch: TypeAlias = NDArray[np.uint8]
    """uint8 [N, H, W, 3], RGB, 0 to 255."""

    ScoreVector: TypeAlias = NDArray[np.float32]
    """float32 [C], each in [0, 1]."""

    ScoreBatch: TypeAlias = NDArray[np.float32]
    """float32 [N, C], each in [0, 1]."""


_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST_HEADER: Final = 1024


class SourceKind(StrEnum):
    """Where an input's bytes come from."""

    URL = "url"
    FILE = "file"


class Stage(StrEnum):
    """What an image waits for or goes through, in this order."""

    QUEUE = "queue"
    FETCH = "fetch"
    DECODE_WAIT = "decode_wait"
    DECODE = "decode"
    BATCH_WAIT = "batch_wait"
    INFERENCE = "inference"


class CacheState(StrEnum):
    """Whether an answer came from the result cache."""

    HIT = "hit"
    MISS = "miss"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """One input, before anything is known about it.

    Attributes:
        index: Position in the whole input, from 0; the identity of the input.
        source: Exactly what the user gave; bytes that are no UTF-8 as surrogate escapes.
        kind: URL or FILE.
        id: The user's own name for this row (`--id-field`), or None.
    """

    index: int
    source: str
    kind: SourceKind
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """When each finished stage of one image ended.

    Durations are differences of neighbouring marks, so they add up to the total by construction.

    Attributes:
        started_s: When the input was read from the list, seconds of `time.perf_counter`.
        marks: The finished stages in order, each with the second it ended at.
    """

    started_s: float
    marks: tuple[tuple[Stage, float], ...] = ()

    def mark(self, stage: Stage, ended_s: float) -> Timings:
        """Returns these timings with one more finished stage."""
        return Timings(self.started_s, (*self.marks, (stage, ended_s)))

    def stages_ms(self) -> dict[Stage, float]:
        """Returns the duration of every finished stage, milliseconds, in order."""
        durations: dict[Stage, float] = {}
        previous_s = self.started_s
        for stage, ended_s in self.marks:
            durations[stage] = durations.get(stage, 0.0) + (ended_s - previous_s) * 1000.0
            previous_s = ended_s
        return durations

    @property
    def total_ms(self) -> float:
        """From the start to the last mark, milliseconds."""
        return (self.marks[-1][1] - self.started_s) * 1000.0 if self.marks else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """The validators of one URL, and the bytes they stand for.

    Attributes:
        sha256: Digest of the encoded bytes, lowercase hex.
        etag: `ETag` as the server wrote it, or None.
        last_modified: `Last-Modified` as the server wrote it, or None.
    """

    sha256: str
    etag: str | None = None
    last_modified: str | None = None

    def __post_init__(self) -> None:
        """Refuses what is no digest, and what would not go through a header unharmed."""
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError("no sha256")
        values = [value for value in (self.etag, self.last_modified) if value is not None]
        if not all(is_header_value(value) for value in values):
            raise ValueError("no validator")

    @property
    def can_ask(self) -> bool:
        """Whether a request can be made conditional; else only the bytes are known."""
        return self.etag is not None or self.last_modified is not None

    def request_headers(self) -> dict[str, str]:
        """Returns the headers that make a request conditional."""
        headers = {}
        if self.etag is not None:
            headers["If-None-Match"] = self.etag
        if self.last_modified is not None:
            headers["If-Modified-Since"] = self.last_modified
        return headers


def is_header_value(value: str) -> bool:
    """Tells whether a validator would go through a header unharmed."""
    return 0 < len(value) <= _LONGEST_HEADER and value.isascii() and value.isprintable()


@dataclass(frozen=True, slots=True)
class Unread:
    """An input whose turn has not come.

    Attributes:
        ref: The input.
        timings: Started, nothing finished.
        known: Of a URL, what an earlier run knows about it, if a 304 would be of use.
        is_new: Whether it will probably need the engine: False if the bytes it had last have an
            answer.
    """

    ref: ImageRef
    timings: Timings
    known: Validators | None = None
    is_new: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedImage:
    """The encoded bytes of one input.

    Attributes:
        ref: The input.
        data: The whole encoded file; empty if the server said that it is unchanged (304).
        sha256: Digest of the encoded bytes, lowercase hex; after a 304 that of the known bytes.
        attempts: How often it was asked for.
        unchanged: True after a 304: the answer is in the result cache, under `sha256`.
        offered: What may be kept about the URL; None if the server forbids it (`no-store`).
        timings: Stages so far.
    """

    ref: ImageRef
    data: bytes
    sha256: str
    timings: Timings
    attempts: int = 1
    unchanged: bool = False
    offered: Validators | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What a record says about the encoded picture.

    Attributes:
        sha256: Digest of the encoded bytes, lowercase hex.
        bytes: Length of the encoded file.
        width: Pixels, after EXIF orientation.
        height: Pixels, after EXIF orientation.
        format: Pillow's name of the format, such as `JPEG`.
        truncated: Whether the file ended early and what was missing is grey.
    """

    sha256: str
    bytes: int
    width: int
    height: int
    format: str
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # == on arrays is ambiguous
class DecodedImage:
    """One picture at the model's input size.

    Attributes:
        ref: The input.
        image: Facts about the encoded file.
        pixels: uint8 [H, W, 3], RGB, EXIF orientation applied, read-only.
        timings: Stages so far.
    """

    ref: ImageRef
    image: ImageInfo
    pixels: RgbImage
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One guess.

    Attributes:
        class_id: Index into the model's output, from 0.
        label: The model's own name of the class, a scientific name or `background`.
        common_name: The English name, or None where there is none.
        score: Probability in [0, 1].
    """

    class_id: int
    label: str
    common_name: str | None
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """Why one input failed, free of tracebacks and the frames they keep alive."""

    code: ErrorCode
    message: str
    retryable: bool = False
    attempts: int = 1
    hint: str = ""
    details: tuple[tuple[str, Detail], ...] = ()

    @property
    def stage(self) -> str:
        """The part of the work that failed: source, fetch, decode or inference."""
        return self.code.split(".", 1)[0]

    @classmethod
    def from_error(cls, error: ItemError) -> ErrorInfo:
        """Copies what a record needs out of an exception."""
        return cls(
            code=error.code,
            message=error.message,
            retryable=error.retryable,
            attempts=error.attempts,
            hint=error.hint,
            details=error.details,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """An input with its answer.

    Attributes:
        ref: The input.
        image: Facts about the encoded file.
        predictions: The best guesses, best first.
        model: `name@version`.
        backend: Engine and precision, such as `tensorflow/float32`.
        cache: Whether the answer came from the result cache.
        batch_size: Images in the batch it was classified in; None for a cached answer.
        timings: All stages.
        repeated: Whether it is the answer to an earlier input of this run, with the same URL.
    """

    ref: ImageRef
    image: ImageInfo
    predictions: tuple[Prediction, ...]
    model: str
    backend: str
    cache: CacheState
    batch_size: int | None
    timings: Timings
    repeated: bool = False

    @classmethod
    def from_cache(
        cls, ref: ImageRef, answer: CachedAnswer, *, model: str, timings: Timings
    ) -> Classified:
        """Returns an earlier answer as that of this input.

        Args:
            ref: The input.
            answer: What was answered to the same bytes.
            model: `name@version`.
            timings: Of this input.
        """
        return cls(
            ref=ref,
            image=answer.image,
            predictions=answer.predictions,
            model=model,
            backend=answer.backend,
            cache=CacheState.HIT,
            batch_size=None,
            timings=timings,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An input without an answer, and why."""

    ref: ImageRef
    error: ErrorInfo
    timings: Timings


Outcome: TypeAlias = Classified | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer:
    """What the result cache keeps of one classified picture."""

    image: ImageInfo
    predictions: tuple[Prediction, ...]
    backend: str
