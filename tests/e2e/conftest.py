"""A home with a promoted tiny model, made by the real commands, and pictures it has seen."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from typer.testing import CliRunner

from birdcli.cli.app import app
from tests.tiny_model import save_labels, save_tflite, save_tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent.parent
_HIDDEN = """
import importlib.metadata as metadata, sys
hidden = sys.argv.pop(1)
sys.modules[hidden] = None
known = metadata.version
def version(name):
    if name == hidden:
        raise metadata.PackageNotFoundError(name)
    return known(name)
metadata.version = version
from birdcli.cli.app import main
main()
"""
_LISTED = """
import os, sys
from birdcli.cli.app import main
os._exit = sys.exit  # which is not the end yet
try:
    main()
finally:
    print("imported:", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
_DEAD_DISK = """
import os, threading
def waiting(real):
    def look(path, *arguments, **options):
        if "dead-disk" in str(path):
            while True:
                threading.Event().wait(3600.0)
        return real(path, *arguments, **options)
    return look
os.stat, os.scandir = waiting(os.stat), waiting(os.scandir)
from birdcli.cli.app import main
main()
"""
PICTURES = ("a.png", "b.jpg", "c.JPG", "deep/d.png", "deep/e.webp")


def _drop_the_right_to_ignore_permissions() -> None:
    """Makes root obey the permissions of files, as any other user has to, from the next exec on."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


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
        return self._run(self.command(*arguments), stdin=stdin, timeout_s=timeout_s)

    def without(self, module: str, *arguments: str | Path) -> Finished:
        """Runs the command as if a library were not installed."""
        return self._run([sys.executable, "-c", _HIDDEN, module, *arguments])

    def importing(self, *arguments: str | Path) -> tuple[Finished, set[str]]:
        """Runs the command and returns the top-level modules that it imported, too."""
        done = self._run([sys.executable, "-c", _LISTED, *arguments])
        people, _, listed = done.stderr.rpartition("imported: ")
        return Finished(done.code, done.stdout, people), set(listed.split())

    def with_dead_disk(
        self, *arguments: str | bytes | Path, stdin: bytes = b"", timeout_s: float = 30.0
    ) -> Finished:
        """Runs the command where no path with `dead-disk` in it is ever answered for."""
        command = [sys.executable, "-c", _DEAD_DISK, *arguments]
        return self._run(command, stdin=stdin, timeout_s=timeout_s)

    def start_with_dead_disk(self, *arguments: str | bytes | Path) -> subprocess.Popen[bytes]:
        """Starts the command where no path with `dead-disk` in it is ever answered for."""
        return self._start([sys.executable, "-c", _DEAD_DISK, *arguments])

    @contextmanager
    def unwritable(self) -> Iterator[None]:
        """Takes away the right to write below the home; see `obedient`."""
        paths = [self.home, *self.home.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield
        finally:
            for path in paths:
                path.chmod(0o755 if path.is_dir() else 0o644)

    def obedient(self, *arguments: str | Path) -> Finished:
        """Runs the command so that even root obeys the permissions of files."""
        return self._run(self.command(*arguments), preexec_fn=_drop_the_right_to_ignore_permissions)

    def _run(
        self,
        command: Sequence[str | bytes | Path],
        *,
        stdin: bytes = b"",
        timeout_s: float = 90.0,
        preexec_fn: Callable[[], None] | None = None,
    ) -> Finished:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            env=self.environment,
            cwd=REPOSITORY,
            timeout=timeout_s,
            check=False,
            preexec_fn=preexec_fn,
        )
        return Finished(done.returncode, done.stdout, done.stderr.decode())

    def inline(self, *arguments: str) -> Finished:
        """Runs the command in this process: quicker, for what is refused before it starts."""
        result = CliRunner().invoke(app, arguments, env=self.environment)
        return Finished(result.exit_code, result.stdout_bytes, result.stderr)

    def start(self, *arguments: str | bytes | Path) -> subprocess.Popen[bytes]:
        """Starts the command with pipes."""
        return self._start(self.command(*arguments))

    def _start(self, command: Sequence[str | bytes | Path]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=REPOSITORY,
        )


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a test run share; what is in it was made by the first."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = root / "e2e"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "made").exists():
            _make_home(folder)
            (folder / "made").touch()
    return folder


def _make_home(folder: Path) -> None:
    """Adds and promotes a tiny model and classifies the pictures, all with the real commands."""
    save_labels(folder / "labels.csv")
    (folder / "names.txt").write_text(
        "\n".join(f"Species number{i} (Bird number {i})" for i in range(11))
    )
    save_tiny_model(folder / "model")
    save_tflite(folder / "lite.tflite", dtype="uint8")
    pictures = folder / "pictures"
    (pictures / "deep").mkdir(parents=True)
    (pictures / ".hidden").mkdir()
    random = np.random.RandomState(9)
    for name in (*PICTURES, ".hidden/x.png"):
        small = random.randint(0, 256, (6, 8, 3)).astype(np.uint8)
        Image.fromarray(small).resize((160, 120)).save(pictures / name)
    (pictures / "readme.txt").write_text("not a picture, and not called one")
    run = Birdcli(folder / "home")
    added = run(
        *("registry", "add", "tiny@1", folder / "model"),
        *("--labels", folder / "labels.csv", "--names", folder / "names.txt"),
        *("--scale", "unit", "--background-id", "11"),
        *("--provenance", "run=17", "--provenance", "team=birds"),
    )
    assert added.code == 0, added.stderr
    promoted = run("registry", "promote", "tiny@1", "--note", "first light")
    assert promoted.code == 0, promoted.stderr
    first = run("classify", pictures)
    (folder / "first.code").write_text(str(first.code))
    (folder / "first.stdout").write_bytes(first.stdout)
    (folder / "first.stderr").write_text(first.stderr)


@pytest.fixture(scope="session")
def birdcli(shared_folder: Path) -> Birdcli:
    """The command over a home whose production model is `tiny@1`."""
    return Birdcli(shared_folder / "home")


@pytest.fixture(scope="session")
def pictures(shared_folder: Path) -> Path:
    """A folder of five pictures and things that are none of classify's business."""
    return shared_folder / "pictures"


@pytest.fixture(scope="session")
def first_run(shared_folder: Path) -> Finished:
    """The first, real run over the pictures; later runs over them need no engine."""
    return Finished(
        int((shared_folder / "first.code").read_text()),
        (shared_folder / "first.stdout").read_bytes(),
        (shared_folder / "first.stderr").read_text(),
    )


@pytest.fixture
def known(first_run: Finished, pictures: Path) -> Path:
    """The pictures, their answers cached."""
    assert first_run.code == 0, first_run.stderr
    return pictures


@pytest.fixture(scope="session")
def lite(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Birdcli:
    """The command over a home whose production model is a bare TFLite file."""
    run = Birdcli(tmp_path_factory.mktemp("lite"))
    added = run(
        *("registry", "add", "lite@1", shared_folder / "lite.tflite"),
        *("--labels", shared_folder / "labels.csv"),
    )
    assert added.code == 0, added.stderr
    promoted = run("registry", "promote", "lite@1")
    assert promoted.code == 0, promoted.stderr
    return run
