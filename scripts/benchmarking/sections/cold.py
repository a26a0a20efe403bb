"""Fresh processes with short lists: from the start of the process to the record."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

from scripts.benchmarking.baselines import run_baseline
from scripts.benchmarking.bench import BIRDCLI, in_turn
from scripts.benchmarking.photo_server import serving
from scripts.benchmarking.process import measure
from scripts.benchmarking.results import Taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.benchmarking.bench import Bench, Variant
    from scripts.benchmarking.process import Measured

# What birdcli says itself of its start, on stderr.
_SPLIT: Final = {
    "import_s": re.compile(r"imports ([\d.]+)"),
    "model_s": re.compile(r"model ([\d.]+)"),
    "first_batch_s": re.compile(r"first batch ([\d.]+)"),
}
_ROUNDS: Final = 2
"""So many rounds for each of the other sections': one cold start is short, and its noise large."""


def measure_cold(bench: Bench) -> Taken:
    """Runs short lists in fresh processes, in turn."""
    with serving(bench.photos[0].parent) as served:
        url = bench.write_list("url", [served.url(bench.photos[0])])
        contenders: dict[str, Callable[[], dict[str, float]]] = {
            "python": lambda: {"wall_s": measure([sys.executable, "-c", ""]).wall_s},
            "cli": lambda: {"wall_s": measure([*BIRDCLI, "--version"]).wall_s},
        }
        for engine in bench.engines:
            for size in bench.list_sizes[:-1]:
                contenders[f"{engine.name}/{size}"] = _classifying(
                    bench, engine, bench.photo_list(size)
                )
            contenders[f"{engine.name}/url"] = _classifying(bench, engine, url)
        if bench.is_saved_model:
            one = bench.photo_list(1)
            contenders["keras/1"] = lambda: _figures(run_baseline(bench, "keras", one))
            contenders["original/url"] = lambda: _figures(run_baseline(bench, "original", url))
        rounds = bench.pairs if bench.quick else _ROUNDS * bench.pairs
        samples = in_turn(rounds, contenders, warm=not bench.quick)
    return Taken(samples=samples, facts={"photo_kb": bench.photos[0].stat().st_size / 1000})


def _classifying(bench: Bench, variant: Variant, inputs: Path) -> Callable[[], dict[str, float]]:
    return lambda: _figures(bench.classify(variant, inputs))


def _figures(done: Measured) -> dict[str, float]:
    found = {"wall_s": done.wall_s, "first_line_s": done.first_line_s}
    for name, pattern in _SPLIT.items():
        said = pattern.search(done.stderr.partition("engine ready")[2])
        if said is not None:
            found[name] = float(said[1])
    return found
