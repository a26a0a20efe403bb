"""What runs in turn: processes over lists, and probes of decoding and inference alone."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, TypeAlias

from scripts.benchmarking.bench import process_figures
from scripts.benchmarking.process import ProcessFailedError, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.benchmarking.bench import Bench, Variant
    from scripts.benchmarking.process import Measured

    Contender: TypeAlias = Callable[[], dict[str, float]]
    """Runs once and returns what it measured, by name with unit."""

_TRIES: Final = 3


def over(run: Callable[[Path], Measured], inputs: Path) -> Contender:
    """Returns a contender that runs over one list."""
    return lambda: process_figures(run(inputs))


def over_both(run: Callable[[Path], Measured], once: Path, longer: Path) -> Contender:
    """Returns a contender that runs over a list, then over a longer one.

    It raises `ProcessFailedError` if the longer one takes no longer, again and again.
    """

    def both() -> dict[str, float]:
        for _ in range(_TRIES):
            figures = process_figures(run(once))
            figures["longer_wall_s"] = run(longer).wall_s
            if figures["longer_wall_s"] > figures["wall_s"]:
                return figures
        raise ProcessFailedError(f"{longer} takes no longer than {once}: too few images")

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
