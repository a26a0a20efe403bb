"""BENCHMARK.md from results."""

from pathlib import Path

from scripts.benchmarking.results import Results


def write_report(results: Results, out: Path) -> None:
    """Writes."""
