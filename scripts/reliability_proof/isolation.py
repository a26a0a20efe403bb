"""What it costs that pictures are decoded in processes of their own."""

from __future__ import annotations

import shutil
import statistics
import time
from typing import TYPE_CHECKING, Final

from birdcli.host import usable_cpus
from scripts.make_photos import find_source, make_photos
from scripts.proof_report import Part
from scripts.reliability_proof.stage import differences, records_in, start

if TYPE_CHECKING:
    from pathlib import Path

_MODEL: Final = "imagenet-birds"
_WORTH: Final = 0.97
_THREADS: Final = "scripts.reliability_proof.in_threads"
_PROCESSES: Final = "birdcli"
_COPIES: Final = 9  # 20 s of work: a short run tells of starting three processes


def prove_isolation(
    folder: Path, home: Path, *, photos: int, pairs: int, seed: int, asking: bool
) -> Part:
    """Times whole runs with decoding in processes against the same with threads, in turn.

    Args:
        folder: Where to work.
        home: Gets the model that ships.
        photos: How many different ones.
        pairs: How often each way is timed, after once to warm up.
        seed: Of the photos.
        asking: Whether the ratio is asked for; a short run tells of starting up alone.
    """
    out = folder / "photos"
    make_photos(out, find_source(), seed=seed, count=photos, processes=usable_cpus())
    listed = folder / "list.txt"
    paths = sorted(out.glob("*.jpg"))
    listed.write_text("".join(f"{path}\n" for path in paths * _COPIES))
    walls: dict[str, list[float]] = {_PROCESSES: [], _THREADS: []}
    problems: list[str] = []
    for number in range(pairs + 1):
        ways = list(walls) if number % 2 else list(reversed(walls))
        for way in ways:
            output, told = folder / f"{way}.jsonl", folder / f"{way}.txt"
            started_s = time.monotonic()
            command = ("classify", "-m", _MODEL, "-f", listed, "--no-cache", "--fresh")
            code = start(home, *command, "-o", output, stderr=told, module=way).wait()
            if number:
                walls[way].append(time.monotonic() - started_s)
            if code != 0:
                problems.append(f"{way} ended with {code}: {told.read_text()[-300:]}")
    problems += differences(*(records_in(folder / f"{way}.jsonl") for way in walls))[:5]
    shutil.rmtree(out)
    ratios = [
        thread_s / process_s
        for thread_s, process_s in zip(walls[_THREADS], walls[_PROCESSES], strict=True)
    ]
    ratio = statistics.median(walls[_THREADS]) / statistics.median(walls[_PROCESSES])
    if asking and ratio < _WORTH:
        problems.append(f"throughput {ratio:.3f} of that of threads, below {_WORTH}")
    return Part(
        title="Decoding in processes of its own",
        lines=(
            f"Whole runs of {len(paths) * _COPIES:,} photos, {_MODEL}: "
            f"{statistics.median(walls[_PROCESSES]):.1f} s, in threads "
            f"{statistics.median(walls[_THREADS]):.1f} s (medians of {pairs}, taken in turn): "
            f"**{ratio:.3f} of their throughput** (pairs: "
            f"{', '.join(f'{pair:.2f}' for pair in sorted(ratios))}), the same answers.",
        ),
        problems=tuple(problems),
    )
