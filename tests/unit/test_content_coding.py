"""Bodies with a Content-Encoding."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from birdcli.content_coding import PIECE_BYTES, decoder_for
from birdcli.errors import ErrorCode, FetchError

BODY = random.Random(1).randbytes(5000) + bytes(600_000)


def decode(coding: str, body: bytes, *, step: int = 1 << 16) -> bytes:
    decoder = decoder_for(coding)
    pieces: list[bytes] = []
    for start in range(0, len(body), step):
        pieces.extend(decoder.feed(body[start : start + step]))
    decoder.finish()
    return b"".join(pieces)


def failure(coding: str, body: bytes) -> FetchError:
    with pytest.raises(FetchError) as caught:
        decode(coding, body)
    return caught.value


def bare_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        (" GZip , identity", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", bare_deflate(BODY)),
        ("gzip", gzip.compress(BODY[:3000]) + gzip.compress(BODY[3000:])),
    ],
)
def test_codings_are_undone_in_any_chunks(coding: str, coded: bytes, step: int) -> None:
    assert decode(coding, coded, step=step) == BODY


@pytest.mark.parametrize("coding", ["", "identity", "none", "utf-8", "image/jpeg", "binary"])
def test_what_is_no_coding_changes_nothing(coding: str) -> None:
    assert decode(coding, BODY) == BODY


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br", "deflate,gzip"])
def test_a_coding_that_cannot_be_undone_is_a_bad_encoding(coding: str) -> None:
    assert failure(coding, b"x").code == ErrorCode.FETCH_BAD_ENCODING


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"\xff\xd8\xff\xe0 a JPEG"),
        ("gzip", gzip.compress(BODY) + b"rubbish"),
        ("gzip", gzip.compress(BODY)[:-8] + bytes(8)),
        ("deflate", b"\xff\xd8\xff\xe0 a JPEG"),
    ],
    ids=["picture", "tail", "checksum", "deflate"],
)
def test_other_bytes_than_promised_are_a_bad_encoding(coding: str, body: bytes) -> None:
    error = failure(coding, body)
    assert (error.code, error.retryable) == (ErrorCode.FETCH_BAD_ENCODING, False)


@pytest.mark.parametrize("missing", [1, 8, 200])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_stream_that_stops_early_is_truncated(coding: str, missing: int) -> None:
    coded = gzip.compress(BODY) if coding == "gzip" else zlib.compress(BODY)
    error = failure(coding, coded[:-missing])
    assert (error.code, error.retryable) == (ErrorCode.FETCH_TRUNCATED, True)


def test_an_empty_body_is_no_broken_stream() -> None:
    assert decode("gzip", b"") == b""


def test_a_bomb_comes_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    pieces = decoder_for("gzip").feed(bomb)
    assert max(len(piece) for piece in pieces) <= PIECE_BYTES
