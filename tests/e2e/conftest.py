"""A home with a promoted tiny model, made by the real commands, and pictures it has seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tiny_model import SIZE, save_labels, save_tiny_model

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PICTURES = ("a.png", "b.jpg", "c.JPG", "deep/d.png", "deep/e.webp")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps these tests on one worker: they share a home that takes seconds to make."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("e2e"))


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines of stdout."""
        return [json.loads(line) for line in self.stdout.splitlines()]


@dataclass(frozen=True, slots=True)
class Birdcli:
    """The real command, as a subprocess with its own home."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """A clean environment with this home."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BIRDCLI_")}
        return kept | {"BIRDCLI_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "100"}

    def command(self, *arguments: str | bytes | Path) -> list[str | bytes | Path]:
        """The command line."""
        return [sys.executable, "-m", "birdcli", *arguments]

    def __call__(
        self, *arguments: str | bytes | Path, stdin: bytes = b"", timeout_s: float = 90.0
    ) -> Finished:
        """Runs the command to its end."""
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            env=self.environment,
            cwd=REPOSITORY,
            timeout=timeout_s,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *arguments: str | bytes | Path) -> subprocess.Popen[bytes]:
        """Starts the command with pipes."""
        return subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=REPOSITORY,
        )


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_labels(folder / "labels.csv")
    (folder / "names.txt").write_text(
        "\n".join(f"Species number{i} (Bird number {i})" for i in range(11))
    )
    save_tiny_model(folder / "model")
    return folder


@pytest.fixture(scope="session")
def birdcli(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Birdcli:
    """The command over a home whose production model is `tiny@1`."""
    run = Birdcli(tmp_path_factory.mktemp("home"))
    added = run(
        *("registry", "add", "tiny@1", model_folder / "model"),
        *("--labels", model_folder / "labels.csv", "--names", model_folder / "names.txt"),
        *("--input-size", str(SIZE), "--background-id", "11"),
        *("--provenance", "run=17", "--provenance", "team=birds"),
    )
    assert added.code == 0, added.stderr
    promoted = run("registry", "promote", "tiny@1", "--note", "first light")
    assert promoted.code == 0, promoted.stderr
    return run


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five pictures and things that are none of classify's business."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "deep").mkdir()
    (folder / ".hidden").mkdir()
    random = np.random.RandomState(9)
    for name in (*PICTURES, ".hidden/x.png"):
        small = random.randint(0, 256, (6, 8, 3)).astype(np.uint8)
        Image.fromarray(small).resize((160, 120)).save(folder / name)
    (folder / "readme.txt").write_text("not a picture, and not called one")
    return folder


@pytest.fixture(scope="session")
def first_run(birdcli: Birdcli, pictures: Path) -> Finished:
    """The first, real run over the pictures; later runs over them need no engine."""
    return birdcli("classify", pictures)


@pytest.fixture
def known(first_run: Finished, pictures: Path) -> Path:
    """The pictures, their answers cached."""
    assert first_run.code == 0, first_run.stderr
    return pictures
