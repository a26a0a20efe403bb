"""How much memory a picture takes while it is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL import ImageFile

# Bytes per pixel at the peak, all copies included, measured with pictures of 40 megapixels. Codecs
# that hold the whole picture in memory of their own cost the most.
WEBP: Final = 20
_AVIF: Final = 16
_JPEG2000_BAND: Final = 7
_UNBOUNDED_GREY: Final = 20
_TRANSPARENT: Final = 12
_OF_MODE: Final = {"1": 2, "L": 1, "P": 5, "PA": 9, "RGB": 4, "I;16": 8, "I;16B": 8}
_CONVERTED: Final = 8

MOST: Final = 4 * _JPEG2000_BAND + 2


def bytes_per_pixel(picture: ImageFile.ImageFile, kind: str) -> int:
    """Returns what each pixel of an opened picture takes, at the peak of decoding it.

    Args:
        picture: Opened, not loaded, and no progressive JPEG; see `progressive_jpeg`.
        kind: Its format, as `identify` names it.

    Source:
        Measured; `tests/integration/test_decode_memory.py` does so again.
    """
    if kind == "WEBP":
        return WEBP
    if kind in {"AVIF", "HEIF"}:
        return _AVIF
    if kind == "JPEG2000":
        return _JPEG2000_BAND * len(picture.getbands()) + 2
    if picture.mode in {"I", "F"}:
        return _UNBOUNDED_GREY
    if picture.has_transparency_data:
        return _TRANSPARENT
    return _OF_MODE.get(picture.mode, _CONVERTED)


def progressive_jpeg(picture: ImageFile.ImageFile) -> int:
    """Returns what each pixel of a progressive JPEG takes: its coefficients, at any scale."""
    return 2 * len(picture.getbands()) + 1
