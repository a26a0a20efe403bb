"""Measures birdcli against a plain `tf.data` + `hub.KerasLayer` loop and writes BENCHMARK.md.

    BIRDCLI_HOME=… python -m scripts.benchmark --photos FOLDER [--pairs 3]

Needs an installed `aiy-birds-v1@1`. The photos are made by `scripts/make_photos.py` if FOLDER does
not exist. Commands run in turn, A B A B, in one run; quoted are medians and the ratio pair by pair.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from birdcli.cli.context import open_registry
from birdcli.host import cpu_features, library_versions, usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
MODEL = "aiy-birds-v1@1"
SEED = 1
QUICK_COMMANDS = (("--help",), ("registry", "list"), ("classify", "--help"))
HEAVY = ("numpy", "aiohttp", "PIL", "tensorflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One finished process.

    Attributes:
        wall_s: From start to end.
        cpu_s: User and system time.
        peak_mb: Largest resident size, 10^6 bytes.
        stderr: What it told people.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    stderr: str


def measure(command: list[str], output: Path) -> Measured:
    """Runs a command to its end, its records going to `output`."""
    with output.open("wb") as out, (output.with_suffix(".err")).open("w+") as err:
        started_s = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started_s
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        stderr = err.read()
    if process.returncode != 0:
        raise SystemExit(f"{command} failed with {process.returncode}:\n{stderr[-2000:]}")
    return Measured(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * 1024 / 1e6,
        stderr=stderr,
    )


def heavy_imports(arguments: tuple[str, ...]) -> list[str]:
    """Returns which of the heavy libraries a command imports."""
    code = (
        "import sys; sys.argv[0] = 'birdcli'\n"
        "from birdcli.cli.app import app\n"
        f"app({list(arguments)!r}, standalone_mode=False)\n"
        f"sys.stderr.write(','.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return [name for name in done.stderr.strip().split(",") if name]


def quick_rows(runs: int, scratch: Path) -> list[str]:
    """Returns a row for each command that must answer at once."""
    rows = []
    for arguments in QUICK_COMMANDS:
        command = [sys.executable, "-m", "birdcli", *arguments]
        times = [measure(command, scratch / "quick").wall_s for _ in range(runs + 1)][1:]
        heavy = ", ".join(heavy_imports(arguments)) or "none"
        rows.append(
            f"| `birdcli {' '.join(arguments)}` | {statistics.median(times):.3f} "
            f"| {min(times):.3f} to {max(times):.3f} | {heavy} |"
        )
    return rows


def after_start(text: str) -> float:
    """Returns the images/s that the baseline reports for the time after its start."""
    found = re.search(r"([\d.]+) images/s after start", text)
    return float(found[1]) if found else float("nan")


def agreement(ours: Path, theirs: Path) -> tuple[int, int]:
    """Returns how many photos both call the same at top-1, and how many there are."""

    def best(path: Path) -> dict[str, str]:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return {Path(r["input"]).name: r["predictions"][0]["label"] for r in records}

    first, second = best(ours), best(theirs)
    return sum(first[name] == second[name] for name in first), len(first)


def batch_report(photos: Path, pairs: int, scratch: Path) -> list[str]:
    """Returns the section on 600 photos from disk, birdcli and the baseline in turn."""
    registry = open_registry()
    folder = registry.version_folder(registry.resolve(MODEL))
    ours = [
        *(sys.executable, "-m", "birdcli", "classify", "--model", MODEL),
        *("--no-cache", str(photos)),
    ]
    theirs = [
        *(sys.executable, str(ROOT / "scripts" / "baseline_keras.py")),
        *(str(folder / "module"), str(folder / "labels.csv"), str(photos)),
    ]
    runs: list[tuple[Measured, Measured]] = []
    for number in range(pairs + 1):
        pair = measure(ours, scratch / "ours"), measure(theirs, scratch / "theirs")
        if number:  # the first pair only warms the file cache
            runs.append(pair)
        sys.stderr.write(f"pair {number}: {pair[0].wall_s:.1f} s against {pair[1].wall_s:.1f} s\n")
    count = len(list(photos.glob("*.jpg")))
    same, total = agreement(scratch / "ours", scratch / "theirs")
    rows = [
        f"{count} photos, {len(runs)} pairs in turn after one warm-up pair.",
        "",
        "| whole process, median | birdcli, TensorFlow float32 | tf.data + KerasLayer |",
        "|---|---|---|",
    ]
    figures: dict[str, Callable[[Measured], float]] = {
        "wall, s": lambda run: run.wall_s,
        "images/s, whole process": lambda run: count / run.wall_s,
        "CPU, s": lambda run: run.cpu_s,
        "peak memory, MB": lambda run: run.peak_mb,
    }
    for title, figure in figures.items():
        first, second = (statistics.median(figure(pair[i]) for pair in runs) for i in (0, 1))
        rows.append(f"| {title} | {first:.1f} | {second:.1f} |")
    ratios = [theirs_.wall_s / ours_.wall_s for ours_, theirs_ in runs]
    rate = statistics.median(after_start(pair[1].stderr) for pair in runs)
    rows += [
        "",
        f"Baseline wall over birdcli wall, pair by pair: median **{statistics.median(ratios):.2f}**"
        f" ({min(ratios):.2f} to {max(ratios):.2f}). The baseline itself reports {rate:.0f} "
        f"images/s after its start. Both name the same species first in {same} of {total} photos "
        "(they resize differently: birdcli antialiases, `tf.image.resize` does not).",
    ]
    return rows


def tests_report(scratch: Path) -> list[str]:
    """Returns the section on the tests, which `scripts/test` runs as CI does."""
    run = measure(["./scripts/test"], scratch / "tests")
    closing = (scratch / "tests").read_text().strip().splitlines()[-1].strip("= ")
    return [
        "## Tests",
        "",
        f"`./scripts/test` after set-up: {run.wall_s:.0f} s ({closing}); the goal is 120 s.",
        "",
    ]


def commit() -> str:
    """Returns the commit that was measured, with a mark if files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def main() -> int:
    """Measures and writes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=ROOT / "BENCHMARK.md")
    parser.add_argument("--tests", action="store_true", help="time scripts/test, too")
    options = parser.parse_args()
    if not options.photos.exists():
        subprocess.run(
            [sys.executable, "scripts/make_photos.py", str(options.photos), "--seed", str(SEED)],
            cwd=ROOT, check=True,
        )  # fmt: skip
    scratch = options.photos.parent / f"{options.photos.name}-results"
    scratch.mkdir(exist_ok=True)
    versions = ", ".join(
        f"{name} {version}"
        for name, version in library_versions("tensorflow", "pillow", "numpy", "aiohttp").items()
    )
    lines = [
        "# Execution times",
        "",
        "Made by `python -m scripts.benchmark`; the machine is shared, so trust ratios before "
        "seconds.",
        "",
        f"- Commit `{commit()}`, photos of `scripts/make_photos.py --seed {SEED}`",
        f"- {usable_cpus()} CPUs, {cpu_features()}, Python {platform.python_version()}, {versions}",
        "",
        "## Commands that must answer at once",
        "",
        "Ten runs after one warm-up; the goal is 0.3 s, and no heavy library imported.",
        "",
        "| command | median, s | range, s | heavy imports |",
        "|---|---|---|---|",
        *quick_rows(10, scratch),
        "",
        f"## {MODEL} from disk",
        "",
        *batch_report(options.photos, options.pairs, scratch),
        "",
        *(tests_report(scratch) if options.tests else []),
    ]
    options.output.write_text("\n".join(lines))
    sys.stderr.write("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
