"""The photos that are measured: the user's own, or a generated set."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from birdcli.decode import decode_image
from birdcli.errors import ErrorCode, ItemError, UsageError
from birdcli.local import read_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from birdcli.settings import DecodeSettings

# width, height; how many of a hundred; how many different ones.
_SIZES: Final = (
    (500, 375, 23, 3),
    (1024, 768, 27, 3),
    (1280, 960, 28, 3),
    (2048, 1536, 13, 2),
    (4000, 3000, 8, 1),
    (6000, 4000, 1, 1),
)
_QUALITY: Final = 88
_TILE: Final = 1500  # pixels that are drawn; what is larger repeats them mirrored
_MOST_PHOTOS: Final = 200
_MOST_BYTES: Final = 400_000_000
_MOST_FILE_BYTES: Final = 64_000_000
_READERS: Final = 4
_CLASSES: Final = ((1.0, "below 1 MP"), (4.0, "1 to 4 MP"), (16.0, "4 to 16 MP"))
_LARGEST_CLASS: Final = "16 MP and more"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPhoto:
    """One encoded photo.

    Attributes:
        path: Where it is on disk.
        data: Its bytes.
        width: Pixels.
        height: Pixels.
    """

    path: str
    data: bytes
    width: int
    height: int

    @property
    def size_class(self) -> str:
        """Which row of the report it belongs to."""
        pixels = self.width * self.height / 1e6
        return next((name for limit, name in _CLASSES if pixels < limit), _LARGEST_CLASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSet:
    """What is measured.

    Attributes:
        photos: Different photos, each decodable.
        order: Indices into `photos`, in which they are taken, again and again.
        generated: Whether they were made for this.
        found: How many there were to choose from.
        broken: Those that cannot be decoded, with the reason.
        read_mb_s: How fast they were read for the first time, 10^6 bytes per second; None if they
            were made.
        read_per_s: The same in photos per second.
    """

    photos: tuple[BenchPhoto, ...]
    order: tuple[int, ...]
    generated: bool
    found: int
    broken: tuple[tuple[str, str], ...] = ()
    read_mb_s: float | None = None
    read_per_s: float | None = None

    @property
    def size_classes(self) -> tuple[str, ...]:
        """The size classes that occur, small ones first."""
        present = {photo.size_class for photo in self.photos}
        names = (*(name for _, name in _CLASSES), _LARGEST_CLASS)
        return tuple(name for name in names if name in present)

    def share_of(self, size_class: str) -> float:
        """Returns which share of the set a size class is, 0 to 1."""
        hits = sum(self.photos[at].size_class == size_class for at in self.order)
        return hits / len(self.order)


def make_photos(folder: Path) -> PhotoSet:
    """Draws a set like that of BENCHMARK.md, and writes it; the same bytes every time.

    Args:
        folder: An existing folder.
    """
    rng = np.random.default_rng(20)
    noise = _one_over_f(rng)
    photos: list[BenchPhoto] = []
    order: list[int] = []
    for width, height, of_hundred, different in _SIZES:
        for number in range(different):
            path = folder / f"{width}x{height}-{number}.jpg"
            data = _draw(noise, width, height, rng)
            path.write_bytes(data)
            share = of_hundred // different + (number < of_hundred % different)
            order += [len(photos)] * share
            photos.append(BenchPhoto(path=str(path), data=data, width=width, height=height))
    return PhotoSet(photos=tuple(photos), order=_mixed(order), generated=True, found=len(photos))


def _mixed(order: list[int]) -> tuple[int, ...]:
    """Returns an order in which any stretch is about as rich in large photos as any other."""
    step = 61  # without a common factor, and near the golden section of 100
    return tuple(order[at * step % len(order)] for at in range(len(order)))


def _one_over_f(rng: np.random.Generator) -> NDArray[np.float32]:
    """Returns noise around 0 as photos have it, float32 [T, T, 3]: equal power in each octave."""
    texture = np.zeros((_TILE, _TILE), np.float32)
    cell = 1
    while cell < _TILE:
        side = _TILE // cell + 2
        values = Image.fromarray(rng.standard_normal((side, side), np.float32))
        texture += np.asarray(values.resize((_TILE, _TILE), Image.Resampling.BICUBIC))
        cell *= 2
    tint = rng.uniform(0.7, 1.0, 3).astype(np.float32)
    tinted: NDArray[np.float32] = texture[:, :, np.newaxis] * tint
    return tinted


def _draw(noise: NDArray[np.float32], width: int, height: int, rng: np.random.Generator) -> bytes:
    # Small pictures of the web hold more detail a pixel than those of large sensors.
    contrast = 6.0 * (width / 500) ** -0.6  # to the file sizes of real ones
    tile = noise[: min(height, _TILE), : min(width, _TILE)] * np.float32(contrast)
    colour = rng.uniform(70, 180, 3).astype(np.float32)
    levels = np.clip(tile + colour, 0, 255).astype(np.uint8)
    missing = ((0, height - levels.shape[0]), (0, width - levels.shape[1]), (0, 0))
    out = io.BytesIO()
    Image.fromarray(np.pad(levels, missing, "symmetric")).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def load_photos(paths: Sequence[str], settings: DecodeSettings) -> PhotoSet:
    """Reads photos of the user, or a sample spread evenly over many.

    Args:
        paths: Files.
        settings: How they are going to be decoded; those that cannot be are left out.

    Raises:
        UsageError: ``usage.no_input`` if none can be decoded.
    """
    step = max(1.0, len(paths) / _MOST_PHOTOS)
    sample = [paths[int(at * step)] for at in range(min(len(paths), _MOST_PHOTOS))]
    started_s = time.perf_counter()
    contents = _read(sample)
    elapsed_s = time.perf_counter() - started_s
    photos: list[BenchPhoto] = []
    broken: list[tuple[str, str]] = []
    for path, content in zip(sample, contents, strict=False):
        if isinstance(content, ItemError):
            broken.append((path, content.message))
            continue
        try:
            pixels = decode_image(content, settings)
        except ItemError as err:
            broken.append((path, err.message))
            continue
        photos.append(BenchPhoto(path=path, data=content, width=pixels.width, height=pixels.height))
    if not photos:
        raise UsageError(
            ErrorCode.USAGE_NO_INPUT,
            f"none of the photos can be decoded; the first: {broken[0][1]}",
        )
    read = sum(len(content) for content in contents if isinstance(content, bytes))
    return PhotoSet(
        photos=tuple(photos),
        order=tuple(range(len(photos))),
        generated=False,
        found=len(paths),
        broken=tuple(broken),
        read_mb_s=read / 1e6 / elapsed_s,
        read_per_s=len(contents) / elapsed_s,
    )


def _read(paths: Sequence[str]) -> list[bytes | ItemError]:
    """Returns the content of each file, until they fill the memory that they may take."""

    def read_one(path: str) -> bytes | ItemError:
        try:
            return read_file(path, max_bytes=_MOST_FILE_BYTES)
        except ItemError as err:
            return err

    contents: list[bytes | ItemError] = []
    size = 0
    with ThreadPoolExecutor(_READERS, thread_name_prefix="birdcli-read") as readers:
        for start in range(0, len(paths), 2 * _READERS):
            for content in readers.map(read_one, paths[start : start + 2 * _READERS]):
                contents.append(content)
                size += len(content) if isinstance(content, bytes) else 0
            if size > _MOST_BYTES:
                break
    return contents
