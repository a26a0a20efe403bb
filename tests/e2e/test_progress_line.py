"""The progress line of the real command, on a terminal of its own."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import REPOSITORY
from tests.image_server import Reply, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Birdcli

# The pictures that the model has seen before need no engine.
pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")


class Terminal:
    """Keeps what a command on a terminal of 100 columns shows."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._shown = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._descriptor, 65_536):
                self._shown += piece
        except OSError:  # the command has ended
            pass

    @property
    def shown(self) -> str:
        return self._shown.decode(errors="replace")

    def wait_for(self, words: str, limit_s: float = 30.0) -> None:
        until_s = time.monotonic() + limit_s
        while re.search(words, self.shown) is None:
            assert time.monotonic() < until_s, self.shown
            time.sleep(0.02)


@contextmanager
def on_a_terminal(birdcli: Birdcli, *arguments: str | Path) -> Iterator[Terminal]:
    """Runs a command whose standard error is a terminal; kills it at the end."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        birdcli.command("classify", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
        env=birdcli.environment | {"TERM": "xterm-256color"},
        cwd=REPOSITORY,
    )
    os.close(slave)
    try:
        yield Terminal(master)
    finally:
        process.kill()
        process.wait(30.0)
        os.close(master)


def test_line_of_a_run_that_stands_still_counts_all_that_finished(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    routes = {"/never": Reply(hang=True)}
    with serving(routes) as server:
        inputs = [*[str(known / "a.png")] * 40, server.url("/never")]
        listed = tmp_path / "inputs.txt"
        listed.write_text("\n".join(inputs))
        with on_a_terminal(birdcli, "-f", listed) as terminal:
            terminal.wait_for("40 of 41")


def test_line_moves_while_inputs_with_records_are_passed_over(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    listed, output = tmp_path / "inputs.txt", tmp_path / "out.jsonl"
    listed.write_text(f"{known / 'a.png'}\n" * 20)
    assert birdcli("classify", "-f", listed, "-o", output).code == 0
    with serving({"/never": Reply(hang=True)}) as server:
        with listed.open("a") as file:
            file.write(server.url("/never"))
        with on_a_terminal(birdcli, "-f", listed, "-o", output, "--resume") as terminal:
            terminal.wait_for("20 of 21.*20 done before")
