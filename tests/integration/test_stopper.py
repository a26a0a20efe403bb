"""Signals that come when a run is at its end."""

from __future__ import annotations

import subprocess
import sys

import pytest

AT_THE_END = """
import asyncio, os, signal
from birdcli.cli.stopping import Stopper
from birdcli.streams import protected_streams

class Finished:
    def hurry(self): pass
    def give_up(self): pass

async def run(stopper):
    stopper.attach(Finished(), asyncio.Event())
    os.kill(os.getpid(), signal.SIGTERM)
    stopper.detach()
    return stopper.signal

with protected_streams() as streams:
    code = asyncio.run(run(Stopper(streams.people)))
os._exit(code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_a_signal_before_the_last_step_is_not_passed_over() -> None:
    done = [
        subprocess.run([sys.executable, "-c", AT_THE_END], capture_output=True, check=False)
        for _ in range(3)
    ]
    assert [it.returncode for it in done] == [15] * 3, done[0].stderr
