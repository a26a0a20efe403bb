"""Measures birdcli and what it competes with; writes BENCHMARK.md, its plots and the raw results.

    BIRDCLI_HOME=… python -m scripts.benchmark --photos FOLDER [--sections disk,http] [--pairs 5]

Needs an installed `aiy-birds-v1@1`. FOLDER is made by `scripts/make_photos.py` if there is none.
Programs run in turn, A B A B, in one run; other work on the machine shows in the spread. Results go
to docs/benchmark/results.json, section by section; `--render` writes the report from there again,
without measuring.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from birdcli.cli.context import open_registry
from scripts.benchmarking.bench import Bench, find_engines, tell
from scripts.benchmarking.process import ROOT
from scripts.benchmarking.report import write_report
from scripts.benchmarking.results import load_results, record_section, save_results
from scripts.benchmarking.sections import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL: Final = "aiy-birds-v1@1"
SEED: Final = 1
_QUICK_PHOTOS: Final = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="the photo set; made if it does not exist")
    parser.add_argument(
        "--sections",
        type=lambda text: text.split(","),
        default=[name for name in SECTIONS if name != "tests"],
        help=f"some of {','.join(SECTIONS)} (all but tests)",
    )
    parser.add_argument("--pairs", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--model", default=MODEL, help="(%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a twentieth, one round")
    parser.add_argument(
        "--full", action="store_true", help="the original loop over all 100 URLs, 150 s each"
    )
    parser.add_argument("--render", action="store_true", help="only write the report anew")
    parser.add_argument("--out", type=Path, default=ROOT, help="where BENCHMARK.md and docs/ are")
    options = parser.parse_args(arguments)
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    path = options.out / "docs/benchmark/results.json"
    results = load_results(path)
    if not options.render:
        if options.photos is None:
            parser.error("--photos is missing")
        # An installed package has its bytecode; compiling it at each start would be measured, too.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        bench = prepare(options)
        for name in options.sections:
            tell(f"section {name}")
            started_s = time.perf_counter()
            taken = SECTIONS[name](bench, full=options.full)
            section = record_section(
                taken,
                script=f"python -m scripts.benchmark --sections {name}",
                model=bench.version.id,
                seed=SEED,
                started_s=started_s,
            )
            results = msgspec.structs.replace(results, sections={**results.sections, name: section})
            save_results(path, results)
    write_report(load_results(path), options.out)  # as `--render` will, to the last digit
    return 0


def prepare(options: argparse.Namespace) -> Bench:
    """Returns what sections measure with; makes the photos if there are none."""
    photos: Path = options.photos.resolve()
    if not photos.exists():
        subprocess.run(
            [
                *(sys.executable, "-m", "scripts.make_photos", str(photos), "--seed", str(SEED)),
                *(("--count", str(_QUICK_PHOTOS)) if options.quick else ()),
            ],
            cwd=ROOT, check=True,
        )  # fmt: skip
    scratch = photos.with_name(f"{photos.name}-benchmark")
    scratch.mkdir(exist_ok=True)
    registry = open_registry()
    version = registry.resolve(options.model)
    registry.verify_files(version)
    paths = sorted(photos.glob("*.jpg"))
    return Bench(
        version=version,
        folder=registry.version_folder(version),
        photos=tuple(paths[:_QUICK_PHOTOS] if options.quick else paths),
        scratch=scratch,
        pairs=1 if options.quick else options.pairs,
        quick=options.quick,
        engines=find_engines(version),
        seed=SEED,
    )


if __name__ == "__main__":
    raise SystemExit(main())
