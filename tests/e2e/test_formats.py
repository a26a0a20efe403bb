"""Models of other formats, as their users register and run them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode
from tests.e2e.conftest import PICTURES, REPOSITORY, Birdcli

if TYPE_CHECKING:
    from pathlib import Path

# Adding the model costs seconds where TensorFlow has to run it: one worker does it for all.
on_one_worker = pytest.mark.xdist_group("lite")

pytestmark = pytest.mark.usefixtures("unmeasured")


@on_one_worker
def test_a_tflite_file_is_added_promoted_and_used(lite: Birdcli, pictures: Path) -> None:
    done = lite("classify", pictures)
    assert done.code == 0, done.stderr
    assert [record["input"] for record in done.records] == [str(pictures / n) for n in PICTURES]
    assert {record["backend"] for record in done.records} == {"litert/uint8"}
    for record in done.records:
        scores = [guess["score"] * 256 for guess in record["predictions"]]
        assert scores == pytest.approx([round(score) for score in scores], abs=1e-3)


@on_one_worker
@pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None, reason="TensorFlow is the engine"
)
def test_with_litert_a_run_never_imports_tensorflow(lite: Birdcli, pictures: Path) -> None:
    code = (
        "import sys\n"
        "from birdcli.cli.app import app\n"
        f"app(['classify', '--no-cache', {str(pictures)!r}], standalone_mode=False)\n"
        "sys.stderr.write(str([m for m in sys.modules if m.partition('.')[0] == 'tensorflow']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, cwd=REPOSITORY, env=lite.environment, check=True,
    )  # fmt: skip
    assert done.stderr.endswith("[]")
    assert len(done.stdout.splitlines()) == len(PICTURES)


@on_one_worker
def test_a_precision_that_the_file_does_not_have_is_refused(lite: Birdcli, pictures: Path) -> None:
    done = lite.inline("classify", "--precision", "float32", str(pictures))
    assert done.code == 2
    assert f"error[{ErrorCode.USAGE_BAD_FLAG}]" in done.stderr
    assert "uint8" in done.stderr


@on_one_worker
def test_verify_measures_8_bit_scores_in_probability(lite: Birdcli) -> None:
    done = lite("registry", "verify", "lite@1")
    assert done.stderr.strip().endswith("reproduces the golden outputs within 0.000 (probability)")


def test_a_float_model_without_a_range_is_a_usage_error(
    shared_folder: Path, tmp_path: Path
) -> None:
    done = Birdcli(tmp_path)(
        *("registry", "add", "m@1", shared_folder / "model"),
        *("--labels", shared_folder / "labels.csv"),
    )
    assert done.code == 2
    assert "--scale is required" in done.stderr
    assert "wrong species" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("size", ["0", "32x", "big"])
def test_a_size_that_makes_no_sense_is_a_usage_error(tmp_path: Path, size: str) -> None:
    done = Birdcli(tmp_path).inline(
        "registry", "add", "m@1", "x", "--labels", "y", "--input-size", size
    )
    assert done.code == 2
    assert f"error[{ErrorCode.USAGE_BAD_FLAG}]" in done.stderr


@pytest.mark.tensorflow
def test_the_keras_example_registers_what_it_trains(tmp_path: Path) -> None:
    run = Birdcli(tmp_path / "home")
    environment = run.environment | {
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    }
    done = subprocess.run(
        [sys.executable, REPOSITORY / "docs" / "register_keras_model.py", tmp_path],
        capture_output=True, text=True, env=environment, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fields = json.loads(run("registry", "show", "my-birds@1", "--json").stdout)
    assert fields["state"] == "validated"
    assert fields["input"]["height"] == 96
    lines = (REPOSITORY / "docs" / "register_keras_model.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 30
