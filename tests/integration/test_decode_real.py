"""Decoding of real files: photos from cameras and the web, HEIC, programs that must not start."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from birdcli.decode import PillowDecoder, decode_image, ignore_library_warnings
from birdcli.errors import DecodeError, ErrorCode
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from pathlib import Path

HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


def real_files(test_data: Path) -> list[dict[str, str]]:
    with (test_data / "images" / "index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.data
def test_all_real_files_decode_but_the_truncated_one(test_data: Path) -> None:
    rows = real_files(test_data)
    failed: dict[str, ErrorCode] = {}
    decoder = PillowDecoder(DecodeSettings())
    for row in rows:
        data = (test_data / "images" / row["file"]).read_bytes()
        try:
            decoded = decoder.decode(data)
        except DecodeError as err:
            failed[row["file"]] = err.code
            continue
        stored = (int(row["width"]), int(row["height"]))
        turned = row["exif_orientation"] in {"5", "6", "7", "8"}
        shown = (stored[1], stored[0]) if turned else stored
        assert (decoded.width, decoded.height) == shown, row["file"]
        assert decoded.format == row["format"].replace("HEIC", "HEIF"), row["file"]
        assert decoded.pixels.std() > 5, row["file"]
    expected = {row["file"]: ErrorCode.DECODE_TRUNCATED for row in rows if "trunc" in row["file"]}
    if not HAS_HEIF:
        heic = {row["file"] for row in rows if row["format"] == "HEIC"}
        expected |= dict.fromkeys(heic, ErrorCode.DECODE_UNSUPPORTED)
    assert failed == expected


@pytest.mark.data
def test_reduced_scale_is_close_to_the_full_picture(test_data: Path) -> None:
    """Held against Pillow's antialiased resize of the full-scale picture, turned upright first."""
    ignore_library_warnings()
    compared = 0
    for row in real_files(test_data):
        path = test_data / "images" / row["file"]
        if row["format"] != "JPEG" or path.stat().st_size > 500_000 or "trunc" in row["file"]:
            continue
        decoded = decode_image(path.read_bytes(), DecodeSettings()).pixels.astype(float)
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        full = np.asarray(upright.resize((224, 224), Image.Resampling.BILINEAR), dtype=float)
        # Means of 4x4 pixels: fine texture depends on the filter, but nothing may move.
        difference = (decoded - full).reshape(56, 4, 56, 4, 3).mean(axis=(1, 3))
        assert np.abs(difference).mean() <= 1.0, row["file"]
        compared += 1
    assert compared >= 20


@pytest.mark.data
def test_turned_copies_show_what_their_originals_show(test_data: Path) -> None:
    rows = {row["file"]: row for row in real_files(test_data)}
    turned = [row for row in rows.values() if row["exif_orientation"] in {"3", "5", "6", "8"}]
    pairs = [(row["file"], row["derived_from"]) for row in turned if row["derived_from"] in rows]
    assert len(pairs) >= 3
    for copy, original in pairs:
        shown = [
            decode_image((test_data / "images" / name).read_bytes(), DecodeSettings()).pixels
            for name in (copy, original)
        ]
        assert np.abs(shown[0].astype(float) - shown[1]).mean() <= 6, copy


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_no_program_is_started_for_postscript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\n: > {started}\n\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)

    with pytest.raises(DecodeError) as caught:
        decode_image(EPS, DecodeSettings())
    assert caught.value.code is ErrorCode.DECODE_UNSUPPORTED
    assert not started.exists()

    with suppress(OSError), Image.open(io.BytesIO(EPS)) as picture:
        picture.load()
    assert started.exists(), "Pillow alone would have started it, so the test means something"


def test_claimed_size_costs_neither_memory_nor_time() -> None:
    heads = (
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0VP8 ",
        b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\0;",
    )
    started = time.process_time()
    for head in heads:
        with pytest.raises(DecodeError) as caught:
            decode_image(head, DecodeSettings(max_pixels=100_000_000))
        assert caught.value.code is ErrorCode.DECODE_TOO_LARGE
    assert time.process_time() - started < 0.5


@pytest.mark.skipif(not HAS_HEIF, reason="pillow-heif is not installed")
def test_heic_decodes() -> None:
    import pillow_heif

    picture: Any = Image.new("RGB", (64, 48), (200, 30, 30))
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, quality=90)
    decoded = decode_image(out.getvalue(), DecodeSettings(height=12, width=16))
    assert (decoded.format, decoded.width, decoded.height) == ("HEIF", 64, 48)
    assert np.abs(decoded.pixels.astype(int) - (200, 30, 30)).max() <= 8
