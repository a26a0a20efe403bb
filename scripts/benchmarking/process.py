"""One finished process: wall time, processor time, peak memory, time to its first line."""

from __future__ import annotations

import os
import resource
import select
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
_SAMPLE_S: Final = 0.05
_PAGE: Final = resource.getpagesize()
_SHOWN: Final = 2000


class ProcessFailedError(Exception):
    """A measured command ended with another exit code than 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One finished process.

    Attributes:
        wall_s: From start to end.
        cpu_s: User and system time, its children included.
        peak_mb: Largest resident size, 10^6 bytes: of the process, or of all its processes together
            where that is more.
        first_line_s: From start to the first whole line on its standard output.
        stdout: What it printed.
        stderr: What it told people.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    first_line_s: float
    stdout: bytes
    stderr: str


def measure(
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> Measured:
    """Runs a command to its end, its output read as it comes.

    Args:
        command: Program and arguments.
        cwd: Where it runs.
        environment: All of its variables; None for ours.

    Raises:
        ProcessFailedError: It failed; says with what.
    """
    arguments = [str(part) for part in command]
    started_s = time.perf_counter()
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment,
    )
    sampler = _TreeSampler(process.pid)
    sampler.start()
    try:
        stdout, stderr, first_line_s = _read(process, started_s)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started_s
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        sampler.stop()
        if process.returncode is None:  # interrupted: nothing that we started goes on
            process.kill()
            process.wait()
    if process.returncode != 0:
        said = stderr.decode(errors="replace")[-_SHOWN:]
        raise ProcessFailedError(f"{arguments} ended with {process.returncode}:\n{said}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Measured(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=max(usage.ru_maxrss * unit, sampler.peak_bytes) / 1e6,
        first_line_s=first_line_s,
        stdout=stdout,
        stderr=stderr.decode(errors="replace"),
    )


def _read(process: subprocess.Popen[bytes], started_s: float) -> tuple[bytes, bytes, float]:
    """Reads both pipes to their ends; notes when the first line was whole."""
    assert process.stdout is not None
    assert process.stderr is not None
    parts: dict[int, list[bytes]] = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    open_pipes = set(parts)
    first_line_s = float("nan")
    while open_pipes:
        for pipe in select.select(open_pipes, (), ())[0]:
            data = os.read(pipe, 1 << 20)
            if not data:
                open_pipes.discard(pipe)
                continue
            parts[pipe].append(data)
            is_first = pipe == process.stdout.fileno() and first_line_s != first_line_s
            if is_first and b"\n" in data:
                first_line_s = time.perf_counter() - started_s
    out, err = (b"".join(parts[pipe.fileno()]) for pipe in (process.stdout, process.stderr))
    process.stdout.close()
    process.stderr.close()
    return out, err, first_line_s


class _TreeSampler(threading.Thread):
    """The largest sum of the resident sizes of a process and its descendants, seen now and then.

    Only where the system tells (Linux); elsewhere it stays 0, and the largest process counts.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            pids = _tree(self._pid)
            if len(pids) > 1:  # alone, the system itself remembers its peak, and exactly
                self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, pids)))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            tasks = list(Path(f"/proc/{parent}/task").iterdir())
            children = [
                number for task in tasks for number in (task / "children").read_text().split()
            ]
        except OSError:  # ended meanwhile, or another system
            continue
        found.extend(map(int, children))
    return found


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
