"""What every part of the proof plays on: a home with a tiny model, and a hostile server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scripts.proof_report import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_S: Final = 30.0
_VARYING: Final = ("run", "timings_ms", "batch_size", "cache")


@dataclass(frozen=True, slots=True)
class Server:
    """A hostile server in a process of its own."""

    port: int
    addresses: tuple[str, ...]

    def url(self, target: str, *, host: int = 0) -> str:
        """Returns a URL at one of its addresses, each of which stands for a host."""
        return f"http://{self.addresses[host % len(self.addresses)]}:{self.port}{target}"


@contextmanager
def hostile_server(folder: Path, *, addresses: int = 1) -> Iterator[Server]:
    """Starts the server, and ends it.

    Raises:
        RuntimeError: It does not start.
    """
    port_file = folder / "ports.json"
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.chaos_server"),
            *("--port-file", str(port_file), "--addresses", str(addresses)),
        ],
        cwd=ROOT,
    )
    try:
        until_s = time.monotonic() + _START_S
        while not port_file.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError("the server does not start")
            time.sleep(0.02)
        ports = json.loads(port_file.read_text(encoding="utf-8"))
        yield Server(ports["port"], tuple(ports["addresses"]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def start(
    home: Path, *arguments: str | Path, stderr: Path, module: str = "birdcli"
) -> subprocess.Popen[bytes]:
    """Starts the real command in a session of its own; what it says goes to a file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BIRDCLI_")}
    with stderr.open("wb") as told:
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env=kept | {"BIRDCLI_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,  # so that what it leaves behind can be found
        )


def install_tiny_model(folder: Path) -> Path:
    """Returns a home whose production model costs nothing; the same one once it is there.

    Raises:
        RuntimeError: A command that makes it fails.
    """
    from tests.tiny_model import save_labels, save_tiny_model

    home, told = folder / "home", folder / "install.txt"
    if home.exists():
        return home
    folder.mkdir()
    model, labels = save_tiny_model(folder / "model"), save_labels(folder / "labels.csv")
    for command in (
        ("add", "tiny@1", model, "--labels", labels, "--scale", "unit"),
        ("promote", "tiny@1"),
    ):
        if start(home, "registry", *command, stderr=told).wait() != 0:
            raise RuntimeError(told.read_text(encoding="utf-8"))
    return home


def records_in(output: Path) -> list[dict[str, Any]]:
    """Returns the records of a finished output."""
    with output.open("rb") as lines:
        return [json.loads(line) for line in lines]


def lasting(record: dict[str, Any]) -> str:
    """Returns what two runs over the same input have to agree on, as canonical JSON."""
    kept = {name: value for name, value in record.items() if name not in _VARYING}
    return json.dumps(kept, sort_keys=True)


def differences(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    """Returns how records differ from those of an uninterrupted run, whatever their order."""
    left, right = Counter(map(lasting, found)), Counter(map(lasting, expected))
    problems = []
    if left.total() != right.total():
        problems.append(f"{left.total()} records instead of {right.total()}")
    problems += [f"lost: {record}" for record in sorted((right - left).elements())]
    problems += [f"too much: {record}" for record in sorted((left - right).elements())]
    return problems
