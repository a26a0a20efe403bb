"""What runs in turn: processes over lists, and probes of decoding and inference alone."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, TypeAlias

from scripts.benchmarking.bench import process_figures
from scripts.benchmarking.process import measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.benchmarking.bench import Bench, Variant
    from scripts.benchmarking.process import Measured

    Contender: TypeAlias = Callable[[], dict[str, float]]
    """Runs once and returns what it measured, by name with unit."""

TIMES: Final = 3
"""The second list of each pair is so many times as long: what it takes longer is no start."""


def over(run: Callable[[Path], Measured], inputs: Path) -> Contender:
    """Returns a contender that runs over one list."""
    return lambda: process_figures(run(inputs))


def over_both(run: Callable[[Path], Measured], once: Path, thrice: Path) -> Contender:
    """Returns a contender that runs over a list, then over one `TIMES` as long."""

    def both() -> dict[str, float]:
        figures = process_figures(run(once))
        return figures | {"thrice_wall_s": run(thrice).wall_s}

    return both


def probe_engine(
    bench: Bench, variant: Variant, batches: tuple[int, ...] = (8, 32), seconds: float = 2.0
) -> dict[str, float]:
    """Returns what loading and inference alone cost."""
    seconds = 0.1 if bench.quick else seconds
    flags = variant.flags if "--engine" in variant.flags else ("--engine", variant.engine)
    done = measure(
        [
            *(sys.executable, "-m", "scripts.benchmarking.engine_probe", bench.version.id),
            *flags,
            *("--batches", ",".join(map(str, batches)), "--seconds", str(seconds)),
        ]
    )
    found = json.loads(done.stdout)
    return {key: value for key, value in found.items() if isinstance(value, float)}


def probe_decode(bench: Bench, photos: Path, way: str = "ours") -> dict[str, float]:
    """Returns what decoding alone costs."""
    done = measure(
        [
            *(sys.executable, "-m", "scripts.benchmarking.decode_probe", photos),
            *(str(bench.version.input.height), bench.version.input.preprocessing),
            *("--way", way, "--seconds", "0.1" if bench.quick else "4"),
        ]
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
