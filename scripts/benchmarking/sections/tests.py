"""The project's own tests, as CI runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.benchmarking.process import measure
from scripts.benchmarking.results import Taken

if TYPE_CHECKING:
    from scripts.benchmarking.bench import Bench


def measure_tests(bench: Bench) -> Taken:
    """Runs `scripts/test` once it is set up."""
    measure(["./scripts/test", "--collect-only", "-q"])
    done = measure(["./scripts/test", *(["tests/unit/test_errors.py"] if bench.quick else [])])
    closing = done.stdout.decode().strip().splitlines()[-1].strip("= ")
    return Taken(samples={"wall_s": [done.wall_s]}, facts={"closing": closing})
