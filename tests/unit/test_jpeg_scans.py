"""Scans are counted as a decoder would meet them."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from birdcli.errors import DecodeError, ErrorCode
from birdcli.jpeg_scans import MAX_SCANS, verify_scans

SCAN = b"\xff\xda\x00\x02\x01\xff\x00\x02"
APP = b"\xff\xe1\xff\xff" + b"\xff\xda" * 32766 + b"\0"


def photo(*, progressive: bool) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 40).save(file, "JPEG", progressive=progressive)
    return file.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
def test_photos_pass(progressive: bool) -> None:
    verify_scans(photo(progressive=progressive))


def test_as_many_scans_as_allowed_pass() -> None:
    verify_scans(b"\xff\xd8" + SCAN * MAX_SCANS + b"\xff\xd9")


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_one_more_is_too_many(end: bytes) -> None:
    with pytest.raises(DecodeError, match="more than 100 scans") as caught:
        verify_scans(b"\xff\xd8" + SCAN * (MAX_SCANS + 1) + end)
    assert caught.value.code is ErrorCode.DECODE_TOO_LARGE


def test_scans_hidden_behind_metadata_are_counted() -> None:
    with pytest.raises(DecodeError, match="scans"):
        verify_scans(b"\xff\xd8" + APP + SCAN * (MAX_SCANS + 1))


def test_markers_within_metadata_are_no_scans() -> None:
    verify_scans(b"\xff\xd8" + APP + SCAN + b"\xff\xd9")


def test_markers_in_the_film_behind_a_motion_photo_are_no_scans() -> None:
    film = random.Random(1).randbytes(1_000_000) + SCAN * 500
    verify_scans(photo(progressive=True) + film)


def test_countless_segments_are_refused_without_following_them_all() -> None:
    with pytest.raises(DecodeError, match="more than 10,000 segments"):
        verify_scans(b"\xff\xd8" + b"\xff\xfe\x00\x02" * 20_000 + SCAN * 101)
