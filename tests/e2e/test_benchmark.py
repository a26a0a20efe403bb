"""The report on execution times, a twentieth of it, on a model that starts at once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.benchmarking.results import load_results
from scripts.benchmarking.synthetic import draw_photos
from tests.e2e.conftest import REPOSITORY, Birdcli

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.xdist_group("lite"),
    pytest.mark.usefixtures("unmeasured"),
    pytest.mark.skipif(
        importlib.util.find_spec("ai_edge_litert") is None, reason="TensorFlow is the engine"
    ),
]


SECTIONS = ("commands", "disk", "http")


def benchmark(lite: Birdcli, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.benchmark", *map(str, arguments)],
        cwd=REPOSITORY, env=lite.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_report_is_measured_and_rendered(lite: Birdcli, tmp_path: Path) -> None:
    draw_photos(tmp_path / "photos", (320, 240), 12, seed=1)
    done = benchmark(
        lite, "--quick", "--photos", tmp_path / "photos", "--model", "lite@1",
        "--sections", ",".join(SECTIONS), "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = load_results(tmp_path / "docs/benchmark/results.json")
    assert list(results.sections) == list(SECTIONS)
    assert results.sections["disk"].model == "lite@1"
    assert results.sections["disk"].median("litert/wall_s") > 0
    report = (tmp_path / "BENCHMARK.md").read_text()
    assert "birdcli, LiteRT" in report
    (tmp_path / "BENCHMARK.md").unlink()
    assert benchmark(lite, "--render", "--out", tmp_path).returncode == 0
    assert (tmp_path / "BENCHMARK.md").read_text() == report


def test_an_unknown_section_is_wrong_usage(lite: Birdcli, tmp_path: Path) -> None:
    done = benchmark(lite, "--sections", "moon", "--out", tmp_path)
    assert done.returncode == 2
    assert "no such section: moon" in done.stderr
    assert list(tmp_path.iterdir()) == []
