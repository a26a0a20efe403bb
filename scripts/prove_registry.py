"""Proves that the registry survives crashes, full disks, races and damage; writes the result.

    python -m scripts.prove_registry [--quick] [--report docs/registry-proof.md]

Every step of every change is struck in turn: the process is killed as by `kill -9`, or the disk is
full from there on. Placeholder models stand for what the registry does; real commands with a tiny
real SavedModel for the rest. `--quick` is what the tests run: a twentieth.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.proof_report import ROOT, Part, proof_options, tell_result
from scripts.registry_proof.damage import damage_all
from scripts.registry_proof.fault_hook import Fault
from scripts.registry_proof.faults import Change, Point, count_steps, strike_all
from scripts.registry_proof.full_disk import run_full
from scripts.registry_proof.operations import OPERATIONS, prepare
from scripts.registry_proof.placeholder import install, open_registry
from scripts.registry_proof.races import race

SEED = 3
LISTED_VERSIONS = 100
MODEL_BYTES = 13_800_000
"""What `aiy-birds-v1` reads at a start."""


def _birdcli(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BIRDCLI_")}
    return subprocess.run(
        [sys.executable, "-m", "birdcli", *map(str, arguments)],
        cwd=ROOT,
        env=kept | {"BIRDCLI_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def placeholder_changes(folder: Path) -> list[Change]:
    """Returns every change of `OPERATIONS`."""
    home = folder / "placeholders"
    prepare(home)
    return [Change(name=name, arguments=(name,), home=home) for name in OPERATIONS]


def command_changes(folder: Path) -> list[Change]:
    """Returns real commands over a home whose production model is a tiny real one.

    Raises:
        RuntimeError: A command that prepares the home fails.
    """
    from tests.tiny_model import save_labels, save_tiny_model

    model, labels = save_tiny_model(folder / "model"), save_labels(folder / "labels.csv")
    source = (model, "--labels", labels, "--scale", "unit")
    home, elsewhere = folder / "commands", folder / "elsewhere"
    exported = folder / "tiny.tar.gz"
    for where, *command in (
        (home, "add", "tiny@1", *source),
        (home, "add", "tiny@2", *source),
        (home, "promote", "tiny@1"),
        (home, "promote", "tiny@2"),
        (elsewhere, "add", "tiny@4", *source),
        (elsewhere, "export", "tiny@4", exported),
    ):
        done = _birdcli(where, "registry", *map(str, command))
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
    commands: dict[str, tuple[object, ...]] = {
        "birdcli registry add": ("add", "tiny@3", *source),
        "birdcli registry promote": ("promote", "tiny@1"),
        "birdcli registry rollback": ("rollback",),
        "birdcli registry import": ("import", exported),
    }
    data = Path(os.environ.get("BIRDCLI_TEST_DATA", ROOT.parent / "shared")) / "models/aiy-birds-v1"
    if data.is_dir():  # the real TFLite model, whose engine starts at once
        commands["birdcli registry pull"] = (
            *("pull", "aiy-birds-lite@3", "--from"),
            *(data / "aiy_vision_classifier_birds_V1_3.tflite",),
            *("--labels", data / "aiy_birds_V1_labelmap.csv"),
            *("--names", data / "inat_bird_labels.txt"),
        )
    return [
        Change(name=name, arguments=("--", "registry", *map(str, arguments)), home=home)
        for name, arguments in commands.items()
    ]


def prove_faults(changes: list[Change], *, share: int, rng: random.Random) -> Part:
    """Strikes the steps of changes, one in `share` of them.

    Args:
        changes: What to strike.
        share: 1 for every step.
        rng: Chooses the steps.
    """
    points: list[Point] = []
    rows = []
    for change in changes:
        for fault in Fault:
            steps = range(1, count_steps(change) + 1)
            chosen = steps if share == 1 else rng.sample(steps, max(1, len(steps) // share))
            struck = strike_all(change, fault, steps=sorted(chosen))
            points += struck
            new = sum(point.survived for point in struck)
            rows.append(
                f"| {change.name} | {fault} | {len(struck)} | {len(struck) - new} | {new} |"
            )
    killed = sum(point.fault is Fault.KILL for point in points)
    broken = [point for point in points if point.problem]
    return Part(
        title="Killed, and with a full disk, at every step",
        lines=(
            f"**{killed} kill points and {len(points) - killed} full disks, {len(broken)} broken "
            "registries.** After each one, a reader finds the old state or the new one with every "
            "byte in place, the next change goes through, and nothing is left behind.",
            "",
            "| change | fault | steps struck | old state stands | new state stands |",
            "|---|---|---|---|---|",
            *rows,
        ),
        problems=tuple(f"{p.change}, step {p.step}, {p.fault}: {p.problem}" for p in broken),
    )


def prove_full_disk(*, every: int) -> Part:
    """Lets changes meet a real file system without space."""
    title = "A real disk that is full"
    found = run_full(every=every)
    if found is None:
        told = "Not run: mounting a file system is not allowed here."
        return Part(title=title, lines=(told,), problems=())
    refused, problems = found
    told = (
        f"On a tmpfs of 2 MB, with 0 and more pages left: {refused} changes were refused as "
        f"`model.unwritable` before each went through, **{len(problems)} wrong.**"
    )
    return Part(title=title, lines=(told,), problems=tuple(problems))


def prove_races(*, processes: int, changes: int) -> Part:
    """Lets processes change one registry at once."""
    started_s = time.perf_counter()
    problems = race(processes, changes)
    return Part(
        title="Processes at once",
        lines=(
            f"{processes} processes made {changes} changes each on one registry in "
            f"{time.perf_counter() - started_s:.1f} s: **{len(problems)} lost or wrong.**",
        ),
        problems=tuple(problems),
    )


def prove_damage(*, per_file: int) -> Part:
    """Damages every file."""
    found = damage_all(per_file=per_file, seed=SEED)
    return Part(
        title="Damaged files",
        lines=(
            f"{found.refused + found.harmless + len(found.problems)} bit flips and cuts in every "
            f"file of a registry: {found.refused} refused, {found.harmless} without consequence "
            "(a time, a note, a licence, a proof in the manifest), "
            f"**{len(found.problems)} served anything else.**",
        ),
        problems=found.problems,
    )


def measure(*, runs: int) -> Part:
    """Times `registry list` with many versions, and hashing what a start reads."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        registry = open_registry(home)
        for number in range(LISTED_VERSIONS - 1):
            install(registry, "birds", str(number))
        weights = random.Random(SEED).randbytes(MODEL_BYTES)
        model = install(registry, "large", "1", weights=weights)
        listing, verifying = [], []
        for _ in range(runs + 1):
            started_s = time.perf_counter()
            done = _birdcli(home, "registry", "list")
            listing.append(time.perf_counter() - started_s)
            started_s = time.perf_counter()
            registry.verify_files(registry.resolve(model))
            verifying.append((time.perf_counter() - started_s) * 1000)
        lines = len(done.stdout.splitlines())
    list_s, verify_ms = statistics.median(listing[1:]), statistics.median(verifying[1:])
    return Part(
        title="What it costs",
        lines=(
            f"- `birdcli registry list` with {LISTED_VERSIONS} versions: **{list_s:.3f} s** "
            f"({min(listing[1:]):.3f} to {max(listing[1:]):.3f}, median of {runs}; goal 0.3 s)",
            f"- reading manifest and history and hashing a version of {MODEL_BYTES / 1e6:.1f} MB, "
            f"among {LISTED_VERSIONS}: **{verify_ms:.1f} ms** ({min(verifying[1:]):.1f} to "
            f"{max(verifying[1:]):.1f}; goal 25 ms added to a start)",
        ),
        problems=() if lines > LISTED_VERSIONS else (f"registry list printed {lines} lines",),
    )


def run(*, quick: bool) -> list[Part]:
    """Runs all parts at full size, or at a twentieth."""
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        changes = placeholder_changes(Path(folder))
        if not quick:
            changes += command_changes(Path(folder))
        return [
            prove_faults(changes, share=20 if quick else 1, rng=rng),
            prove_full_disk(every=8 if quick else 1),
            prove_races(processes=8, changes=2 if quick else 50),
            prove_damage(per_file=20 if quick else 400),
            measure(runs=1 if quick else 10),
        ]


def main() -> int:
    """Runs the proof; the exit code is 1 if anything was wrong."""
    options = proof_options(str(__doc__)).parse_args()
    return tell_result(
        lambda: run(quick=options.quick),
        title="Proof of the registry",
        command="python -m scripts.prove_registry",
        seed=SEED,
        path=options.report,
    )


if __name__ == "__main__":
    sys.exit(main())
