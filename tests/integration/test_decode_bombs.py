"""Small files that want much: text, profiles, frames, directories, scans, pixels."""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from birdcli.decode import PillowDecoder
from birdcli.errors import DecodeError, ErrorCode
from birdcli.isolated_decode import DecodePool
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = DecodeSettings(height=32, width=32, max_pixels=2_000_000)
ZEROS = zlib.compress(bytes(80_000_000), 9)  # 78 KB


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    pool = DecodePool(SETTINGS, workers=1)
    yield pool
    pool.close()


def png(*extra: bytes, size: tuple[int, int] = (8, 8)) -> bytes:
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((size[0] + 1) * size[1])) if size[0] < 100 else ZEROS
    parts = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def animation(kind: str, frames: int) -> bytes:
    file = io.BytesIO()
    pictures = [Image.new("P", (8, 8), number % 251) for number in range(frames)]
    if kind != "GIF":
        pictures = [picture.convert("RGB") for picture in pictures]
    pictures[0].save(file, kind, save_all=True, append_images=pictures[1:])
    return file.getvalue()


def endless_tiff() -> bytes:
    """A picture whose list of directories comes back to its beginning."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "TIFF")
    data = bytearray(file.getvalue())
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)
    return bytes(data)


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"zTXt", b"k\0\0" + ZEROS),
        chunk(b"iTXt", b"k\0\1\0\0\0" + ZEROS),
        chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(900_000))) * 100,
        chunk(b"iCCP", b"k\0\0" + ZEROS),
    ],
    ids=["zTXt", "iTXt", "many", "profile"],
)
def test_text_and_profiles_that_unpack_to_much_are_refused(pool: DecodePool, text: bytes) -> None:
    with pytest.raises(DecodeError, match="text or colour profile") as caught:
        pool.decode(png(text))
    assert caught.value.code is ErrorCode.DECODE_TOO_LARGE


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_thousands_of_frames_one_is_decoded(pool: DecodePool, kind: str) -> None:
    data = animation(kind, 2000)
    decoded = pool.decode(data)
    assert decoded.width == 8
    # All of them would take minutes; the bound is for machines that are busy with other things.
    assert decoded.ended_s - decoded.started_s < 10.0


def test_a_tiff_whose_directories_go_round_in_a_circle_is_decoded(pool: DecodePool) -> None:
    assert pool.decode(endless_tiff()).width == 8


def test_pixels_are_counted_before_they_are_unpacked(pool: DecodePool) -> None:
    with pytest.raises(DecodeError) as caught:
        pool.decode(png(size=(60_000, 60_000)))
    assert caught.value.code is ErrorCode.DECODE_TOO_LARGE


def test_a_jpeg_of_countless_scans_is_refused() -> None:
    file = io.BytesIO()
    Image.effect_noise((1000, 1000), 40).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    with pytest.raises(DecodeError, match="more than 100 scans"):
        PillowDecoder(SETTINGS).decode(data[:-2] + data[last:-2] * 2000 + data[-2:])


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        b"\xc5\xd0\xd3\xc6" + bytes(60),
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["eps", "dos-eps", "pdf", "svg"],
)
def test_documents_start_no_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: bytes
) -> None:
    called = tmp_path / "called"
    for name in ("gs", "gswin64c", "rsvg-convert", "pdftoppm"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho x >> {called}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    pool = DecodePool(SETTINGS, workers=1)
    try:
        for decoder in (PillowDecoder(SETTINGS), pool):
            with pytest.raises(DecodeError) as caught:
                decoder.decode(data)
            assert caught.value.code is ErrorCode.DECODE_UNSUPPORTED
    finally:
        pool.close()
    assert not called.exists()
