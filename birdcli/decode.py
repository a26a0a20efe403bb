"""Encoded bytes to model-sized RGB pixels."""

from __future__ import annotations

import codecs
import importlib
import io
import struct
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from PIL import Image

from birdcli.errors import DecodeError, ErrorCode
from birdcli.ports import DecodedPixels
from birdcli.preprocess import SIDEWAYS, find_recipe, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import ImageFile

    from birdcli.settings import DecodeSettings

_EXIF_ORIENTATION = 0x0112
_TIFF_NEW_SUBFILE_TYPE = 0x00FE
_TIFF_SUB_IFDS = 0x014A
_TIFF_DNG_VERSION = 0xC612
_HEAD_BYTES = 512  # enough to tell text and markup from pictures
_SMALLEST_FILE_BYTES = 40  # a damaged file below this lacks most of its header
_MAX_BOXES = 64  # a hostile file could hold millions
_MAX_REASON_CHARS = 160

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

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)

_UNSUPPORTED_SIGNATURES = (
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\x01\0", "a Windows icon"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (b"IIR", "a camera's raw file"),
    (b"MMOR", "a camera's raw file"),
    (b"IIU\0", "a camera's raw file"),
)

_OTHER_SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x1a\x45\xdf\xa3", "a video"),
    (b"RIFF", "a sound or a video"),
)

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

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


def ignore_library_warnings() -> None:
    """Silences Pillow's warnings in this process; call it once wherever pictures are decoded.

    They tell programmers of odd metadata and large sizes. What matters to us is an error, and a
    filter that is set and reset around each picture would not be safe among threads.
    """
    warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\.")


def decode_image(
    data: bytes, settings: DecodeSettings, clock: Callable[[], float] = time.perf_counter
) -> DecodedPixels:
    """Decodes one encoded file to the model's input size.

    The first frame, EXIF orientation applied, transparency on white, 8 bits a channel. Broken
    metadata is ignored.

    Args:
        data: The whole encoded file.
        settings: Size, recipe and limits.
        clock: Seconds.

    Returns:
        uint8 [settings.height, settings.width, 3] pixels, with facts about the full-size picture.

    Raises:
        DecodeError: ``decode.not_an_image``, ``unsupported`` (a picture, but none for us),
            ``truncated``, ``corrupt``, ``too_large`` (known from the header, before pixels are
            allocated) or ``bad_dimensions``.
        ModelError: ``model.manifest_invalid`` if the recipe is unknown.
    """
    started_s = clock()
    recipe = find_recipe(settings.preprocessing)
    kind = identify(data)
    if kind == "WEBP":  # whose decoder allocates the canvas as soon as it is opened
        _verify_size(_webp_canvas(data), settings.max_pixels)
    opener = _load_opener(kind)
    with _library_faults(kind, data):
        picture = opener(io.BytesIO(data), "")
        is_raw_preview = _is_raw_preview(picture)
    if is_raw_preview:
        raise _unsupported("a camera's raw file")
    width, height = picture.size
    _verify_size((width, height), settings.max_pixels)
    box = (0.0, 0.0, float(width), float(height))
    with _library_faults(kind, data):
        if recipe.reduced_scale and kind == "JPEG":
            # Square, so that it fits before and after a turn that may be known only later.
            side = max(settings.width, settings.height)
            drafted = picture.draft(None, (side, side))
            box = drafted[1] if drafted else box
        # In one piece: Pillow takes the interpreter lock again after each piece, 64 KB by default.
        picture.decodermaxblock = len(data)
        picture.load()
        orientation = _read_orientation(picture)
        pixels = render(
            picture,
            recipe,
            (settings.width, settings.height),
            orientation=orientation,
            box=box,
        )
    if orientation in SIDEWAYS:
        width, height = height, width
    return DecodedPixels(
        pixels=pixels,
        width=width,
        height=height,
        format=picture.format or kind,
        started_s=started_s,
        ended_s=clock(),
    )


def identify(data: bytes) -> str:
    """Returns which of the formats we open these bytes claim to be, by their first bytes alone.

    Raises:
        DecodeError: ``decode.not_an_image`` or ``decode.unsupported``, saying what it looks like.
    """
    for signature, name in _SIGNATURES:
        if data.startswith(signature) and data[8:11] != b"CR\x02":
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _identify_iso_media(data)
    for signature, what in _UNSUPPORTED_SIGNATURES:
        if data.startswith(signature):
            raise _unsupported(what)
    if data[8:11] == b"CR\x02":
        raise _unsupported("a camera's raw file")
    what = _describe_other(data)
    if what == "an SVG drawing":
        raise _unsupported(what)
    raise DecodeError(ErrorCode.DECODE_NOT_AN_IMAGE, f"this is {what}", looks_like=what)


def _identify_iso_media(data: bytes) -> str:
    length = min(int.from_bytes(data[:4], "big"), _HEAD_BYTES)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length, 4))}
    if brands & _AVIF_BRANDS:  # first: AVIF files name HEIF's general brands as well
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    if b"crx " in brands:
        raise _unsupported("a camera's raw file")
    raise DecodeError(ErrorCode.DECODE_NOT_AN_IMAGE, "this is a video", looks_like="a video")


def _describe_other(data: bytes) -> str:
    if not data:
        return "an empty file"
    for signature, what in _OTHER_SIGNATURES:
        if data.startswith(signature):
            return what
    head = data[:_HEAD_BYTES].removeprefix(codecs.BOM_UTF8)
    try:
        text = codecs.utf_8_decode(head, "strict", False)[0].lstrip().lower()
    except UnicodeDecodeError:
        return "no picture format that birdcli knows"
    if not all(char.isprintable() or char.isspace() for char in text):
        return "no picture format that birdcli knows"
    if "<svg" in text:
        return "an SVG drawing"
    if text.startswith(("<!doctype html", "<html", "<head", "<body")) or "<html" in text:
        return "an HTML page"
    return "an XML document" if text.startswith("<?xml") else "text"


def _unsupported(what: str) -> DecodeError:
    return DecodeError(
        ErrorCode.DECODE_UNSUPPORTED,
        f"this is {what}, which birdcli does not read",
        hint="Convert it to JPEG or PNG.",
        looks_like=what,
    )


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
