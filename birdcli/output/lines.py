"""The lines of a file of records, whatever a power cut has made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES: Final = 1 << 20
_BEGINNING: Final = b'{"schema":1,"run":"'
LONGEST_LINE_BYTES: Final = 16_000_000
"""No record is longer; what is, is damage, and is never held whole."""


_Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
_Word: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class _ErrorHead(msgspec.Struct):
    code: str
    stage: str
    message: str
    retryable: bool
    attempts: _Natural
    details: dict[str, object]


class _Prediction(msgspec.Struct):
    rank: _Positive
    class_id: _Natural
    label: _Word
    common_name: str | None
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Image(msgspec.Struct):
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    bytes: _Positive
    width: _Positive
    height: _Positive
    format: _Word


class RecordHead(msgspec.Struct):
    """A record: which input it is about, and how that went; checked to its last field."""

    schema: Literal[1]
    run: _Word
    index: _Natural
    input: str
    timings_ms: dict[str, Annotated[float, msgspec.Meta(ge=0)]]
    status: Literal["ok", "error"]
    id: str | None = None
    input_b64: str | None = None
    input_hmac: str | None = None
    predictions: Annotated[tuple[_Prediction, ...], msgspec.Meta(min_length=1)] | None = None
    model: Annotated[str, msgspec.Meta(pattern="^[^@]+@[^@]+$")] | None = None
    backend: Annotated[str, msgspec.Meta(pattern="^[^/]+/[^/]+$")] | None = None
    image: _Image | None = None
    cache: Literal["hit", "miss", "off"] | None = None
    batch_size: _Positive | msgspec.UnsetType | None = msgspec.UNSET
    error: _ErrorHead | None = None

    def __post_init__(self) -> None:
        """Refuses what is neither an answer nor a failure."""
        answer = (self.predictions, self.model, self.backend, self.image, self.cache)
        if self.status == "ok":
            whole = None not in answer and self.error is None and self._batch_fits()
        else:
            whole = self.error is not None and self.predictions is None and self.image is None
            whole = whole and self.batch_size is msgspec.UNSET
        if not whole:
            raise ValueError("neither an answer nor a failure")

    def _batch_fits(self) -> bool:
        if self.cache == "hit":
            return self.batch_size is None and "inference_share" not in self.timings_ms
        timed = {"inference", "inference_share"} <= self.timings_ms.keys()
        return isinstance(self.batch_size, int) and timed


class _AnyHead(msgspec.Struct):
    schema: int
    run: str


_ANY_DECODER: Final = msgspec.json.Decoder(_AnyHead)
_DECODER: Final = msgspec.json.Decoder(RecordHead)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        start: Where it begins, bytes.
        data: With its newline; cut short if it is longer than any record.
        end: Where the next begins.
        whole: Whether it ends with a newline and is no longer than a record may be.
    """

    start: int
    data: bytes
    end: int
    whole: bool


def iter_lines(file: BinaryIO) -> Iterator[Line]:
    """Yields the lines of a file from its beginning, in memory that does not grow with them."""
    start = position = 0
    kept: list[bytes] = []
    kept_bytes = 0
    while chunk := file.read(_CHUNK_BYTES):
        at = 0
        while (found := chunk.find(b"\n", at)) >= 0:
            piece = chunk[at : found + 1]
            end = position + found + 1
            whole = kept_bytes + len(piece) <= LONGEST_LINE_BYTES
            yield Line(start, b"".join([*kept, piece]) if whole else b"", end, whole)
            kept, kept_bytes, start, at = [], 0, end, found + 1
        kept_bytes += len(chunk) - at
        if kept_bytes <= LONGEST_LINE_BYTES:
            kept.append(chunk[at:])
        else:
            kept = []
        position += len(chunk)
    if position > start:
        yield Line(start, b"".join(kept), position, whole=False)


def head_of(line: Line) -> RecordHead | None:
    """Returns what a line says about its input, or None if it is no whole record."""
    if not line.whole:
        return None
    try:
        # As text: msgspec does not look at the bytes of strings that nobody asked for.
        return _DECODER.decode(line.data.decode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def lacks_only_its_newline(line: Line) -> bool:
    """Tells whether the last line of a file is a record that was cut exactly at its end."""
    return head_of(Line(line.start, line.data, line.end, whole=bool(line.data))) is not None


def may_be_torn_first(line: Line) -> bool:
    """Tells whether all that a file holds may be the beginning of its first record.

    A power cut may also have kept its length, and few of its bytes or none.
    """
    written = line.data.rstrip(b"\0")
    return not written.endswith(b"\n") and _BEGINNING.startswith(written[: len(_BEGINNING)])


def is_of_a_later_schema(line: Line) -> bool:
    """Tells whether a line that is no record to us may well be one to a later version."""
    if not line.whole:
        return False
    try:
        return _ANY_DECODER.decode(line.data).schema > 1
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
