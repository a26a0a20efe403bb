"""Damages pictures of every format and decodes them in processes of their own.

    python -m scripts.fuzz_images --count 2000 --seed 1

Each damaged file has to come to pixels or to a `DecodeError`, within its deadline; whatever else
happens ends the program. The same seed gives the same damage.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from birdcli.errors import DecodeError
from birdcli.isolated_decode import DecodePool
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from birdcli.ports import Decoder

    Damage = Callable[[random.Random, bytes, Sequence[bytes]], bytes]

OK: Final = "ok"
_SIZE: Final = (97, 61)
_HEADER_BYTES: Final = 64  # where damage changes most
_LONGEST_RUN: Final = 4096


@dataclass(frozen=True, slots=True)
class Fuzzing:
    """What became of damaged files.

    Attributes:
        outcomes: How many came to what: `ok`, or the code of an error.
        slowest: The name of the file that took longest.
        slowest_s: For how long.
    """

    outcomes: Counter[str]
    slowest: str
    slowest_s: float


def corpus() -> dict[str, bytes]:
    """Returns a file of each kind that is decoded, by name; HEIC only if it can be written."""
    pixels = np.random.RandomState(5).randint(0, 256, (8, 12, 3)).astype(np.uint8)
    rgb = Image.fromarray(pixels).resize(_SIZE)
    grey16 = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = rgb.copy()
    alpha.putalpha(rgb.convert("L"))

    def turned() -> list[Image.Image]:  # anew each time: Pillow leaves its options in them
        return [rgb.rotate(90 * turn) for turn in (1, 2)]

    files = {
        "jpeg": _encode(rgb, "JPEG", exif=exif, icc_profile=b"profile"),
        "jpeg-progressive": _encode(rgb, "JPEG", progressive=True),
        "jpeg-restarts": _encode(rgb, "JPEG", restart_marker_blocks=4),
        "jpeg-cmyk": _encode(rgb.convert("CMYK"), "JPEG"),
        "jpeg-grey": _encode(rgb.convert("L"), "JPEG"),
        "mpo": _encode(rgb, "MPO", save_all=True, append_images=turned()),
        "png": _encode(rgb, "PNG", exif=exif),
        "png-16": _encode(grey16, "PNG"),
        "png-la": _encode(rgb.convert("LA"), "PNG"),
        "png-palette": _encode(rgb.quantize(16), "PNG", transparency=3),
        "png-animated": _encode(rgb, "PNG", save_all=True, append_images=turned()),
        "gif": _encode(rgb, "GIF"),
        "gif-animated": _encode(rgb, "GIF", save_all=True, append_images=turned()),
        "bmp": _encode(rgb, "BMP"),
        "bmp-palette": _encode(rgb.quantize(16), "BMP"),
        "tiff": _encode(rgb, "TIFF"),
        "tiff-lzw": _encode(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": _encode(alpha, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-jpeg": _encode(rgb, "TIFF", compression="jpeg"),
        "tiff-fax": _encode(rgb.convert("1"), "TIFF", compression="group4"),
        "tiff-float": _encode(rgb.convert("F"), "TIFF"),
        "tiff-16": _encode(grey16, "TIFF"),
        "tiff-pages": _encode(rgb, "TIFF", save_all=True, append_images=turned()),
        "tiff-big": _encode(rgb, "TIFF", big_tiff=True),
        "webp": _encode(rgb, "WEBP"),
        "webp-lossless": _encode(alpha, "WEBP", lossless=True),
        "webp-animated": _encode(rgb, "WEBP", save_all=True, append_images=turned()),
        "avif": _encode(rgb, "AVIF", speed=9),
        "avif-animated": _encode(rgb, "AVIF", save_all=True, append_images=turned(), speed=9),
        "jp2": _encode(rgb, "JPEG2000"),
        "jp2-alpha": _encode(alpha, "JPEG2000"),
        "j2k": _encode(rgb, "JPEG2000", no_jp2=True),
    }
    if importlib.util.find_spec("pillow_heif") is not None:
        from pillow_heif import from_pillow

        file = io.BytesIO()
        from_pillow(rgb).save(file)
        files["heic"] = file.getvalue()
    return files


def mutants(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields damaged files, every kind in turn.

    Args:
        seed: The same gives the same damage to the same files.
        count: How many.

    Yields:
        A name that says kind, damage and number, and the bytes.
    """
    rng = random.Random(seed)
    files = corpus()
    kinds, whole = tuple(files), tuple(files.values())
    for number in range(count):
        kind = kinds[number % len(kinds)]
        damage = rng.choice(_DAMAGES)
        data = damage(rng, files[kind], whole)
        yield f"{kind}.{damage.__name__.strip('_')}.{number}", data


def decode_all(decoder: Decoder, files: Iterable[tuple[str, bytes]], *, threads: int) -> Fuzzing:
    """Decodes files, several at once.

    Raises:
        Exception: Whatever is no `DecodeError`: what was to be proved is wrong.
    """

    def decode(named: tuple[str, bytes]) -> tuple[str, float, str]:
        name, data = named
        started_s = time.perf_counter()
        try:
            decoder.decode(data)
            outcome = OK
        except DecodeError as err:
            outcome = err.code.value
        return outcome, time.perf_counter() - started_s, name

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(decode, files))
    _, slowest_s, slowest = max(results, key=lambda result: result[1], default=("", 0.0, ""))
    return Fuzzing(Counter(outcome for outcome, _, _ in results), slowest, slowest_s)


def _encode(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, image_format, **options)
    return file.getvalue()


def _place(rng: random.Random, data: bytes) -> int:
    """A place in the file, in its header every other time."""
    end = len(data) if rng.random() < 0.5 else min(len(data), _HEADER_BYTES)
    return rng.randrange(max(end, 1))


def _flips(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    damaged = bytearray(data)
    for _flip in range(rng.choice((1, 1, 2, 5, 20))):
        damaged[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _extremes(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Numbers at the limits of their types, as sizes and offsets would be."""
    damaged = bytearray(data)
    at = _place(rng, data)
    number = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * rng.choice((1, 2, 4, 8))
    damaged[at : at + len(number)] = number
    return bytes(damaged)


def _cut(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def _hole(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.randrange(1, 64) :]


def _run(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    run = rng.choice((b"\0", b"\xff", b"\xff\xda", b"A")) * rng.randrange(1, _LONGEST_RUN)
    return data[:at] + run + data[at:]


def _doubled(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    first, second = sorted((_place(rng, data), rng.randrange(len(data))))
    return data[:second] + data[first:second] * rng.randrange(1, 9) + data[second:]


def _splice(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


_DAMAGES: Final[tuple[Damage, ...]] = (_flips, _extremes, _cut, _hole, _run, _doubled, _splice)


def main() -> None:
    """Prints what became of how many files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    pool = DecodePool(DecodeSettings(), workers=asked.workers)
    try:
        result = decode_all(pool, mutants(asked.seed, asked.count), threads=asked.workers)
    finally:
        pool.close()
    for outcome, count in result.outcomes.most_common():
        print(f"{count:6} {outcome}")
    print(f"slowest: {result.slowest_s:.2f} s, {result.slowest}")


if __name__ == "__main__":
    main()
