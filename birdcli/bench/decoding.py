"""How fast photos become pixels, while nothing else runs."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from birdcli.bench.rounds import Work
from birdcli.decode import decode_image, ignore_library_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from birdcli.bench.photos import BenchPhoto, PhotoSet
    from birdcli.settings import DecodeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRound:
    """One round of decoding.

    Attributes:
        work: All photos together.
        core_ms: Milliseconds of one core per photo, by size class; only classes that came up.
    """

    work: Work
    core_ms: dict[str, float]


@dataclass(slots=True)
class _Tally:
    images: int = 0
    cpu_s: float = 0.0


def measure_decoding(
    photos: PhotoSet, settings: DecodeSettings, *, threads: int, seconds: float
) -> DecodeRound:
    """Decodes from memory for some time, with so many threads at once.

    Args:
        photos: Taken in their order, from its beginning.
        settings: What they become.
        threads: How many at once.
        seconds: How long; each thread finishes the photo it is at.
    """
    ignore_library_warnings()
    positions = itertools.count()
    started_s = time.perf_counter()

    def work(_: int) -> tuple[dict[str, _Tally], float]:
        tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
        for photo in _taken(photos, positions, until_s=started_s + seconds):
            before_s = time.thread_time()
            decode_image(photo.data, settings)
            tally = tallies[photo.size_class]
            tally.images += 1
            tally.cpu_s += time.thread_time() - before_s
        return tallies, time.perf_counter() - started_s

    with ThreadPoolExecutor(threads, thread_name_prefix="birdcli-decode") as pool:
        done = list(pool.map(work, range(threads)))
    total: defaultdict[str, _Tally] = defaultdict(_Tally)
    for tallies, _ in done:
        for name, tally in tallies.items():
            total[name].images += tally.images
            total[name].cpu_s += tally.cpu_s
    cpu_s = sum(tally.cpu_s for tally in total.values())
    return DecodeRound(
        work=Work(
            images=sum(tally.images for tally in total.values()),
            # Each thread over its own time: the others need not wait for the last large photo.
            images_per_s=sum(
                sum(tally.images for tally in tallies.values()) / wall_s for tallies, wall_s in done
            ),
            cpu_s=cpu_s,
            busy=min(1.0, cpu_s / sum(wall_s for _, wall_s in done)),
        ),
        core_ms={name: tally.cpu_s / tally.images * 1e3 for name, tally in total.items()},
    )


def _taken(photos: PhotoSet, positions: Iterator[int], *, until_s: float) -> Iterator[BenchPhoto]:
    yield photos.photos[photos.order[next(positions) % len(photos.order)]]
    while time.perf_counter() < until_s:
        yield photos.photos[photos.order[next(positions) % len(photos.order)]]
