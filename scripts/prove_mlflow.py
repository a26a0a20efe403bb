"""Runs the recipe of docs/mlflow.md against a real MLflow server on SQLite; writes the result.

    python -m scripts.prove_mlflow [--mlflow VENV/bin/python] [--report docs/mlflow-proof.md]

MLflow is no dependency of birdcli: without `--mlflow` it is installed into a temporary environment.
A tiny real SavedModel is logged and registered as `birds`, version 1 gets the alias `champion`; the
commands of the recipe are taken out of the document and run as they stand there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tests.tiny_model import save_labels, save_tiny_model

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "docs" / "mlflow.md"
START_TIMEOUT_S = 120.0
REGISTER = """
import sys
import mlflow

client = mlflow.MlflowClient()
run = client.create_run("0")
client.log_artifacts(run.info.run_id, sys.argv[1], "model")
client.log_artifact(run.info.run_id, sys.argv[2], "model")
client.set_terminated(run.info.run_id)
client.create_registered_model("birds")
version = client.create_model_version(
    "birds", f"{run.info.artifact_uri}/model", run_id=run.info.run_id
)
client.set_registered_model_alias("birds", "champion", version.version)
print(mlflow.__version__)
"""


def recipe_commands(text: str) -> list[str]:
    """Returns the command lines of the document's console blocks, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    joined = "".join(blocks).replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


@contextlib.contextmanager
def mlflow_python(given: Path | None, folder: Path) -> Iterator[Path]:
    """Gives an interpreter that has MLflow, installed on the spot if none is given."""
    if given is not None:
        yield given
        return
    subprocess.run([sys.executable, "-m", "venv", folder / "mlflow"], check=True)
    python = folder / "mlflow" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "mlflow"], check=True)
    yield python


@contextlib.contextmanager
def mlflow_server(python: Path, folder: Path) -> Iterator[str]:
    """Runs a tracking server with its registry in SQLite and gives its address.

    Raises:
        TimeoutError: It does not answer.
    """
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        *(str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    with (folder / "server.log").open("wb") as log:
        # A session of its own: the server starts workers, which have to end with it.
        server = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, cwd=folder
        )
        try:
            deadline_s = time.monotonic() + START_TIMEOUT_S
            while True:
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=5).close()
                    break
                except OSError as err:
                    if time.monotonic() > deadline_s or server.poll() is not None:
                        told = (folder / "server.log").read_text()[-2000:]
                        raise TimeoutError(f"MLflow does not answer:\n{told}") from err
                    time.sleep(0.5)
            yield address
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, 15)
            server.wait(30)


def run_recipe(python: Path, folder: Path, address: str) -> list[str]:
    """Registers a model in MLflow and runs the recipe; returns what each command said.

    Raises:
        subprocess.CalledProcessError: A command fails.
    """
    model, labels = save_tiny_model(folder / "trained"), save_labels(folder / "labels.csv")
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": address,
        "BIRDCLI_HOME": str(folder / "home"),
        "PATH": os.pathsep.join(
            [str(Path(sys.executable).parent), str(python.parent), os.environ["PATH"]]
        ),
    }
    version = subprocess.run(
        [python, "-c", REGISTER, model, labels],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout.split()[-1]  # fmt: skip
    told = [f"MLflow {version}, tracking and registry in SQLite, artifacts over HTTP."]
    for command in recipe_commands(RECIPE.read_text(encoding="utf-8")):
        done = subprocess.run(
            ["bash", "-ec", command],
            env=environment, cwd=folder, stdin=subprocess.DEVNULL, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said = "\n".join(done.stdout.replace(str(folder), "FOLDER").splitlines()[-40:])
        told.append(f"```console\n$ {' '.join(command.split())}\n{said}\n```")
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout)
    return told


def main() -> int:
    """Runs the proof."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlflow", type=Path, help="an interpreter that has MLflow")
    parser.add_argument("--report", type=Path, help="where to write the result")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        mlflow_python(options.mlflow, Path(name)) as python,
        mlflow_server(python, Path(name)) as address,
    ):
        try:
            told = run_recipe(python, Path(name), address)
        except subprocess.CalledProcessError as err:
            print(f"{err.cmd}\nfailed with {err.returncode}:\n{err.stdout or ''}{err.stderr or ''}")
            return 1
    text = "\n\n".join(
        ["# The MLflow recipe, run", "Made by `python -m scripts.prove_mlflow`.", *told]
    )
    if options.report:
        options.report.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
