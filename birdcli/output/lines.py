"""The lines of a file of records, whatever a power cut has made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES: Final = 1 << 20
LONGEST_LINE_BYTES: Final = 16_000_000
"""No record is longer; what is, is damage, and is never held whole."""


class _ErrorHead(msgspec.Struct):
    code: str
    retryable: bool


class RecordHead(msgspec.Struct):
    """What of a record says which input it is about, and how that went."""

    schema: Literal[1]
    run: str
    index: int
    input: str
    status: Literal["ok", "error"]
    id: str | None = None
    input_b64: str | None = None
    input_hmac: str | None = None
    error: _ErrorHead | None = None


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
        head = _DECODER.decode(line.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return head if (head.error is None) == (head.status == "ok") else None


def is_of_a_later_schema(line: Line) -> bool:
    """Tells whether a line that is no record to us may well be one to a later version."""
    if not line.whole:
        return False
    try:
        return _ANY_DECODER.decode(line.data).schema > 1
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
