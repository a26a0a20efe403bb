"""Runs whose output meets a real disk that is full, and that go on once there is room."""

from __future__ import annotations

import os
import random
import re
import time
from typing import TYPE_CHECKING, Final

from scripts.proof_report import Part
from scripts.reliability_proof.stage import records_in, start
from scripts.small_disk import PAGE_BYTES, fill, small_file_system
from tests.chaos_wire import picture

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

_PAGES: Final = 512
_OUTPUT_FAILED: Final = 5
_ENDS_WITHIN_S: Final = 1.0
_PICTURES: Final = 400
_SAFE: Final = re.compile(r"([\d,]+) records are written whole")


def prove_full_disk(folder: Path, home: Path, *, runs: int, seed: int) -> Part:
    """Leaves a random number of pages to the output of each run; continues it with more room.

    Args:
        folder: Where to work.
        home: With a model that costs nothing.
        runs: How many.
        seed: Of the amounts.
    """
    title = "A disk that is full"
    rng = random.Random(seed)
    listed = folder / "list.txt"
    with listed.open("w") as lines:
        for number in range(_PICTURES):
            path = folder / f"{number}.png"
            path.write_bytes(picture(number))
            lines.write(f"{path}\n")
    problems: list[str] = []
    slowest_s = 0.0
    with small_file_system(pages=_PAGES) as disk:
        if disk is None:
            told = "Not run: mounting a file system is not allowed here."
            return Part(title=title, lines=(told,), problems=())
        for number in range(runs):
            # From no room for the fingerprint on to a little less than all records take.
            pages = rng.randint(0, 40) if number else 0
            found, took_s = _one(home, listed, disk, folder / "told.txt", pages=pages)
            problems += [f"{pages} pages free: {problem}" for problem in found]
            slowest_s = max(slowest_s, took_s)
    return Part(
        title=title,
        lines=(
            f"{runs} runs of {_PICTURES} pictures on a tmpfs with 0 to 40 pages left, each "
            f"continued when there was room: **{len(problems)} wrong.** Each ended with exit code "
            f"{_OUTPUT_FAILED}, told how many records are safe, and had every record once in the "
            f"end. The slowest took {slowest_s:.2f} s from the disk's last page to its end.",
        ),
        problems=tuple(problems),
    )


def _one(
    home: Path, listed: Path, disk: Path, told: Path, *, pages: int
) -> tuple[list[str], float]:
    """Returns what was wrong with one run, and how long it took to end, seconds."""
    output = disk / "out.jsonl"
    ballast = fill(disk, free_pages=pages)
    command = ("classify", "-f", listed, "--no-cache", "-o", output)
    process = start(home, *command, stderr=told)
    took_s = _wait_for_the_end(process, disk, room=bool(pages))
    text = told.read_text(encoding="utf-8")
    problems = []
    if process.returncode != _OUTPUT_FAILED:
        problems.append(f"exit code {process.returncode}: {text[-300:]}")
    if took_s > _ENDS_WITHIN_S:
        problems.append(f"it went on for {took_s:.1f} s")
    whole = output.read_bytes().count(b"\n") if output.exists() else 0
    safe = _SAFE.search(text)
    if whole and (safe is None or int(safe[1].replace(",", "")) != whole):
        problems.append(f"{whole} records, but: {text[-300:]}")
    ballast.unlink()
    code = start(home, *command, "--resume", stderr=told).wait()
    if code != 0:
        problems.append(f"continued: {code}: {told.read_text(encoding='utf-8')[-300:]}")
    else:
        inputs = sorted(record["input"] for record in records_in(output))
        if inputs != sorted(listed.read_text().splitlines()):
            problems.append(f"{len(inputs)} records in the end")
    for path in disk.iterdir():
        path.unlink()
    return problems, took_s


def _wait_for_the_end(process: subprocess.Popen[bytes], disk: Path, *, room: bool) -> float:
    """Returns for how long a process went on on a full disk, seconds.

    A disk without room from the beginning tells of starting up alone: then it is 0.
    """
    full_s: float | None = None
    while process.poll() is None:
        if room and full_s is None and os.statvfs(disk).f_bavail * PAGE_BYTES < PAGE_BYTES:
            full_s = time.monotonic()
        time.sleep(0.005)
    return 0.0 if full_s is None else time.monotonic() - full_s
