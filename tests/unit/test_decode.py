"""Encoded bytes to pixels: formats, orientation, limits, damage, threads."""

from __future__ import annotations

import io
import itertools
import struct
import sys
import types
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin

from birdcli.decode import PillowDecoder, decode_image, ignore_library_warnings
from birdcli.errors import DecodeError, ErrorCode, ModelError
from birdcli.image_kind import identify
from birdcli.settings import DecodeSettings

SMALL = DecodeSettings(height=20, width=32)
BILINEAR = DecodeSettings(height=20, width=32, preprocessing="squash-bilinear@1")

COLOURS = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "Y": (255, 255, 0)}
ORIENTATION = 0x0112
# What a viewer shows at top left, top right, bottom left, bottom right, if RGBY is stored there.
SHOWN = {1: "RGBY", 2: "GRYB", 3: "YBGR", 4: "BYRG", 5: "RBGY", 6: "BRYG", 7: "YGBR", 8: "GYRB"}


def quadrants(width: int = 96, height: int = 64) -> Image.Image:
    picture = Image.new("RGB", (width, height), COLOURS["R"])
    picture.paste(COLOURS["G"], (width // 2, 0, width, height // 2))
    picture.paste(COLOURS["B"], (0, height // 2, width // 2, height))
    picture.paste(COLOURS["Y"], (width // 2, height // 2, width, height))
    return picture


def encode(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, image_format, **options)
    return out.getvalue()


def corners(pixels: Any) -> str:
    """The colours near the four corners, by letter."""
    shown = (pixels[2, 2], pixels[2, -3], pixels[-3, 2], pixels[-3, -3])
    distances = [
        {letter: np.abs(pixel.astype(int) - colour).max() for letter, colour in COLOURS.items()}
        for pixel in shown
    ]
    assert all(min(distance.values()) <= 40 for distance in distances)
    return "".join(min(distance, key=lambda letter: distance[letter]) for distance in distances)


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(rows)
    chunks = (png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", data), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def tiff(tags: dict[int, tuple[int, int]], strip: bytes = bytes(3)) -> bytes:
    """A TIFF file of one strip from (type, value) by tag; type 3 is a short, 4 a long."""
    tags = {**tags, 273: (4, 8), 279: (4, len(strip))}
    strip += bytes(len(strip) % 2)
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(tags.items())
    )
    return (
        b"II*\0"
        + struct.pack("<I", 8 + len(strip))
        + strip
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


RGB_TIFF = {256: (3, 1), 257: (3, 1), 258: (3, 8), 259: (3, 1), 262: (3, 2), 277: (3, 3)}

ENCODED = {
    "jpeg": encode(quadrants(), "JPEG", quality=95),
    "jpeg-progressive": encode(quadrants(), "JPEG", quality=95, progressive=True),
    "mpo": encode(
        quadrants(), "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (96, 64))]
    ),
    "png": encode(quadrants(), "PNG"),
    "gif": encode(quadrants(), "GIF"),
    "bmp": encode(quadrants(), "BMP"),
    "webp": encode(quadrants(), "WEBP", quality=95),
    "webp-lossless": encode(quadrants(), "WEBP", lossless=True),
    "webp-extended": encode(quadrants(), "WEBP", lossless=True, exif=exif_with(1)),
    "tiff": encode(quadrants(), "TIFF"),
    "tiff-lzw": encode(quadrants(), "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encode(quadrants(), "TIFF", compression="jpeg", quality=95),
    "bigtiff": encode(quadrants(), "TIFF", big_tiff=True),
    "avif": encode(quadrants(), "AVIF", quality=95),
    "jp2": encode(quadrants(), "JPEG2000"),
    "j2k": encode(quadrants(), "JPEG2000", no_jp2=True),
}
PILLOW_NAMES = {
    "jpeg-progressive": "JPEG",
    "webp-lossless": "WEBP",
    "webp-extended": "WEBP",
    "tiff-lzw": "TIFF",
    "tiff-jpeg": "TIFF",
    "bigtiff": "TIFF",
    "jp2": "JPEG2000",
    "j2k": "JPEG2000",
}


def failure(data: bytes, settings: DecodeSettings = SMALL) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode_image(data, settings)
    return caught.value


# Formats


@pytest.mark.parametrize("settings", [SMALL, BILINEAR], ids=["antialias", "bilinear"])
@pytest.mark.parametrize("name", ENCODED)
def test_every_format_decodes(name: str, settings: DecodeSettings) -> None:
    decoded = decode_image(ENCODED[name], settings)
    assert corners(decoded.pixels) == "RGBY"
    assert decoded.pixels.shape == (20, 32, 3)
    assert (decoded.width, decoded.height) == (96, 64)
    assert decoded.format == PILLOW_NAMES.get(name, name.upper())


def test_pixels_cannot_be_written() -> None:
    pixels = decode_image(ENCODED["jpeg"], SMALL).pixels
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable


def test_first_frame_of_animations_is_taken() -> None:
    frames = [Image.new("RGB", (96, 64), "white"), Image.new("RGB", (96, 64), "black")]
    for image_format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        data = encode(quadrants(), image_format, save_all=True, append_images=frames)
        assert corners(decode_image(data, SMALL).pixels) == "RGBY"


@pytest.mark.parametrize(
    ("colour_type", "row", "extra", "expected"),
    [
        pytest.param(0, (0x80FF,), (), (128, 128, 128), id="grey"),
        pytest.param(0, (0x1234,), (0x1234,), (255, 255, 255), id="grey-transparent"),
        pytest.param(2, (0x1234, 0x5678, 0x9ABC), (), (0x12, 0x56, 0x9A), id="colour"),
        pytest.param(2, (0x1234, 0, 0), (0x1234, 0, 0), (255, 255, 255), id="colour-transparent"),
        pytest.param(4, (0x8000, 0xFFFF), (), (128, 128, 128), id="grey-alpha"),
        pytest.param(6, (0, 0, 0xFFFF, 0x3333), (), (204, 204, 255), id="colour-alpha"),
    ],
)
def test_16_bit_png_is_scaled(
    colour_type: int, row: tuple[int, ...], extra: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    rows = (b"\0" + struct.pack(f">{len(row)}H", *row) * 8) * 8
    chunks = (png_chunk(b"tRNS", struct.pack(f">{len(extra)}H", *extra)),) if extra else ()
    pixels = decode_image(png(8, 8, 16, colour_type, rows, *chunks), SMALL).pixels
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_16_bit_grey_is_not_clipped_to_white() -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(1, 64).repeat(8, axis=0)
    pixels = decode_image(encode(Image.fromarray(ramp), "PNG"), DecodeSettings(height=8, width=64))
    assert np.array_equal(pixels.pixels[0, :, 0], (ramp[0] >> 8).astype(np.uint8))


def test_transparent_png_is_put_on_white() -> None:
    picture = quadrants().convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 48, 64))
    pixels = decode_image(encode(picture, "PNG"), SMALL).pixels
    assert (pixels[:, :12] == 255).all()
    assert np.array_equal(pixels[2, -3], COLOURS["G"])


def test_transparent_gif_is_put_on_white() -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([255, 0, 0] * 256)
    assert (decode_image(encode(picture, "GIF", transparency=0), SMALL).pixels == 255).all()


def test_palette_png_with_alpha_is_put_on_white() -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 255] * 256)
    pixels = decode_image(encode(picture, "PNG", transparency=bytes([51] * 256)), SMALL).pixels
    assert (pixels == (204, 204, 255)).all()


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_is_converted(image_format: str) -> None:
    data = encode(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), image_format)
    pixels = decode_image(data, SMALL).pixels
    assert np.abs(pixels.astype(int) - COLOURS["R"]).max() <= 4


def test_adobe_marker_of_a_cmyk_jpeg_means_inverted() -> None:
    data = encode(Image.new("CMYK", (64, 64), (0, 0, 0, 255)), "JPEG")
    assert b"Adobe" in data
    assert decode_image(data, SMALL).pixels.max() <= 4


def test_ycck_jpeg_is_converted() -> None:
    data = bytearray(encode(Image.new("CMYK", (64, 64), (128, 128, 128, 255)), "JPEG"))
    at = data.index(b"Adobe")
    assert data[at + 11] == 0
    data[at + 11] = 2  # the same samples, now as YCCK: grey under full black
    assert decode_image(bytes(data), SMALL).pixels.max() <= 4


def test_grey_jpeg_has_three_equal_channels() -> None:
    pixels = decode_image(encode(quadrants().convert("L"), "JPEG"), SMALL).pixels
    assert (pixels == pixels[:, :, :1]).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 65000), (65000, 1), (2, 3)])
def test_extreme_shapes_decode(size: tuple[int, int]) -> None:
    decoded = decode_image(encode(Image.new("RGB", size, "white"), "PNG"), SMALL)
    assert (decoded.width, decoded.height) == size
    assert (decoded.pixels == 255).all()


# Orientation and reduced scale


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_applied(image_format: str, orientation: int) -> None:
    options = {} if image_format in {"PNG", "TIFF"} else {"quality": 95}
    data = encode(quadrants(), image_format, exif=exif_with(orientation), **options)
    decoded = decode_image(data, SMALL)
    assert corners(decoded.pixels) == SHOWN[orientation]
    shown_size = (64, 96) if orientation >= 5 else (96, 64)
    assert (decoded.width, decoded.height) == shown_size


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_out_of_range_is_ignored(orientation: int) -> None:
    data = encode(quadrants(), "JPEG", quality=95, exif=exif_with(orientation))
    assert corners(decode_image(data, SMALL).pixels) == "RGBY"


def drafted_sizes(mocker: Any, data: bytes, settings: DecodeSettings) -> list[tuple[float, ...]]:
    draft = mocker.spy(JpegImagePlugin.JpegImageFile, "draft")
    decode_image(data, settings)
    return [draft.spy_return[1][2:]] if draft.call_count else []


@pytest.mark.parametrize("image_format", ["JPEG", "MPO"])
@pytest.mark.parametrize(
    ("height", "width", "scale"), [(100, 100, 4), (101, 100, 2), (100, 101, 2), (50, 30, 8)]
)
def test_jpeg_is_reduced_but_not_below_the_input(
    mocker: Any, image_format: str, height: int, width: int, scale: int
) -> None:
    data = encode(Image.new("RGB", (403, 401)), image_format)
    settings = DecodeSettings(height=height, width=width)
    assert drafted_sizes(mocker, data, settings) == [(403 / scale, 401 / scale)]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_large_photo_of_any_kind_is_decoded_at_an_eighth(
    mocker: Any, mode: str, *, progressive: bool
) -> None:
    data = encode(Image.new(mode, (2400, 1800)), "JPEG", progressive=progressive)
    assert drafted_sizes(mocker, data, DecodeSettings()) == [(300.0, 225.0)]


@pytest.mark.parametrize("orientation", [1, 6])
def test_turned_jpeg_is_not_reduced_below_the_input(mocker: Any, orientation: int) -> None:
    data = encode(Image.new("RGB", (800, 200)), "JPEG", exif=exif_with(orientation))
    ((width, height),) = drafted_sizes(mocker, data, DecodeSettings(height=200, width=50))
    assert width >= 200
    assert height >= 200 or orientation == 1


def test_bilinear_recipe_decodes_at_full_scale(mocker: Any) -> None:
    data = encode(Image.new("RGB", (400, 400)), "JPEG")
    assert drafted_sizes(mocker, data, BILINEAR) == []


@pytest.mark.parametrize("size", [(1795, 1349), (1792, 1344), (449, 1801)])
def test_reduced_scale_keeps_every_edge_where_it_is(size: tuple[int, int]) -> None:
    x = np.linspace(0, 255, size[0])[np.newaxis, :]
    y = np.linspace(0, 255, size[1])[:, np.newaxis]
    plane = np.stack(np.broadcast_arrays(x, y, (x + y) / 2), axis=2)
    data = encode(Image.fromarray(np.rint(plane).astype(np.uint8)), "JPEG", quality=98)
    reduced = decode_image(data, DecodeSettings()).pixels.astype(float)
    centres = (np.arange(224) + 0.5) / 224 * 255
    assert np.abs(reduced[4:-4, 4:-4, 0] - centres[4:-4]).max() <= 2.5
    assert np.abs(reduced[4:-4, 4:-4, 1] - centres[4:-4, np.newaxis]).max() <= 2.5


# Limits


def with_size(name: str, width: int, height: int) -> bytes:
    """A small file whose header claims another size."""
    data = bytearray(ENCODED[name])
    if name == "png":
        return png(width, height, 8, 2, b"")
    if name == "tiff":
        return tiff({**RGB_TIFF, 256: (4, width), 257: (4, height)})
    if name == "jpeg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif name == "gif":
        data[6:10] = struct.pack("<HH", width, height)
    elif name == "bmp":
        data[18:26] = struct.pack("<ii", width, height)
    elif name == "webp":
        data[26:30] = struct.pack("<HH", width, height)
    elif name == "webp-lossless":
        data[21:25] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    elif name == "webp-extended":
        data[24:30] = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    elif name == "jp2":
        for at in (data.index(b"ihdr") + 4, data.index(b"\xff\x4f\xff\x51") + 8):
            order = (height, width) if data[at - 4 : at] == b"ihdr" else (width, height)
            data[at : at + 8] = struct.pack(">II", *order)
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("png", 2**31 - 1),
        ("tiff", 1_000_000),
        ("jpeg", 65500),
        ("gif", 65535),
        ("bmp", 1_000_000),
        ("webp", 16383),
        ("webp-lossless", 16384),
        ("webp-extended", 16384),
        ("jp2", 1_000_000),
    ],
)
def test_too_many_pixels_are_refused_from_the_header(name: str, side: int) -> None:
    error = failure(with_size(name, side, side - 1))
    assert error.code is ErrorCode.DECODE_TOO_LARGE
    assert dict(error.details) == {"width": side, "height": side - 1, "max_pixels": 200_000_000}


@pytest.mark.parametrize("name", ENCODED)
def test_limit_is_inclusive(name: str) -> None:
    decode_image(ENCODED[name], DecodeSettings(max_pixels=96 * 64))
    error = failure(ENCODED[name], DecodeSettings(max_pixels=96 * 64 - 1))
    assert error.code is ErrorCode.DECODE_TOO_LARGE


def test_pillow_warning_of_large_pictures_is_not_ours(mocker: Any) -> None:
    mocker.patch.object(Image, "MAX_IMAGE_PIXELS", 96 * 64 // 3)
    for name in ("jpeg", "png", "bmp", "avif", "jp2"):
        assert corners(decode_image(ENCODED[name], SMALL).pixels) == "RGBY"


def test_limit_inside_a_pillow_decoder_is_too_large(mocker: Any) -> None:
    mocker.patch.object(Image, "MAX_IMAGE_PIXELS", 10)
    assert failure(ENCODED["webp"]).code is ErrorCode.DECODE_TOO_LARGE


def test_lack_of_memory_is_too_large(mocker: Any) -> None:
    mocker.patch.object(PngImagePlugin.PngImageFile, "load", side_effect=MemoryError)
    assert failure(ENCODED["png"]).code is ErrorCode.DECODE_TOO_LARGE


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [("png", 0, 8), ("png", 8, 0), ("jpeg", 0, 8), ("jpeg", 8, 0), ("bmp", 0, 8), ("tiff", 0, 8)],
)
def test_picture_without_area_is_refused(name: str, width: int, height: int) -> None:
    assert failure(with_size(name, width, height)).code is ErrorCode.DECODE_BAD_DIMENSIONS


# Damage


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("name", sorted(set(ENCODED) - {"mpo"}))
def test_cut_file_is_truncated(name: str, share: float) -> None:
    data = ENCODED[name]
    assert failure(data[: int(len(data) * share)]).code is ErrorCode.DECODE_TRUNCATED


@pytest.mark.parametrize("name", ENCODED)
def test_file_cut_inside_its_header_is_refused(name: str) -> None:
    for length in range(40):
        code = failure(ENCODED[name][:length]).code
        assert code.startswith(("decode.not_an_image", "decode.truncated", "decode.bad_dim"))


def test_gif_cut_inside_its_palette_is_truncated() -> None:
    data = encode(Image.linear_gradient("L").convert("P"), "GIF")
    assert failure(data[:300]).code is ErrorCode.DECODE_TRUNCATED


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_cut_inside_its_directory_is_truncated(order: str) -> None:
    name = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHII", 256, 3, 1, 1 if order == "<" else 1 << 16)
    whole = name + struct.pack(order + "IH", 8, 3) + entry * 3 + bytes(4)
    assert failure(whole).code is ErrorCode.DECODE_CORRUPT
    assert failure(whole[:-5]).code is ErrorCode.DECODE_TRUNCATED
    assert failure(whole[:4] + struct.pack(order + "I", 999) + whole[8:]).code is (
        ErrorCode.DECODE_TRUNCATED
    )


HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize(
    ("box", "code"),
    [
        (b"\0\0\0\x40mdat" + bytes(40), ErrorCode.DECODE_TRUNCATED),
        (b"\0\0\0\x30mdat" + bytes(40), ErrorCode.DECODE_CORRUPT),
        (b"\0\0\0\1mdat\0\0\0\0\0\0\0\x40" + bytes(40), ErrorCode.DECODE_TRUNCATED),
        (b"\0\0\0\1mdat\0\0\0\0\0\0\0\x38" + bytes(40), ErrorCode.DECODE_CORRUPT),
        (b"\0\0\0\x08free" * 5000 + b"\0\0\0\x40mdat", ErrorCode.DECODE_CORRUPT),
        (b"\0\0\0\0mdat" + bytes(40), ErrorCode.DECODE_CORRUPT),  # 0: to the end of the file
    ],
    ids=["cut", "whole", "cut-64-bit", "whole-64-bit", "too-many-to-follow", "open-ended"],
)
def test_boxes_tell_a_cut_file_from_a_damaged_one(
    monkeypatch: pytest.MonkeyPatch, box: bytes, code: ErrorCode
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no reason given")

    monkeypatch.setitem(sys.modules, "pillow_heif", types.SimpleNamespace(HeifImageFile=refuse))
    assert failure(HEIC_HEAD + box).code is code


@pytest.mark.parametrize("name", ["jpeg", "webp", "webp-extended", "avif"])
def test_damage_in_a_file_of_full_length_is_corrupt(name: str) -> None:
    data = bytearray(ENCODED[name])
    start = len(data) * 7 // 10
    data[start:-16] = b"\x55" * (len(data) - start - 16)
    assert failure(bytes(data)).code is ErrorCode.DECODE_CORRUPT


def test_broken_exif_is_ignored() -> None:
    ignore_library_warnings()
    for exif in (
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0garbage",
        b"Exif\0\0MM\0*\0\0\0\x08\xff",
    ):
        data = encode(quadrants(), "JPEG", quality=95, exif=exif)
        assert corners(decode_image(data, SMALL).pixels) == "RGBY"


def test_error_while_reading_exif_is_ignored(mocker: Any) -> None:
    mocker.patch.object(Image.Image, "getexif", side_effect=RuntimeError("hostile"))
    assert corners(decode_image(ENCODED["png"], SMALL).pixels) == "RGBY"


def test_broken_icc_profile_is_ignored() -> None:
    for image_format in ("JPEG", "PNG", "WEBP", "TIFF"):
        data = encode(quadrants(), image_format, icc_profile=b"no profile")
        decode_image(data, SMALL)


def test_message_is_one_short_line(mocker: Any) -> None:
    mocker.patch.object(PngImagePlugin.PngImageFile, "load", side_effect=OSError("a\n b" * 500))
    error = failure(ENCODED["png"])
    assert error.code is ErrorCode.DECODE_CORRUPT
    assert "\n" not in error.message
    assert len(error.message) < 220


def test_nameless_library_error_is_named_by_its_class(mocker: Any) -> None:
    mocker.patch.object(PngImagePlugin.PngImageFile, "load", side_effect=ZeroDivisionError)
    assert failure(ENCODED["png"]).message == "the PNG file is damaged: ZeroDivisionError"


def test_strictness_of_pillow_is_left_alone() -> None:
    failure(ENCODED["jpeg"][:-200])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


# What is no picture


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (b"", "an empty file"),
        (b"  \n<!DOCTYPE html><html>404</html>", "an HTML page"),
        (b"\xef\xbb\xbf<HTML><body>", "an HTML page"),
        (b"<!-- cached --><html>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b'{"error": "not found"}', "text"),
        ("Größe: fünf Vögel".encode()[:7], "text"),
        (b"GIF", "text"),
        (b"PK\x03\x04....", "a ZIP archive"),
        (b"\x1f\x8b\x08....", "gzip data"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "a sound or a video"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a video"),
        (b"\x1a\x45\xdf\xa3matroska", "a video"),
        (b"\xff\xd8", "no picture format that birdcli knows"),
        (b"plain\0text", "no picture format that birdcli knows"),
        (bytes(range(1, 200)), "no picture format that birdcli knows"),
    ],
)
def test_other_content_is_named(data: bytes, looks_like: str) -> None:
    error = failure(data)
    assert error.code is ErrorCode.DECODE_NOT_AN_IMAGE
    assert error.message == f"this is {looks_like}"


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b'<?xml version="1.0"?>\n<svg/>', "an SVG drawing"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript file"),
        (b"\xc5\xd0\xd3\xc6", "an EPS file"),
        (b"8BPS\0\x01", "a Photoshop file"),
        (b"\0\0\x01\0\x01\0", "a Windows icon"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL picture"),
        (b"FUJIFILMCCD-RAW 0201", "a camera's raw file"),
        (b"II*\0\x10\0\0\0CR\x02\0", "a camera's raw file"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "a camera's raw file"),
        (tiff({**RGB_TIFF, 50706: (4, 0x0104)}), "a camera's raw file"),
        (tiff({**RGB_TIFF, 254: (4, 1), 330: (4, 8)}), "a camera's raw file"),
    ],
)
def test_pictures_of_other_kinds_are_unsupported(data: bytes, looks_like: str) -> None:
    error = failure(data)
    assert error.code is ErrorCode.DECODE_UNSUPPORTED
    assert dict(error.details) == {"looks_like": looks_like}
    assert error.hint


def test_tiff_that_calls_itself_a_reduced_copy_is_still_a_picture() -> None:
    decode_image(tiff({**RGB_TIFF, 254: (4, 1)}), SMALL)


def test_kinds_that_pillow_cannot_read_are_unsupported() -> None:
    jpeg = bytearray(ENCODED["jpeg"])
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12  # bits a sample
    bmp = bytearray(ENCODED["bmp"])
    bmp[30] = 5  # compression: an embedded PNG
    float_colour = tiff({**RGB_TIFF, 258: (3, 32), 339: (3, 3)})
    for data in (bytes(jpeg), bytes(bmp), float_colour):
        error = failure(data)
        assert error.code is ErrorCode.DECODE_UNSUPPORTED
        assert error.hint == "Convert it to JPEG or PNG."


def test_avif_without_a_codec_is_unsupported(mocker: Any) -> None:
    mocker.patch("PIL.AvifImagePlugin.SUPPORTED", False)
    assert failure(ENCODED["avif"]).code is ErrorCode.DECODE_UNSUPPORTED


def test_heic_without_its_decoder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    error = failure(HEIC_HEAD)
    assert error.code is ErrorCode.DECODE_UNSUPPORTED
    assert error.hint == 'pip install "birdcli[heic]"'


def test_heic_is_opened_by_pillow_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    class HeifImageFile(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self) -> None:
            assert self.fp is not None
            assert self.fp.read() == HEIC_HEAD
            self._size, self._mode = (96, 64), "RGB"
            self.im = quadrants().im

    module = types.SimpleNamespace(HeifImageFile=HeifImageFile)
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    decoded = decode_image(HEIC_HEAD, SMALL)
    assert (decoded.format, corners(decoded.pixels)) == ("HEIF", "RGBY")


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"avif\0\0\0\0mif1miaf", "AVIF"),
        (b"mif1\0\0\0\0miafavif", "AVIF"),
        (b"avis\0\0\0\0avifmsf1", "AVIF"),
        (b"mif1\0\0\0\0heicmiaf", "HEIF"),
        (b"heix\0\0\0\0mif1heix", "HEIF"),
    ],
)
def test_brands_tell_avif_from_heif(brands: bytes, kind: str) -> None:
    assert identify(struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands) == kind


def test_unknown_recipe_is_a_model_error() -> None:
    with pytest.raises(ModelError):
        decode_image(ENCODED["jpeg"], DecodeSettings(preprocessing="crop@1"))


# The decoder


def test_clock_gives_start_and_end() -> None:
    ticks = itertools.count(5.0)
    decoded = decode_image(ENCODED["png"], SMALL, lambda: next(ticks))
    assert (decoded.started_s, decoded.ended_s) == (5.0, 6.0)


def test_decoder_tells_the_time_of_its_clock() -> None:
    ticks = itertools.count(5.0)
    decoded = PillowDecoder(SMALL, lambda: next(ticks)).decode(ENCODED["jpeg"])
    assert corners(decoded.pixels) == "RGBY"
    assert (decoded.started_s, decoded.ended_s) == (5.0, 6.0)


def test_decoder_goes_on_after_an_error() -> None:
    decoder = PillowDecoder(SMALL)
    with pytest.raises(DecodeError):
        decoder.decode(b"text")
    assert corners(decoder.decode(ENCODED["png"]).pixels) == "RGBY"


def test_decoder_decodes_in_several_threads_at_once() -> None:
    decoder = PillowDecoder(SMALL)
    with ThreadPoolExecutor(4) as threads:
        decoded = list(threads.map(decoder.decode, [ENCODED["jpeg"]] * 16))
    assert [corners(one.pixels) for one in decoded] == ["RGBY"] * 16


def test_decoder_refuses_an_unknown_recipe_at_once() -> None:
    with pytest.raises(ModelError):
        PillowDecoder(DecodeSettings(preprocessing="crop@1"))


def test_decoder_silences_pillow() -> None:
    corrupt = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0"  # cut inside its only entry
    data = encode(quadrants(), "JPEG", quality=95, exif=corrupt)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        decode_image(data, SMALL)
        assert shown
        shown.clear()
        assert corners(PillowDecoder(SMALL).decode(data).pixels) == "RGBY"
        assert not shown
