"""What encoded bytes claim to be, by their first bytes alone."""

from __future__ import annotations

import codecs

from birdcli.errors import DecodeError, ErrorCode

_HEAD_BYTES = 512  # enough to tell text and markup from pictures

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
            raise unsupported(what)
    if data[8:11] == b"CR\x02":
        raise unsupported("a camera's raw file")
    what = _describe_other(data)
    if what == "an SVG drawing":
        raise unsupported(what)
    raise DecodeError(ErrorCode.DECODE_NOT_AN_IMAGE, f"this is {what}", looks_like=what)


def _identify_iso_media(data: bytes) -> str:
    length = min(int.from_bytes(data[:4], "big"), _HEAD_BYTES)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length, 4))}
    if brands & _AVIF_BRANDS:  # first: AVIF files name HEIF's general brands as well
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    if b"crx " in brands:
        raise unsupported("a camera's raw file")
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


def unsupported(what: str) -> DecodeError:
    """Returns the error for a picture, but none for us."""
    return DecodeError(
        ErrorCode.DECODE_UNSUPPORTED,
        f"this is {what}, which birdcli does not read",
        hint="Convert it to JPEG or PNG.",
        looks_like=what,
    )
