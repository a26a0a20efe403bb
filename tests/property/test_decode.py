"""Any bytes become pixels or a `DecodeError`, never anything else."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from birdcli.decode import decode_image
from birdcli.errors import DecodeError
from birdcli.settings import DecodeSettings

# As in a run, where `PillowDecoder` silences Pillow.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

LIMITS = DecodeSettings(height=12, width=9, max_pixels=250_000)
BILINEAR = DecodeSettings(height=12, width=9, max_pixels=250_000, preprocessing="squash-bilinear@1")
PROPERTY = settings(max_examples=150, deadline=None, derandomize=True, database=None)
SLOW_DATA = settings(PROPERTY, suppress_health_check=[HealthCheck.large_base_example])

SIGNATURES = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"GIF89a",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0",
    b"RIFF\x40\0\0\0WEBPVP8L",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"<svg ",
    b"<?xml ",
)


def encode(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, image_format, **options)
    return out.getvalue()


def _encodings() -> tuple[bytes, ...]:
    noise = np.random.default_rng(7).integers(0, 256, (37, 41, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = 6
    return (
        encode(picture, "JPEG", exif=exif),
        encode(picture, "JPEG", progressive=True, icc_profile=b"profile"),
        encode(picture.convert("CMYK"), "JPEG"),
        encode(picture, "MPO", save_all=True, append_images=[picture]),
        encode(picture, "PNG", exif=exif),
        encode(picture.quantize(16), "PNG", transparency=bytes(range(16))),
        encode(picture.quantize(16), "GIF", transparency=3),
        encode(picture, "GIF", save_all=True, append_images=[picture.rotate(90)]),
        encode(picture, "BMP"),
        encode(picture, "WEBP", exif=exif),
        encode(picture.convert("RGBA"), "WEBP", lossless=True),
        encode(picture, "TIFF", compression="tiff_lzw", exif=exif),
        encode(picture.convert("F"), "TIFF"),
        encode(picture, "TIFF", compression="jpeg"),
        encode(picture, "AVIF", exif=exif),
        encode(picture, "JPEG2000"),
    )


ENCODINGS = _encodings()


def assert_pixels_or_decode_error(data: bytes) -> None:
    for limits in (LIMITS, BILINEAR):
        try:
            decoded = decode_image(data, limits)
        except DecodeError:
            continue
        assert decoded.pixels.shape == (12, 9, 3)
        assert decoded.pixels.dtype == np.uint8
        assert not decoded.pixels.flags.writeable
        assert 1 <= decoded.width * decoded.height <= LIMITS.max_pixels


@PROPERTY
@given(st.binary(max_size=300))
def test_any_bytes_become_pixels_or_an_error(data: bytes) -> None:
    assert_pixels_or_decode_error(data)


@PROPERTY
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_any_bytes_behind_a_signature_become_pixels_or_an_error(head: bytes, tail: bytes) -> None:
    assert_pixels_or_decode_error(head + tail)


@SLOW_DATA
@given(st.sampled_from(ENCODINGS), st.data())
def test_overwritten_files_become_pixels_or_an_error(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 6))):
        at = draw.draw(st.integers(0, len(damaged) - 1) | st.integers(0, 60))
        patch = draw.draw(st.binary(min_size=1, max_size=4))
        damaged[at : at + len(patch)] = patch
    assert_pixels_or_decode_error(bytes(damaged))


@SLOW_DATA
@given(st.sampled_from(ENCODINGS), st.sampled_from(ENCODINGS), st.floats(0, 1), st.floats(0, 1))
def test_cut_and_spliced_files_become_pixels_or_an_error(
    first: bytes, second: bytes, first_share: float, second_share: float
) -> None:
    head = first[: int(len(first) * first_share)]
    assert_pixels_or_decode_error(head)
    assert_pixels_or_decode_error(head + second[int(len(second) * second_share) :])


@PROPERTY
@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(1, 40), st.integers(1, 40), st.booleans()
)
def test_any_size_of_picture_fits_any_size_of_input(
    width: int, height: int, new_width: int, new_height: int, antialias: bool
) -> None:
    recipe = "squash-antialias@1" if antialias else "squash-bilinear@1"
    limits = DecodeSettings(height=new_height, width=new_width, preprocessing=recipe)
    decoded = decode_image(encode(Image.new("RGB", (width, height), "white"), "JPEG"), limits)
    assert decoded.pixels.shape == (new_height, new_width, 3)
    assert decoded.pixels.min() >= 253
