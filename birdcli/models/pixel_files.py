"""Generated picture files that show whether a decoder works."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from birdcli.items import RgbImage


def _pixel_picture() -> RgbImage:
    """A smooth colourful picture, uint8 [480, 720, 3], in which every orientation differs."""
    y, x = np.mgrid[0:480, 0:720]
    red = 120 + 90 * np.cos(x / 90.0) * np.sin(y / 70.0 + 0.5)
    green = 40 + x / 720 * 180
    blue = 230 - y / 480 * 190 - 20 * np.sin(x / 50.0)
    levels: RgbImage = np.clip(np.rint(np.stack([red, green, blue], axis=-1)), 0, 255).astype(
        np.uint8
    )
    return levels


def make_pixel_files() -> dict[str, bytes]:
    """Returns the generated encoded files: png, jpeg, jpeg with EXIF 6, 16-bit grey png."""
    picture = _pixel_picture()
    grey = picture[..., 1].astype(np.uint16) * 257
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(picture)))  # EXIF 6 turns it back
    exif = Image.Exif()
    exif[0x0112] = 6
    files: dict[str, bytes] = {}
    quick: dict[str, Any] = {"format": "PNG", "compress_level": 1}
    for name, image, options in (
        ("png", Image.fromarray(picture), quick),
        ("jpeg", Image.fromarray(picture), {"format": "JPEG", "quality": 90}),
        ("jpeg with EXIF 6", turned, {"format": "JPEG", "quality": 90, "exif": exif}),
        ("16-bit png", Image.fromarray(grey), quick),
    ):
        out = io.BytesIO()
        image.save(out, **options)
        files[name] = out.getvalue()
    return files
