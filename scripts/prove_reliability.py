"""Proves that nothing is lost: killed runs, damaged lists; writes the result.

    python -m scripts.prove_reliability [--quick] [--report FILE] [SECTION]…

Every section is a real command against a real server that plays a hostile internet. `--quick` is
what the tests run: a twentieth.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.fuzz_lists import fuzz
from scripts.proof_report import Part, proof_options, tell_result
from scripts.reliability_proof.damage import prove_cuts, prove_images, prove_repairs
from scripts.reliability_proof.full_disk import prove_full_disk
from scripts.reliability_proof.isolation import prove_isolation
from scripts.reliability_proof.soak import prove_cached, prove_soak
from scripts.reliability_proof.stage import install_tiny_model
from scripts.reliability_proof.strikes import prove_kill9, prove_stops

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


def _tiny(folder: Path) -> Path:
    return install_tiny_model(folder.parent / "tiny")


def _birds(folder: Path) -> Path:
    return folder.parent / "birds"


def _kill9(folder: Path, share: int) -> Part:
    return prove_kill9(folder, _tiny(folder), urls=2000 // share, kills=100 // share, seed=SEED)


def _stops(folder: Path, share: int) -> Part:
    return prove_stops(folder, _tiny(folder), urls=2000 // share, stops=100 // share, seed=SEED)


def _full_disk(folder: Path, share: int) -> Part:
    return prove_full_disk(folder, _tiny(folder), runs=40 // share, seed=SEED)


def _isolation(folder: Path, share: int) -> Part:
    whole = share == 1
    photos, pairs = 600 // share, 7 if whole else 1
    return prove_isolation(
        folder, _birds(folder), photos=photos, pairs=pairs, seed=SEED, asking=whole
    )


def _lists(folder: Path, share: int) -> Part:
    return prove_lists(count=20_000 // share)


def _cuts(folder: Path, share: int) -> Part:
    return prove_cuts(folder, step=1 if share == 1 else 97, seed=SEED)


def _repairs(folder: Path, share: int) -> Part:
    return prove_repairs(folder, count=2000 // share, seed=SEED)


def _images(_: Path, share: int) -> Part:
    return prove_images(count=2000 // share, seed=SEED)


def _soak(folder: Path, share: int) -> Part:
    return prove_soak(folder, _tiny(folder), urls=100_000 // share, asking=share == 1)


def _cached(folder: Path, share: int) -> Part:
    return prove_cached(folder, _birds(folder), urls=10_000 // share, asking=share == 1)


SECTIONS: Final[Mapping[str, Callable[[Path, int], Part]]] = {
    "kill9": _kill9,
    "stops": _stops,
    "full_disk": _full_disk,
    "cuts": _cuts,
    "repairs": _repairs,
    "images": _images,
    "lists": _lists,
    "soak": _soak,
    "cached": _cached,
    "isolation": _isolation,
}


def run(sections: Sequence[str], base: Path, *, share: int) -> list[Part]:
    """Runs sections.

    Args:
        sections: Names of `SECTIONS`.
        base: A folder for all of them, which share the models in it.
        share: 1 for full size, 20 for a twentieth.
    """
    parts = []
    for name in sections:
        folder = base / name
        folder.mkdir()
        parts.append(SECTIONS[name](folder, share))
        shutil.rmtree(folder)
    return parts


def main() -> int:
    """Runs the proof; the exit code is 1 if anything was wrong."""
    parser = proof_options(str(__doc__))
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    options = parser.parse_args()
    unknown = set(options.sections) - SECTIONS.keys()
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    chosen, share = options.sections or list(SECTIONS), 20 if options.quick else 1
    with tempfile.TemporaryDirectory() as base:
        return tell_result(
            lambda: run(chosen, Path(base), share=share),
            title="Proof of reliability",
            command="python -m scripts.prove_reliability",
            seed=SEED,
            path=options.report,
        )


if __name__ == "__main__":
    sys.exit(main())
