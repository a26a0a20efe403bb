"""The commands of docs/mlflow.md run as they stand there; MLflow alone is played by a script.

`scripts/prove_mlflow.py` runs them against a real MLflow server.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.prove_mlflow import RECIPE, recipe_commands
from tests.e2e.conftest import Birdcli

pytestmark = pytest.mark.usefixtures("unmeasured")


def test_the_recipe_registers_what_mlflow_delivers(shared_folder: Path, tmp_path: Path) -> None:
    programs = {
        "mlflow": f'cp -r "{shared_folder}/model" "${{@: -1}}"\n'
        f'cp "{shared_folder}/labels.csv" "${{@: -1}}"',
        "birdcli": f'exec "{sys.executable}" -m birdcli "$@"',
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    run = Birdcli(tmp_path / "home")
    environment = run.environment | {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(RECIPE.parents[1]),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    }
    commands = recipe_commands(RECIPE.read_text(encoding="utf-8"))
    assert [command.split()[:3] for command in commands] == [
        ["mlflow", "artifacts", "download"],
        ["birdcli", "registry", "add"],
        ["birdcli", "registry", "promote"],
        ["birdcli", "registry", "show"],
    ]
    for command in commands:
        done = subprocess.run(
            ["bash", "-ec", command],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
    assert "mlflow=models:/birds@champion" in done.stdout
    assert "server=http://127.0.0.1:5000" in done.stdout
    assert Path(tmp_path / "home" / "registry" / "manifest.json").is_file()
