"""BENCHMARK.md from results: every number in it comes from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from birdcli.files import atomic_writer
from scripts.benchmarking import derived
from scripts.benchmarking.analysis import analyse
from scripts.benchmarking.derived import median
from scripts.benchmarking.details import commands, engines, large, memory, scaling, tests
from scripts.benchmarking.goals import iter_goals
from scripts.benchmarking.markdown import table, three
from scripts.benchmarking.names import NAMES
from scripts.benchmarking.plots import write_plots
from scripts.benchmarking.provenance import machines, provenance
from scripts.benchmarking.throughput import cold_starts, from_disk, headline, over_http

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.benchmarking.results import Results

PLOT_FOLDER: Final = "docs/benchmark"
RESULTS_FILE: Final = f"{PLOT_FOLDER}/results.json"
CHAPTERS: Final = (
    from_disk, cold_starts, over_http, engines, scaling, memory, large, commands, tests,
)  # fmt: skip


def write_report(results: Results, out: Path) -> None:
    """Writes BENCHMARK.md and its plots.

    Args:
        results: What was measured, one section or all of them.
        out: The folder of BENCHMARK.md; plots go to `docs/benchmark` below it.
    """
    write_plots(results, out / PLOT_FOLDER)
    with atomic_writer(out / "BENCHMARK.md") as file:
        file.write("\n".join(report_lines(results)).encode())


def report_lines(results: Results) -> list[str]:
    """Returns the lines of the report."""
    lines = [
        "# Execution times",
        "",
        *_opening(results),
        *headline(results),
        *_method(results),
        *_goals(results),
    ]
    for chapter in CHAPTERS:
        lines += chapter(results)
    return [*lines, *analyse(results), "## What made each number", "", *provenance(results)]


def _opening(results: Results) -> list[str]:
    disk, cold = results.sections.get("disk"), results.sections.get("cold")
    if disk is None:
        return []
    said = []
    keras = derived.rates_after_start(disk, "keras")
    for engine in derived.engines_of(disk):
        rate = median(derived.rates_after_start(disk, engine))
        words = f"{NAMES[engine]} names {three(rate)} images/s"
        if keras:
            words += f", {three(rate / median(keras))} times a `tf.data` + `KerasLayer` program"
        if cold is not None:
            first = three(cold.median(f"{engine}/1/first_line_s"))
            words += f"; one photo takes {first} s from the start of the process"
        said.append(f"{words}.")
    return [" ".join(said), ""]


def _method(results: Results) -> list[str]:
    seeds = sorted({section.seed for section in results.sections.values()})
    models = sorted({section.model for section in results.sections.values()})
    made = ", ".join(f"`scripts/make_photos.py --seed {seed}`" for seed in seeds)
    return [
        "## What was measured, and how",
        "",
        *(f"- On {machine}." for machine in machines(results)),
        f"- Model {', '.join(f'`{model}`' for model in models)}; photos of {made}: JPEGs from "
        "500x375 to 4000x3000, quality 88.",
        "- Every number is of whole processes started afresh, one at a time, in turn: A B C A B C. "
        "Quoted are medians; ratios are formed round by round, then their median, so that a slow "
        "minute of the machine falls on both sides. The range over the rounds stands beside them.",
        "- **After the start** is a rate measured the same way for everybody: the wall time of a "
        "list three times as long, less that of the list, over the images it is longer.",
        "- birdcli runs with `--no-cache`; every photo is read, decoded and classified each time. "
        "The files are in the system's page cache for all.",
        "- The baselines are in `scripts/baselines`: the loop that the task starts from (it loads "
        "model and labels for each image; here from the disk, not from the hub), a `tf.data` "
        "pipeline with `hub.KerasLayer` (parallel, prefetched, batches of 32), and a thread pool "
        "with Pillow before the same layer. img2dataset only downloads and resizes, in its fastest "
        "settings here: a process for each core, several shards for each, no files kept.",
        "- The machine is a virtual one and shared. Trust ratios before seconds.",
        "- What each step on the way gained is kept in [docs/profile.md](docs/profile.md).",
        "",
        "To measure again (hours), or only write this page anew from "
        f"[the raw results]({RESULTS_FILE}), which hold every sample of every round:",
        "",
        "```console",
        "$ birdcli registry pull aiy-birds-v1",
        "$ python -m scripts.benchmark --photos ../photos          # makes the photos, too",
        "$ python -m scripts.benchmark --photos ../photos --sections disk,cold --pairs 9",
        "$ python -m scripts.benchmark --render",
        "$ python -m scripts.bench_gate main HEAD --photos ../photos   # did it get slower?",
        "```",
        "",
    ]


def _goals(results: Results) -> list[str]:
    goals = list(iter_goals(results))
    if not goals:
        return []
    return [
        "## Goals",
        "",
        *table(["what", "goal", "measured", ""], [goal.cells() for goal in goals]),
    ]
