"""What every proof prints: its parts, and where and from what they were made."""

from __future__ import annotations

import argparse
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from birdcli.host import library_versions, usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One finished part.

    Attributes:
        title: Heading of the report.
        lines: Its text, Markdown.
        problems: What was wrong; nothing if all is well.
    """

    title: str
    lines: tuple[str, ...]
    problems: tuple[str, ...]


def proof_options(text: str) -> argparse.ArgumentParser:
    """Returns a parser with what all proofs can be asked for: `quick` and `report`."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--quick", action="store_true", help="a twentieth, as in the tests")
    parser.add_argument("--report", type=Path, help="where to write the result")
    return parser


def tell_result(
    prove: Callable[[], Sequence[Part]], *, title: str, command: str, seed: int, path: Path | None
) -> int:
    """Runs a proof and prints its report.

    Args:
        prove: Runs it.
        title: Heading.
        command: What is run to make it.
        seed: Of all its chance.
        path: Where to write the report, too.

    Returns:
        The exit code: 1 if anything was wrong.
    """
    started_s = time.perf_counter()
    parts = prove()
    minutes = (time.perf_counter() - started_s) / 60
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    tensorflow = library_versions("tensorflow").get("tensorflow")
    lines = [
        f"# {title}",
        "",
        f"Made by `{command}`, commit `{commit}`, seed {seed}, {usable_cpus()} CPUs, Python "
        f"{platform.python_version()}, TensorFlow {tensorflow}, in {minutes:.1f} minutes.",
    ]
    for part in parts:
        lines += ["", f"## {part.title}", "", *part.lines]
        lines += ["", *(f"- **{problem}**" for problem in part.problems)] if part.problems else []
    text = "\n".join(lines) + "\n"
    if path:
        path.write_text(text, encoding="utf-8")
    print(text)
    return 1 if any(part.problems for part in parts) else 0
