"""One run, killed again and again, against the same run left alone."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

from scripts.reliability_proof.stage import (
    Part,
    differences,
    hostile_server,
    install_tiny_model,
    records_in,
    start,
)

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

_MISSING_EVERY = 20
# Slow enough, and few enough at once, that a run is still busy when it is struck.
_DELAY_S = 0.2
_CONCURRENCY = 8
_WORTH = 0.6  # the share of kills that have to meet a running process


def prove_kill9(folder: Path, *, urls: int, kills: int, seed: int) -> Part:
    """Kills a run at random moments, continues it each time, and compares what it wrote.

    Half of the kills strike when a few more records have been written, half at any moment,
    starting up and reading the earlier output included.

    Args:
        folder: Where to work.
        urls: Inputs of the run.
        kills: How often.
        seed: Of the moments.
    """
    rng = random.Random(seed)
    home = install_tiny_model(folder)
    listed, output, whole = folder / "list.txt", folder / "killed.jsonl", folder / "whole.jsonl"
    told = folder / "told.txt"
    with hostile_server(folder, addresses=20) as server:
        targets = (
            f"/status/404?{n}" if n % _MISSING_EVERY == 0 else f"/delay/{_DELAY_S}/{n}"
            for n in range(urls)
        )
        listed.write_text("".join(server.url(t, host=n) + "\n" for n, t in enumerate(targets)))
        command = ("classify", "-f", listed, "--no-cache", "--concurrency", str(_CONCURRENCY), "-o")
        problems = []
        code = start(home, *command, whole, stderr=told).wait()
        if code != 4:  # some are missing
            problems.append(f"the uninterrupted run ended with {code}")
        struck = 0
        per_kill = max(1, whole.stat().st_size // (2 * kills))
        for number in range(kills):
            process = start(home, *command, output, "--resume", stderr=told)
            if number % 2:
                _wait_for_bytes(process, output, rng.randint(1, per_kill))
            else:
                time.sleep(rng.uniform(0.1, 2.0))
            process.kill()
            struck += process.wait() == -signal.SIGKILL
        code = start(home, *command, output, "--resume", stderr=told).wait()
    if code != 4:
        problems.append(f"the last run ended with {code}: {told.read_text(encoding='utf-8')}")
    if struck < _WORTH * kills:
        problems.append(f"only {struck} of {kills} kills met a running process: too few to tell")
    found = records_in(output)
    problems += differences(found, records_in(whole))
    return Part(
        title="kill -9",
        lines=(
            f"One run of {urls:,} URLs was continued {kills} times and killed {struck} times while "
            f"it ran: **{len(found):,} records**, {len(problems)} differences from the run that "
            "was left alone, apart from run, timings, order, batch size and cache.",
        ),
        problems=tuple(problems),
    )


def _wait_for_bytes(process: subprocess.Popen[bytes], output: Path, more: int) -> None:
    goal = (output.stat().st_size if output.exists() else 0) + more
    while process.poll() is None and (not output.exists() or output.stat().st_size < goal):
        time.sleep(0.002)
