"""What was measured, as JSON: raw samples, and for each section what made them."""

from __future__ import annotations

import math
import platform
import statistics
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from birdcli.files import atomic_writer
from birdcli.host import cpu_features, library_versions, usable_cpus
from scripts.benchmarking.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Fact: TypeAlias = str | int | float | bool
_LIBRARIES = ("tensorflow", "openvino", "ai-edge-litert", "pillow", "numpy", "aiohttp")


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The raw results of one section.

    Attributes:
        script: What to run to get them again.
        commit: What was measured.
        machine: Processor, cores and memory.
        python: Version of Python.
        libraries: Versions of the libraries that matter.
        model: `name@version`.
        seed: Of the photos.
        at: When, UTC.
        took_s: How long the section took.
        samples: Repeated measurements by name; the name ends with the unit. Those of one section
            with the same position were made in the same round.
        facts: What was found once: sizes, settings, counts.
    """

    script: str
    commit: str
    machine: str
    python: str
    libraries: dict[str, str]
    model: str
    seed: int
    at: str
    took_s: float
    samples: dict[str, list[float]]
    facts: dict[str, Fact] = {}

    def median(self, name: str) -> float:
        """Returns the median of a measurement, NaN if it was not made."""
        values = self.samples.get(name)
        return statistics.median(values) if values else math.nan

    def number(self, name: str) -> float:
        """Returns a fact that is a number, NaN if it is not known."""
        value = self.facts.get(name, math.nan)
        return float(value)


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """All sections of a report.

    Attributes:
        sections: By name.
        schema: Of this file.
    """

    sections: dict[str, Section]
    schema: int = 1


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What a section returns.

    Attributes:
        samples: As in `Section`.
        facts: As in `Section`.
    """

    samples: dict[str, list[float]]
    facts: dict[str, Fact] = {}


def load_results(path: Path) -> Results:
    """Reads results; none if there is no such file.

    Raises:
        msgspec.DecodeError: The file is something else.
    """
    if not path.exists():
        return Results(sections={})
    return msgspec.json.decode(path.read_bytes(), type=Results)


def save_results(path: Path, results: Results) -> None:
    """Writes results, rounded to 6 significant digits: whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded = {
        name: msgspec.structs.replace(
            section,
            samples={key: [_rounded(v) for v in values] for key, values in section.samples.items()},
        )
        for name, section in results.sections.items()
    }
    data = msgspec.json.encode(msgspec.structs.replace(results, sections=rounded))
    with atomic_writer(path) as out:
        out.write(msgspec.json.format(data, indent=1) + b"\n")


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def record_section(
    taken: Taken, *, script: str, model: str, seed: int, started_s: float
) -> Section:
    """Returns a section with everything that says where its numbers come from.

    Args:
        taken: What was measured.
        script: What to run to get it again.
        model: `name@version`.
        seed: Of the photos.
        started_s: When it began, seconds of `time.perf_counter`.
    """
    return Section(
        script=script,
        commit=describe_commit(ROOT),
        machine=describe_machine(),
        python=platform.python_version(),
        libraries=library_versions(*_LIBRARIES),
        model=model,
        seed=seed,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        took_s=round(time.perf_counter() - started_s, 1),
        samples=taken.samples,
        facts=taken.facts,
    )


def describe_commit(folder: Path) -> str:
    """Returns the commit of a folder, with a mark if other files than the report differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, cwd=folder, check=True
        )
        return done.stdout.strip()

    own = (":!BENCHMARK.md", ":!docs/benchmark")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *own)
    return git("rev-parse", "--short=12", "HEAD") + "-dirty" * bool(changed)


def describe_machine() -> str:
    """Returns processor, cores, memory and vector features of this machine."""
    facts = read_pairs("/proc/cpuinfo")
    memory = read_pairs("/proc/meminfo").get("MemTotal", "").split()
    parts = [facts.get("model name") or platform.processor() or platform.machine()]
    parts.append(f"{usable_cpus()} cores")
    if memory:
        parts.append(f"{int(memory[0]) * 1024 / 1e9:.0f} GB")
    parts += [f"{platform.system()} {platform.release().split('-')[0]}", cpu_features()]
    return ", ".join(parts)


def read_pairs(path: str) -> Mapping[str, str]:
    """Returns the first value of each `name: value` line of a file, nothing if there is none."""
    from pathlib import Path

    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found
