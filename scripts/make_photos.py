"""Makes the photo set that every benchmark uses: the same bytes for the same seed and sources."""

from __future__ import annotations

import argparse
import csv
import functools
import io
import multiprocessing
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Size: TypeAlias = tuple[int, int]
    """width, height."""

SHARES: dict[Size, int] = {
    (500, 375): 139,
    (1024, 768): 163,
    (1280, 960): 168,
    (2048, 1536): 79,
    (4000, 3000): 51,
}
"""How many photos of each size there are in a set of 600."""

QUALITY = 88
SUFFIXES = (".jpg", ".jpeg", ".png")
GENERATED = "generated"

_MIN_SOURCE_SIDE = 300  # smaller pictures are thumbnails: enlarged, they compress like nothing else
_MAX_ENLARGEMENT = 2.0

_NARROWEST_CROP = 0.5  # of what fits
_TEXTURE = 3.0  # levels per octave; brings generated scenes to about 260 KB a photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One photo to make.

    Attributes:
        file: Name inside the output folder.
        size: Width and height, pixels.
        source: Path of the picture it is cut from, below the source folder; or `generated`.
        seed: All randomness of this photo, so that photos can be made in any order.
    """

    file: str
    size: Size
    source: str
    seed: str


def list_sources(folder: Path) -> dict[str, Size]:
    """Returns the usable JPEG and PNG pictures below a folder with their stored sizes, sorted."""
    sources: dict[str, Size] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            if picture.mode == "RGB" and min(picture.size) >= _MIN_SOURCE_SIDE:
                sources[path.relative_to(folder).as_posix()] = picture.size
    return sources


def plan_sizes(count: int, rng: random.Random) -> list[Size]:
    """Returns `count` sizes in the shares of `SHARES`, by largest remainder, in random order."""
    total = sum(SHARES.values())
    counts = {size: count * share // total for size, share in SHARES.items()}
    by_remainder = sorted(SHARES, key=lambda size: -(count * SHARES[size] % total))
    for size in by_remainder[: count - sum(counts.values())]:
        counts[size] += 1
    sizes = [size for size, number in counts.items() for _ in range(number)]
    rng.shuffle(sizes)
    return sizes


def plan_photos(seed: int, count: int, sources: dict[str, Size]) -> list[Photo]:
    """Returns what to make; a source is not enlarged more than twice if there is a better one."""
    rng = random.Random(f"photos {seed}")
    photos = []
    for index, size in enumerate(plan_sizes(count, rng)):
        reach = {name: _widest_crop(stored, size) / size[0] for name, stored in sources.items()}
        good = [name for name, scale in reach.items() if scale * _MAX_ENLARGEMENT >= 1]
        candidates = good or sorted(reach, key=lambda name: -reach[name])[:1] or [GENERATED]
        source = rng.choice(candidates)
        photos.append(
            Photo(file=f"{index:06}.jpg", size=size, source=source, seed=f"{seed} {index}")
        )
    return photos


def _widest_crop(stored: Size, size: Size) -> float:
    return min(stored[0], stored[1] * size[0] / size[1])


def render_photo(photo: Photo, folder: Path) -> bytes:
    """Returns the encoded JPEG of one photo; `folder` is what its source is below."""
    rng = random.Random(photo.seed)
    if photo.source == GENERATED:
        picture = draw_scene(photo.size, rng)
    else:
        picture = cut_from(folder / photo.source, photo.size, rng)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def cut_from(path: Path, size: Size, rng: random.Random) -> Image.Image:
    """Returns a random crop of a picture, perhaps mirrored, resampled to a size."""
    with Image.open(path, formats=("JPEG", "PNG")) as picture:
        widest = _widest_crop(picture.size, size)
        narrowest = max(widest * _NARROWEST_CROP, min(widest, size[0] / _MAX_ENLARGEMENT))
        width = rng.uniform(narrowest, widest)
        height = min(width * size[1] / size[0], float(picture.height))
        left, top = rng.uniform(0, picture.width - width), rng.uniform(0, picture.height - height)
        # Of Pillow's filters this one brings a set nearest to 260 KB a photo.
        cut = picture.resize(
            size, Image.Resampling.BILINEAR, (left, top, left + width, top + height)
        )
    return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else cut


def draw_scene(size: Size, rng: random.Random) -> Image.Image:
    """Returns a picture with the statistics of a photo: occluding shapes with 1/f texture.

    Source:
        Amplitudes of natural images fall as 1/frequency (Field 1987, 10.1364/JOSAA.4.002379);
        discs of all sizes that hide each other give their edges (the dead-leaves model).
    """
    colours = Image.new("RGB", size, _random_colour(rng))
    contrasts = Image.new("L", size, rng.randrange(256))
    for _ in range(rng.randint(40, 120)):
        radius = min(min(size) * 0.02 * rng.paretovariate(1.2), max(size))
        x, y = (rng.uniform(0.0, side) for side in size)
        stretch = rng.uniform(0.5, 2.0)
        disc = (x - radius * stretch, y - radius, x + radius * stretch, y + radius)
        ImageDraw.Draw(colours).ellipse(disc, fill=_random_colour(rng))
        ImageDraw.Draw(contrasts).ellipse(disc, fill=rng.randrange(256))
    texture = _draw_texture(size, np.random.default_rng(rng.getrandbits(64)))
    texture *= np.asarray(contrasts, dtype=np.float32) / np.float32(128.0)
    scene = np.asarray(colours, dtype=np.float32) + texture[:, :, np.newaxis]
    return Image.fromarray(np.clip(np.rint(scene), 0, 255).astype(np.uint8))


def _random_colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(20, 236), rng.randrange(20, 236), rng.randrange(20, 236)


def _draw_texture(size: Size, rng: np.random.Generator) -> NDArray[np.float32]:
    """Returns 1/f noise around 0, float32 [height, width]: equal power in each octave."""
    texture = np.zeros((size[1], size[0]), dtype=np.float32)
    cell = max(1, size[0] // 1000)  # large sensors resolve less a pixel
    while cell < max(size):
        grid = (size[1] // cell + 2, size[0] // cell + 2)
        values = Image.fromarray(rng.standard_normal(grid, dtype=np.float32) * _TEXTURE)
        box = (0.5, 0.5, 0.5 + size[0] / cell, 0.5 + size[1] / cell)
        texture += np.asarray(values.resize(size, Image.Resampling.BICUBIC, box))
        cell *= 2
    return texture


def make_photos(
    out: Path, source: Path | None, *, seed: int, count: int, processes: int
) -> list[int]:
    """Writes the photos with their `index.csv` and returns the length of each file, bytes.

    Args:
        out: A folder that does not exist yet or is empty.
        source: A folder of pictures to cut from; None draws scenes.
        seed: What the bytes of all photos follow from, together with the pictures in `source`.
        count: How many.
        processes: How many to make at once.

    Raises:
        OSError: `out` is not empty or cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty")
    photos = plan_photos(seed, count, list_sources(source) if source else {})
    write = functools.partial(_write_photo, out=out, folder=source or out)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        lengths = list(pool.map(write, photos, chunksize=4))
    with (out / "index.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("file", "width", "height", "source"))
        rows.writerows((photo.file, *photo.size, photo.source) for photo in photos)
    return lengths


def _write_photo(photo: Photo, *, out: Path, folder: Path) -> int:
    return (out / photo.file).write_bytes(render_photo(photo, folder))


def find_source() -> Path | None:
    """Returns the folder of real pictures that the tests use too, or None."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    folder = Path(os.environ.get("BIRDCLI_TEST_DATA") or beside) / "images"
    return folder if folder.is_dir() else None


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    shares = ", ".join(f"{width}x{height}: {n}" for (width, height), n in SHARES.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"Sizes of 600 photos: {shares}; other counts in proportion. JPEG quality "
        f"{QUALITY}, about 260 KB each on average over a set. index.csv names file, width, "
        "height and source.",
    )
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="a new or empty folder")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes (%(default)s)")
    parser.add_argument("--count", type=_positive, default=600, help="photos (%(default)s)")
    parser.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="cut from the JPEG and PNG pictures below DIR (BIRDCLI_TEST_DATA/images, else "
        "../shared/images beside the repository, else draw scenes)",
    )
    parser.add_argument(
        "--processes", type=_positive, default=os.cpu_count() or 1, help="(%(default)s)"
    )
    options = parser.parse_args(arguments)
    source = options.source or find_source()
    if source is not None and not source.is_dir():
        parser.error(f"{source} is no folder")
    try:
        lengths = make_photos(
            options.out,
            source,
            seed=options.seed,
            count=options.count,
            processes=options.processes,
        )
    except OSError as err:
        parser.error(str(err))
    mean_kb = sum(lengths) / len(lengths) / 1000
    origin = f"cut from {source}" if source else "drawn"
    print(f"{len(lengths)} photos, {origin}, {mean_kb:.0f} KB on average", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
