"""One run, killed or stopped again and again, against the same run left alone."""

from __future__ import annotations

import random
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.proof_report import Part
from scripts.reliability_proof.stage import (
    differences,
    hostile_server,
    records_in,
    start,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

_MISSING_EVERY: Final = 20
# Slow enough, and few enough at once, that a run is still busy when it is struck.
_DELAY_S: Final = 0.2
_CONCURRENCY: Final = 8
_WORTH: Final = 0.6  # the share of strikes that have to meet a running process
_SOME_MISSING: Final = 4  # the exit code of a whole run
_DRAIN_S: Final = 5.0
_GRACE_S: Final = 1.5  # a busy machine's, and for the last batch
_STOPS: Final = ((signal.SIGTERM,), (signal.SIGINT,), (signal.SIGINT, signal.SIGINT))


def prove_kill9(folder: Path, home: Path, *, urls: int, kills: int, seed: int) -> Part:
    """Kills a run at random moments, continues it each time, and compares what it wrote.

    Args:
        folder: Where to work.
        home: With a model that costs nothing.
        urls: Inputs of the run.
        kills: How often.
        seed: Of the moments.
    """

    def strike(process: subprocess.Popen[bytes]) -> bool:
        process.kill()
        return process.wait() == -signal.SIGKILL

    with _run(folder, home, urls=urls) as run:
        met = run.strike_again_and_again(strike, kills, random.Random(seed))
        records = run.finish()
    return Part(
        title="kill -9",
        lines=(
            f"One run of {urls:,} URLs was continued {kills} times and killed {met} times while "
            f"it ran: **{records:,} records**, {len(run.problems)} differences from the run that "
            "was left alone, apart from run, timings, order, batch size and cache.",
        ),
        problems=tuple(run.problems),
    )


def prove_stops(folder: Path, home: Path, *, urls: int, stops: int, seed: int) -> Part:
    """Stops a run at random moments by SIGTERM, Ctrl-C, and Ctrl-C twice; continues it each time.

    Args:
        folder: Where to work.
        home: With a model that costs nothing.
        urls: Inputs of the run.
        stops: How often.
        seed: Of the moments and signals.
    """
    rng = random.Random(seed)
    slowest_s = dict.fromkeys(("once", "twice"), 0.0)

    def strike(process: subprocess.Popen[bytes]) -> bool:
        signals = rng.choice(_STOPS)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        began_s = time.monotonic()
        code = process.wait()
        took_s = time.monotonic() - began_s
        way = "once" if len(signals) == 1 else "twice"
        slowest_s[way] = max(slowest_s[way], took_s)
        # Before a command has begun, the signal itself ends the process.
        if code not in {128 + signals[0], -signals[0], _SOME_MISSING}:
            run.problems.append(f"{way} {signals[0].name}: exit code {code}")
        if took_s > (_DRAIN_S if way == "once" else 0.0) + _GRACE_S:
            run.problems.append(f"{way} {signals[0].name}: ended after {took_s:.1f} s")
        return code != _SOME_MISSING

    with _run(folder, home, urls=urls) as run:
        met = run.strike_again_and_again(strike, stops, rng)
        records = run.finish()
    return Part(
        title="Stopped",
        lines=(
            f"One run of {urls:,} URLs was continued {stops} times and stopped {met} times while "
            f"it ran, by SIGTERM, SIGINT, or SIGINT twice: **{records:,} records**, "
            f"{len(run.problems)} differences, wrong exit codes, late ends or children left. The "
            f"slowest end took {slowest_s['once']:.1f} s, {slowest_s['twice']:.1f} s after the "
            "second signal.",
        ),
        problems=tuple(run.problems),
    )


@dataclass(slots=True)
class _Run:
    """The run that is struck, and the same run left alone.

    Attributes:
        home: With a model that costs nothing.
        command: The command line but for its output.
        whole: What the run that was left alone wrote.
        output: What the other one writes.
        told: What it says.
        problems: What was wrong so far.
    """

    home: Path
    command: tuple[str | Path, ...]
    whole: Path
    output: Path
    told: Path
    problems: list[str] = field(default_factory=list)

    def strike_again_and_again(
        self, strike: Callable[[subprocess.Popen[bytes]], bool], times: int, rng: random.Random
    ) -> int:
        """Continues the run and strikes it; returns how often that met it running.

        Half of the strikes come when a few more records have been written, half at any moment,
        starting up and reading the earlier output included.
        """
        met = 0
        per_strike = max(1, self.whole.stat().st_size // (2 * times))
        for number in range(times):
            process = start(self.home, *self.command, self.output, "--resume", stderr=self.told)
            if number % 2:
                self._wait_for_bytes(process, rng.randint(1, per_strike))
            else:
                time.sleep(rng.uniform(0.1, 2.0))
            met += strike(process)
            if left := _left_of(process.pid):
                self.problems.append(f"strike {number + 1} left {left} processes")
        if met < _WORTH * times:
            self.problems.append(f"only {met} of {times} strikes met a running process")
        return met

    def finish(self) -> int:
        """Continues the run to its end, compares it, and returns how many records there are."""
        code = start(self.home, *self.command, self.output, "--resume", stderr=self.told).wait()
        if code != _SOME_MISSING:
            told = self.told.read_text(encoding="utf-8")
            self.problems.append(f"the last run ended with {code}: {told}")
        found = records_in(self.output)
        self.problems += differences(found, records_in(self.whole))
        return len(found)

    def _wait_for_bytes(self, process: subprocess.Popen[bytes], more: int) -> None:
        goal = _size(self.output) + more
        while process.poll() is None and _size(self.output) < goal:
            time.sleep(0.002)


@contextmanager
def _run(folder: Path, home: Path, *, urls: int) -> Iterator[_Run]:
    """Lets a run over a list of URLs end on its own, and gives the one to strike."""
    listed, whole = folder / "list.txt", folder / "whole.jsonl"
    command = ("classify", "-f", listed, "--no-cache", "--concurrency", str(_CONCURRENCY), "-o")
    run = _Run(home, command, whole, folder / "struck.jsonl", folder / "told.txt")
    with hostile_server(folder, addresses=20) as server:
        targets = (
            f"/status/404?{n}" if n % _MISSING_EVERY == 0 else f"/delay/{_DELAY_S}/{n}"
            for n in range(urls)
        )
        listed.write_text("".join(server.url(t, host=n) + "\n" for n, t in enumerate(targets)))
        code = start(run.home, *command, whole, stderr=run.told).wait()
        if code != _SOME_MISSING:
            run.problems.append(f"the uninterrupted run ended with {code}")
        yield run


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _left_of(session: int) -> int:
    """Returns how many processes of a session there are once they had time to notice its end."""
    until_s = time.monotonic() + _GRACE_S
    while (left := _count(session)) and time.monotonic() < until_s:
        time.sleep(0.02)
    return left


def _count(session: int) -> int:
    found = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        found += int(fields[3]) == session and fields[0] != "Z"
    return found
