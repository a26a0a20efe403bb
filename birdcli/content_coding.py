"""The bytes behind an HTTP `Content-Encoding`, piece by piece.

aiohttp can do this too, but takes a gzip stream that ends early for a whole one: half a picture
would then be classified as if it were all of it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

from birdcli.errors import ErrorCode, FetchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PIECE_BYTES: Final = 1 << 18

_INFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})
# Compressions that can be named here but not undone. Anything else ("utf-8", "none",
# "image/jpeg") is a mistake of the server's configuration, and the bytes are as they are.
_FOREIGN: Final = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi"})

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_ZLIB_METHOD: Final = 8


class BodyDecoder(Protocol):
    """Undoes the content coding of one body."""

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """Yields what the next received bytes decode to.

        Raises:
            FetchError: ``fetch.bad_encoding`` if they are not what the header says.
        """
        ...

    def finish(self) -> None:
        """Checks that the body is whole.

        Raises:
            FetchError: ``fetch.truncated`` if the coded stream has not ended.
        """
        ...


def decoder_for(content_encoding: str) -> BodyDecoder:
    """Returns the decoder of one body.

    Args:
        content_encoding: The value of the header; empty without one.

    Raises:
        FetchError: ``fetch.bad_encoding`` for a coding that cannot be undone here.
    """
    named = [name.strip().lower() for name in content_encoding.split(",")]
    codings = [name for name in named if name in _INFLATED or name in _FOREIGN]
    if not codings:
        return _Plain()
    if len(codings) == 1 and codings[0] in _INFLATED:
        return _Inflate(codings[0])
    raise _bad_encoding(", ".join(codings), "nobody asked for that coding, and it is not supported")


class _Plain:
    """Bytes that are not coded."""

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        return (chunk,)

    def finish(self) -> None:
        """Nothing can be missing."""


class _Inflate:
    """gzip members, a zlib stream, or the bare deflate stream some servers send instead."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yields pieces of at most `PIECE_BYTES`: a small chunk may hold very many of them."""
        while chunk:
            if self._stream is None or self._stream.eof:
                self._stream = zlib.decompressobj(self._window(chunk[0]))
            try:
                piece = self._stream.decompress(chunk, PIECE_BYTES)
            except zlib.error as err:
                raise _bad_encoding(self._coding, "the bytes are something else") from err
            if piece:
                yield piece
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> None:
        if self._stream is not None and not self._stream.eof:
            raise FetchError(
                ErrorCode.FETCH_TRUNCATED,
                f"The {self._coding} stream ends before its end",
                retryable=True,
            )

    def _window(self, first: int) -> int:
        if self._coding != "deflate":
            return _GZIP_WINDOW
        return zlib.MAX_WBITS if first & 0x0F == _ZLIB_METHOD else -zlib.MAX_WBITS


def _bad_encoding(coding: str, reason: str) -> FetchError:
    return FetchError(
        ErrorCode.FETCH_BAD_ENCODING, f"Content-Encoding {coding}: {reason}", coding=coding
    )
