"""Encoded bytes to model-sized RGB pixels."""

from __future__ import annotations

import importlib
import io
import struct
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from PIL import Image, ImageFile

from birdcli.decode_memory import WEBP, bytes_per_pixel, progressive_jpeg
from birdcli.errors import DecodeError, ErrorCode
from birdcli.image_kind import identify, unsupported
from birdcli.jpeg_scans import verify_scans
from birdcli.ports import DecodedPixels
from birdcli.preprocess import SIDEWAYS, find_recipe, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from birdcli.settings import DecodeSettings

_EXIF_ORIENTATION = 0x0112
_TIFF_NEW_SUBFILE_TYPE = 0x00FE
_TIFF_SUB_IFDS = 0x014A
_TIFF_DNG_VERSION = 0xC612
_SMALLEST_FILE_BYTES = 40  # a damaged file below this lacks most of its header
_MAX_BOXES = 64  # a hostile file could hold millions
_MAX_REASON_CHARS = 160

_TRUNCATION = threading.Lock()

# Who opens which format. Nothing else is ever tried: for EPS, say, Pillow would start Ghostscript.
_OPENERS = {
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "JPEG": ("PIL.JpegImagePlugin", "jpeg_factory"),
    "JPEG2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
}

_UNPACKED_WORDS = ("decompressed data too large", "too much memory used in text")

# Pillow has no exception for "valid, but not by me"; it says so in words, which tests pin.
_UNSUPPORTED_WORDS = ("unsupported", "unknown pixel mode", "cannot handle", "not installed")


class PillowDecoder:
    """A `Decoder` in the caller's thread; Pillow's codecs release the interpreter lock."""

    def __init__(
        self, settings: DecodeSettings, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Silences Pillow's warnings in this process.

        Args:
            settings: Size, recipe and limits of every picture.
            clock: Seconds, for `DecodedPixels.started_s` and `ended_s`.

        Raises:
            ModelError: ``model.manifest_invalid`` if the recipe is unknown.
        """
        find_recipe(settings.preprocessing)
        ignore_library_warnings()
        self._settings = settings
        self._clock = clock

    def decode(self, data: bytes) -> DecodedPixels:
        """Returns the pixels of one encoded file.

        Raises:
            DecodeError: The bytes are no picture that can be used; see `decode_image`.
        """
        return decode_image(data, self._settings, self._clock)

    def close(self) -> None:
        """Does nothing: there is nothing to end."""


def ignore_library_warnings() -> None:
    """Silences Pillow's warnings in this process; call it once wherever pictures are decoded.

    They tell programmers of odd metadata and large sizes. What matters to us is an error, and a
    filter that is set and reset around each picture would not be safe among threads.
    """
    warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\.")


def decode_image(
    data: bytes,
    settings: DecodeSettings,
    clock: Callable[[], float] = time.perf_counter,
    admit: Callable[[int, int], None] = lambda pixels, size: None,
) -> DecodedPixels:
    """Decodes one encoded file to the model's input size.

    The first frame, EXIF orientation applied, transparency on white, 8 bits a channel. Broken
    metadata is ignored.

    Args:
        data: The whole encoded file.
        settings: Size, recipe and limits.
        clock: Seconds.
        admit: Told how many pixels will be decoded, and how many bytes that takes, before they
            are allocated; may wait. It may be told more than once.

    Returns:
        uint8 [settings.height, settings.width, 3] pixels, with facts about the full-size picture.

    Raises:
        DecodeError: ``decode.not_an_image``, ``unsupported`` (a picture, but none for us),
            ``truncated``, ``corrupt``, ``too_large`` (known from the header, before pixels are
            allocated, or more scans than a camera would write) or ``bad_dimensions``.
        ModelError: ``model.manifest_invalid`` if the recipe is unknown.
    """
    started_s = clock()
    if not settings.allow_truncated:
        return _decode(data, settings, clock, admit, started_s)
    with _TRUNCATION:  # for the whole picture: another thread's part would pass as whole meanwhile
        try:
            return _decode(data, settings, clock, admit, started_s)
        except DecodeError as err:
            if err.code is not ErrorCode.DECODE_TRUNCATED:
                raise
            strict = err
        with _tolerating_truncation():
            try:
                part = _decode(data, settings, clock, admit, started_s)
            except DecodeError:
                raise strict from None  # which says best what is wrong
    return replace(part, truncated=True)


def _decode(
    data: bytes,
    settings: DecodeSettings,
    clock: Callable[[], float],
    admit: Callable[[int, int], None],
    started_s: float,
) -> DecodedPixels:
    recipe = find_recipe(settings.preprocessing)
    kind = identify(data)
    if kind == "WEBP":  # whose decoder allocates the canvas as soon as it is opened
        canvas = _webp_canvas(data)
        _verify_size(canvas, settings.max_pixels)
        admit(canvas[0] * canvas[1], canvas[0] * canvas[1] * WEBP)
    if kind == "JPEG":
        verify_scans(data)
    opener = _load_opener(kind)
    with _library_faults(kind, data):
        picture = opener(io.BytesIO(data), "")
        is_raw_preview = _is_raw_preview(picture)
    if is_raw_preview:
        raise unsupported("a camera's raw file")
    width, height = picture.size
    _verify_size((width, height), settings.max_pixels)
    box = (0.0, 0.0, float(width), float(height))
    with _library_faults(kind, data):
        if recipe.reduced_scale and kind == "JPEG":
            # Square, so that it fits before and after a turn that may be known only later.
            side = max(settings.width, settings.height)
            drafted = picture.draft(None, (side, side))
            box = drafted[1] if drafted else box
        pixels = picture.size[0] * picture.size[1]
        size = pixels * bytes_per_pixel(picture, kind)
        if "progressive" in picture.info:  # keeps the coefficients of all of its pixels
            pixels = width * height
            size += pixels * progressive_jpeg(picture)
        admit(pixels, size)
        # In one piece: Pillow takes the interpreter lock again after each piece, 64 KB by default.
        picture.decodermaxblock = len(data)
        picture.load()
        orientation = _read_orientation(picture)
        rendered = render(
            picture,
            recipe,
            (settings.width, settings.height),
            orientation=orientation,
            box=box,
        )
    if orientation in SIDEWAYS:
        width, height = height, width
    return DecodedPixels(
        pixels=rendered,
        width=width,
        height=height,
        format=picture.format or kind,
        started_s=started_s,
        ended_s=clock(),
    )


@contextmanager
def _tolerating_truncation() -> Iterator[None]:
    """Lets Pillow fill up what is missing; its switch is one for the whole process."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _load_opener(kind: str) -> Callable[[io.BytesIO, str], ImageFile.ImageFile]:
    module_name, name = _OPENERS[kind]
    try:
        module = importlib.import_module(module_name)
    except ImportError as err:  # pillow-heif is an extra
        raise DecodeError(
            ErrorCode.DECODE_UNSUPPORTED,
            "this is a HEIC picture, which needs pillow-heif",
            hint='pip install "birdcli[heic]"',
            looks_like="a HEIC picture",
        ) from err
    return cast("Callable[[io.BytesIO, str], ImageFile.ImageFile]", getattr(module, name))


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """Reads width and height of a WebP file; (1, 1) where the header is too broken to say.

    Source:
        RFC 9649: VP8X stores 24-bit sizes less one, VP8L 14-bit sizes less one, VP8 14-bit sizes.
    """
    chunk, body = data[12:16], data[20:30]
    if chunk == b"VP8X" and len(body) == 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return max(width, 1), max(height, 1)
    return 1, 1


def _verify_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise DecodeError(
            ErrorCode.DECODE_TOO_LARGE,
            f"{width} x {height} are {width * height / 1e6:.1f} million pixels, "
            f"above the limit of {max_pixels / 1e6:.1f} million",
            hint="Raise --max-pixels if you trust the source.",
            width=width,
            height=height,
            max_pixels=max_pixels,
        )


def _is_raw_preview(picture: ImageFile.ImageFile) -> bool:
    """Tells whether this is the thumbnail at the front of one of the raw formats that are TIFF."""
    tags = getattr(picture, "tag_v2", {})
    if _TIFF_DNG_VERSION in tags:
        return True
    subfile_type = tags.get(_TIFF_NEW_SUBFILE_TYPE)
    return isinstance(subfile_type, int) and subfile_type & 1 == 1 and _TIFF_SUB_IFDS in tags


def _read_orientation(picture: ImageFile.ImageFile) -> int:
    try:
        orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - parses hostile metadata, without which a picture is a picture
        return 1
    return orientation if orientation in range(1, 9) else 1


@contextmanager
def _library_faults(kind: str, data: bytes) -> Iterator[None]:
    """Turns whatever an image library raises into a `DecodeError`."""
    try:
        yield
    except Exception as err:  # image decoders fed hostile bytes raise what cannot be listed
        raise _explain_fault(err, kind, data) from err


def _explain_fault(err: Exception, kind: str, data: bytes) -> DecodeError:
    reason = (" ".join(str(err).split()) or type(err).__name__)[:_MAX_REASON_CHARS]
    words = reason.lower()
    if isinstance(err, (MemoryError, Image.DecompressionBombError)):
        return DecodeError(ErrorCode.DECODE_TOO_LARGE, f"the {kind} picture is too large: {reason}")
    if any(word in words for word in _UNPACKED_WORDS):
        return DecodeError(
            ErrorCode.DECODE_TOO_LARGE,
            f"the text or colour profile in the {kind} file is too large",
        )
    if "not identified by this driver" in words:  # Pillow's words for a width or height of 0
        return DecodeError(ErrorCode.DECODE_BAD_DIMENSIONS, f"the {kind} picture has no size")
    if isinstance(err, EOFError) or "truncated" in words or _ends_early(kind, data):
        return DecodeError(ErrorCode.DECODE_TRUNCATED, f"the {kind} file ends early: {reason}")
    if any(word in words for word in _UNSUPPORTED_WORDS):
        return DecodeError(
            ErrorCode.DECODE_UNSUPPORTED,
            f"this kind of {kind} picture cannot be read: {reason}",
            hint="Convert it to JPEG or PNG.",
        )
    return DecodeError(ErrorCode.DECODE_CORRUPT, f"the {kind} file is damaged: {reason}")


def _ends_early(kind: str, data: bytes) -> bool:
    """Tells whether a file that could not be decoded is shorter than it says itself."""
    if len(data) < _SMALLEST_FILE_BYTES:
        return True
    if kind == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if kind == "PNG":
        return b"IEND" not in data[-64:]
    if kind == "TIFF":
        order = "<" if data[:2] == b"II" else ">"
        directory: int = struct.unpack_from(order + "I", data, 4)[0]
        entries: int = struct.unpack(
            order + "H", data[directory : directory + 2].ljust(2, b"\xff")
        )[0]
        return directory + 2 + 12 * entries > len(data)
    if kind == "GIF":
        return not data.endswith(b";")
    if kind in {"JPEG", "JPEG2000"}:
        return b"\xff\xd9" not in data[-64:]  # both end with this marker
    return kind in {"AVIF", "HEIF"} and _boxes_end_at(data) > len(data)


def _boxes_end_at(data: bytes) -> int:
    """Follows the top-level boxes of an ISO media file to where the last one should end."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            break
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:  # to the end of the file
            return len(data)
        at += max(size, 8)
    return at
