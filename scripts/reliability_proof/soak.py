"""Long lists over hostile hosts, and the same list again from the cache."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.proof_report import Part
from scripts.reliability_proof.stage import (
    Server,
    differences,
    hostile_server,
    records_in,
    start,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from typing import Any

_HOSTS: Final = 60
_DEADLINE_S: Final = 15.0
_GRACE_S: Final = 1.0
_FIRST_S: Final = 60.0
_MORE_BYTES: Final = 100_000_000
_WORTH: Final = 0.8
_REAL_MODEL: Final = "imagenet-birds"
_304_WORTH: Final = 4.0
_OFFLINE_WORTH: Final = 15.0


@dataclass(frozen=True, slots=True)
class _Ran:
    code: int
    wall_s: float
    first_bytes: int
    peak_bytes: int


def prove_soak(folder: Path, home: Path, *, urls: int, asking: bool) -> Part:
    """Runs a list of which a twentieth is dead and a fiftieth drips, against one without faults.

    Args:
        folder: Where to work.
        home: With a model that costs nothing.
        urls: How many.
        asking: Whether the ratio is asked for; a short list tells of its last deadline alone.
    """
    with hostile_server(folder, addresses=_HOSTS) as server:
        clean = _run(folder, home, "clean", [_fine(server, n) for n in range(urls)])
        hostile = _run(folder, home, "hostile", list(_hostile(server, urls)))
    records = records_in(folder / "hostile.jsonl")
    longest_s = max((r["timings_ms"].get("fetch", 0.0) for r in records), default=0.0) / 1e3
    codes = {r["error"]["code"] for r in records if r["status"] == "error"}
    named = sum(r["status"] == "ok" for r in records)
    ratio = clean.wall_s / hostile.wall_s
    more = hostile.peak_bytes - hostile.first_bytes
    problems = []
    if len(records) != urls or len({r["index"] for r in records}) != urls:
        problems.append(f"{len(records)} records for {urls} URLs")
    if longest_s > _DEADLINE_S + _GRACE_S:
        problems.append(f"an input was under way for {longest_s:.1f} s")
    if more > _MORE_BYTES:
        problems.append(f"memory grew by {more / 1e6:.0f} MB after the first minute")
    if asking and ratio < _WORTH:
        problems.append(f"throughput {ratio:.2f} of that without faults, below {_WORTH}")
    if clean.code != 0 or hostile.code != 4:
        problems.append(f"exit codes {clean.code} and {hostile.code}")
    return Part(
        title="Soak",
        lines=(
            f"{urls:,} URLs on {_HOSTS} hosts, 5 % dead, 2 % dripping, one host that answers 429 "
            f"only: **{len(records):,} records** in {hostile.wall_s:.0f} s ({named:,} named; "
            f"{', '.join(sorted(codes))}), {clean.wall_s:.0f} s without faults: **{ratio:.2f} of "
            f"its throughput**. No input was under way for more than {longest_s:.1f} s. Memory: "
            f"{hostile.first_bytes / 1e6:.0f} MB after the first minute at the most, "
            f"{hostile.peak_bytes / 1e6:.0f} MB in all.",
        ),
        problems=tuple(problems),
    )


def prove_cached(folder: Path, home: Path, *, urls: int, asking: bool) -> Part:
    """Runs a list three times: new, unchanged, and without a network.

    Args:
        folder: Where to work.
        home: Gets the model that ships: one that costs what models cost.
        urls: How many.
        asking: Whether the ratios are asked for; a short list tells of starting up alone.
    """
    listed, told = folder / "list.txt", folder / "told.txt"
    walls: list[float] = []
    records: list[list[dict[str, Any]]] = []
    problems: list[str] = []
    with hostile_server(folder, addresses=16) as server:
        listed.write_text("".join(server.url(f"/photo/{n}", host=n) + "\n" for n in range(urls)))
        command = ("classify", "-m", _REAL_MODEL, "-f", listed, "--per-host", "32")
        for number, word in enumerate(("--cache", "--cache", "--offline")):
            output = folder / f"{number}.jsonl"
            started_s = time.monotonic()
            code = start(home, *command, word, "-o", output, stderr=told).wait()
            walls.append(time.monotonic() - started_s)
            records.append(records_in(output))
            if code != 0:
                problems.append(f"run {number + 1} ended with {code}")
    for number, found in enumerate(records[1:], start=2):
        problems += [f"run {number}: {it}" for it in differences(found, records[0])[:5]]
    unchanged, offline = walls[0] / walls[1], walls[0] / walls[2]
    if asking and unchanged < _304_WORTH:
        problems.append(f"304s are {unchanged:.1f} times as fast, below {_304_WORTH:g}")
    if asking and offline < _OFFLINE_WORTH:
        problems.append(f"--offline is {offline:.1f} times as fast, below {_OFFLINE_WORTH:g}")
    return Part(
        title="Asked again",
        lines=(
            f"{urls:,} pictures of a megapixel, {_REAL_MODEL}: {walls[0]:.1f} s; again with 304s "
            f"{walls[1]:.1f} s (**{unchanged:.1f} times as fast**), with --offline "
            f"{walls[2]:.1f} s (**{offline:.1f} times**); whole processes, the same answers.",
        ),
        problems=tuple(problems),
    )


def _fine(server: Server, number: int) -> str:
    return server.url(f"/ok/{number}", host=number % (_HOSTS - 1))


def _hostile(server: Server, urls: int) -> Iterator[str]:
    """The clean list with faults in place of some; the last host answers 429 alone."""
    for number in range(urls):
        part = number % 100
        if part < 5:
            yield server.url(f"/status/404?{number}", host=number % (_HOSTS - 1))
        elif part < 7:
            yield server.url(f"/drip-body?{number}", host=number % (_HOSTS - 1))
        elif part == 7:
            yield server.url(f"/429?after=5&n={number}", host=_HOSTS - 1)
        else:
            yield _fine(server, number)


def _run(folder: Path, home: Path, name: str, urls: list[str]) -> _Ran:
    listed, output = folder / f"{name}.txt", folder / f"{name}.jsonl"
    listed.write_text("".join(f"{url}\n" for url in urls))
    started_s = time.monotonic()
    process = start(
        home,
        *("classify", "-f", listed, "-o", output, "--no-cache", "--unordered"),
        *("--concurrency", "256", "--per-host", "32", "--deadline", str(_DEADLINE_S)),
        stderr=folder / f"{name}.told",
    )
    first, peak = _watch_memory(process, started_s)
    return _Ran(process.wait(), time.monotonic() - started_s, first, peak)


def _watch_memory(process: subprocess.Popen[bytes], started_s: float) -> tuple[int, int]:
    """Returns the largest memory of the process in its first minute, and in all, bytes."""
    first = peak = 0
    while process.poll() is None:
        peak = max(peak, _memory(process.pid))
        if time.monotonic() - started_s < _FIRST_S:
            first = peak
        time.sleep(0.2)
    return first, peak


def _memory(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0
