"""Proves that nothing is lost: killed runs, damaged lists; writes the result.

    python -m scripts.prove_reliability [--quick] [--report FILE] [SECTION]…

Every section is a real command against a real server that plays a hostile internet. `--quick` is
what the tests run: a twentieth.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from birdcli.host import library_versions, usable_cpus
from scripts.fuzz_lists import fuzz
from scripts.reliability_proof.damage import prove_cuts, prove_images, prove_repairs
from scripts.reliability_proof.kill9 import prove_kill9
from scripts.reliability_proof.soak import prove_cached, prove_soak
from scripts.reliability_proof.stage import ROOT, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SEED: Final = 5


def prove_lists(*, count: int) -> Part:
    """Reads lists that were damaged at random."""
    problems = fuzz(SEED, count)
    told = (
        f"{count:,} lists with pieces put in, cut out, doubled and flipped, in every format: "
        f"**{len(problems)} crashes or invented entries.**"
    )
    return Part(title="Damaged lists", lines=(told,), problems=tuple(problems))


def _kill9(folder: Path, share: int) -> Part:
    return prove_kill9(folder, urls=2000 // share, kills=100 // share, seed=SEED)


def _lists(folder: Path, share: int) -> Part:
    return prove_lists(count=20_000 // share)


def _cuts(folder: Path, share: int) -> Part:
    return prove_cuts(folder, step=1 if share == 1 else 97, seed=SEED)


def _repairs(folder: Path, share: int) -> Part:
    return prove_repairs(folder, count=2000 // share, seed=SEED)


def _images(_: Path, share: int) -> Part:
    return prove_images(count=2000 // share, seed=SEED)


def _soak(folder: Path, share: int) -> Part:
    return prove_soak(folder, urls=100_000 // share, asking=share == 1)


def _cached(folder: Path, share: int) -> Part:
    return prove_cached(folder, urls=10_000 // share, asking=share == 1)


SECTIONS: Final[Mapping[str, Callable[[Path, int], Part]]] = {
    "kill9": _kill9,
    "cuts": _cuts,
    "repairs": _repairs,
    "images": _images,
    "lists": _lists,
    "soak": _soak,
    "cached": _cached,
}


def run(sections: Sequence[str], *, share: int) -> list[Part]:
    """Runs sections.

    Args:
        sections: Names of `SECTIONS`.
        share: 1 for full size, 20 for a twentieth.
    """
    parts = []
    for name in sections:
        with tempfile.TemporaryDirectory() as folder:
            parts.append(SECTIONS[name](Path(folder), share))
    return parts


def report(parts: Sequence[Part], *, seconds: float) -> str:
    """Returns the result as Markdown."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    tensorflow = library_versions("tensorflow").get("tensorflow")
    text = [
        f"Made by `python -m scripts.prove_reliability`, commit `{commit}`, seed {SEED}, "
        f"{usable_cpus()} CPUs, Python {platform.python_version()}, TensorFlow {tensorflow}, "
        f"in {seconds / 60:.1f} minutes.",
    ]
    for part in parts:
        text += ["", f"## {part.title}", "", *part.lines]
        text += ["", *(f"- **{problem}**" for problem in part.problems)] if part.problems else []
    return "\n".join(text) + "\n"


def main() -> int:
    """Runs the proof; the exit code is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="a twentieth, as in the tests")
    parser.add_argument("--report", type=Path, help="where to write the result")
    options = parser.parse_args()
    unknown = set(options.sections) - SECTIONS.keys()
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    started_s = time.perf_counter()
    parts = run(options.sections or list(SECTIONS), share=20 if options.quick else 1)
    text = report(parts, seconds=time.perf_counter() - started_s)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    print(text)
    return 1 if any(part.problems for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
