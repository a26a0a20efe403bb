"""Files that end early, decoded as far as they go where that is asked for."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from birdcli.decode import decode_image
from birdcli.errors import DecodeError, ErrorCode
from birdcli.settings import DecodeSettings

STRICT = DecodeSettings(height=32, width=32)
TOLERANT = replace(STRICT, allow_truncated=True)


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((200, 150), 60).convert("RGB").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
def test_what_there_is_is_used_and_marked(kind: str) -> None:
    data = encoded(kind)
    whole, part = decode_image(data, TOLERANT), decode_image(data[: len(data) // 2], TOLERANT)
    assert (whole.truncated, part.truncated) == (False, True)
    assert (part.width, part.height) == (200, 150)
    if kind in {"JPEG", "PNG"}:  # the others begin at the bottom, or read all or nothing
        np.testing.assert_array_equal(part.pixels[:10], whole.pixels[:10])


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_where_nothing_can_be_used_the_error_stays(kind: str) -> None:
    data = encoded(kind)[:60]
    with pytest.raises(DecodeError) as strict:
        decode_image(data, STRICT)
    with pytest.raises(DecodeError) as tolerant:
        decode_image(data, TOLERANT)
    assert (tolerant.value.code, tolerant.value.message) == (
        *(strict.value.code, strict.value.message),
    )


def test_damage_of_other_kinds_is_not_tolerated() -> None:
    data = bytearray(encoded("PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(DecodeError) as caught:
        decode_image(bytes(data), TOLERANT)
    assert caught.value.code is ErrorCode.DECODE_CORRUPT


def test_pillow_is_as_strict_as_before_afterwards() -> None:
    part = encoded("JPEG")[:3000]
    assert decode_image(part, TOLERANT).truncated
    with pytest.raises(DecodeError):
        decode_image(part, STRICT)


def test_parts_of_pictures_in_several_threads_are_all_marked() -> None:
    data = encoded("JPEG")
    files = [data[: len(data) // 2], data] * 20
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda file: decode_image(file, TOLERANT).truncated, files))
    assert found == [True, False] * 20
