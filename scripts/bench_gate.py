"""Says whether a commit made `birdcli classify` slower: two commits in turn, A B A B, in one run.

    BIRDCLI_HOME=… python -m scripts.bench_gate BASE [HEAD] --photos FOLDER [--engine openvino]

Each commit gets a temporary worktree and a copy of the home; both run in this environment. Compared
are a whole process over the photos, and the time of an image after the start (a list three times as
long, less the list). The ratio of each pair gives a Hodges-Lehmann estimate with the exact interval
of Wilcoxon's signed-rank test, 95 %. `same` needs the whole interval within --same-within.

Exit codes: 0 the same or faster, 1 slower in one figure or more, 2 cannot tell, or wrong usage.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.benchmarking.bench import TIMES, in_turn, tell
from scripts.benchmarking.contenders import over_both
from scripts.benchmarking.process import ROOT, Measured, ProcessFailedError, measure
from scripts.benchmarking.verdict import Judged, exit_code, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_PAIRS: Final = 8
_SAME_WITHIN: Final = 0.03


class GateError(Exception):
    """The commits cannot be compared; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit, checked out.

    Attributes:
        name: As the user called it.
        sha: Which one that is.
        folder: Its worktree.
        home: Its own copy of the home: what one prepares, the other does not use.
    """

    name: str
    sha: str
    folder: Path
    home: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares two commits; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", help="a commit")
    parser.add_argument("head", nargs="?", default="HEAD", help="another one (%(default)s)")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of JPEGs")
    parser.add_argument("--pairs", type=int, default=_PAIRS, help="at least 6 (%(default)s)")
    parser.add_argument("--engine", help="for commits that have --engine")
    parser.add_argument("--model", default="production", help="(%(default)s)")
    parser.add_argument("--same-within", type=float, default=_SAME_WITHIN, help="(%(default)s)")
    parser.add_argument("--repository", type=Path, default=ROOT, help="(this one)")
    options = parser.parse_args(arguments)
    photos = sorted(options.photos.resolve().glob("*.jpg"))
    if not photos:
        parser.error(f"there is no JPEG in {options.photos}")
    flags = ["--model", options.model]
    flags += ["--engine", options.engine] if options.engine else []
    home = Path(os.environ.get("BIRDCLI_HOME", ""))
    if not (home / "registry").is_dir():
        parser.error("BIRDCLI_HOME must name a home with an installed model")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="birdcli-gate-") as scratch,
            checked_out(
                options.repository, (options.base, options.head), home, Path(scratch)
            ) as commits,
        ):
            judged = compare(
                commits, photos, flags, Path(scratch),
                pairs=options.pairs, same_within=options.same_within,
            )  # fmt: skip
    except (GateError, ProcessFailedError) as err:
        tell(f"bench_gate: {err}")
        return 2
    for figure, verdict in judged.items():
        print(describe(figure, verdict, options.pairs))
    return exit_code([it.verdict for it in judged.values()])


@contextmanager
def checked_out(
    repository: Path, names: tuple[str, str], home: Path, scratch: Path
) -> Iterator[tuple[Commit, ...]]:
    """Checks commits out for as long as the context lasts.

    Raises:
        GateError: There is no such commit.
    """
    commits = []
    try:
        for position, name in enumerate(names):
            asked = ("--verify", "--end-of-options", f"{name}^{{commit}}")
            sha = _git(repository, "rev-parse", *asked)
            folder = scratch / "ab"[position]
            _git(repository, "worktree", "add", "--detach", "--quiet", str(folder), sha)
            own_home = Path(shutil.copytree(home, scratch / f"home-{'ab'[position]}"))
            commits.append(Commit(name=name, sha=sha, folder=folder, home=own_home))
        yield tuple(commits)
    finally:
        for position in range(len(names)):
            folder = scratch / "ab"[position]
            if folder.exists():
                _git(repository, "worktree", "remove", "--force", str(folder))


def compare(
    commits: tuple[Commit, ...],
    photos: Sequence[Path],
    flags: Sequence[str],
    scratch: Path,
    *,
    pairs: int,
    same_within: float,
) -> dict[str, Judged]:
    """Runs both commits in turn and judges each figure.

    Args:
        commits: The two.
        photos: What to classify.
        flags: Of `birdcli classify`.
        scratch: For lists.
        pairs: How many rounds.
        same_within: See `judge`.

    Raises:
        GateError: A worktree runs another birdcli than its own.
        ProcessFailedError: A run failed.
    """
    once, longer = scratch / "once.txt", scratch / "longer.txt"
    for path, times in ((once, 1), (longer, TIMES)):
        path.write_text("".join(f"{photo}\n" for photo in photos) * times)
    for commit in commits:
        _verify_own_package(commit)
    samples = in_turn(
        pairs,
        {commit.folder.name: over_both(_runner(commit, flags), once, longer) for commit in commits},
    )
    base, head = (commit.folder.name for commit in commits)
    extra = len(photos) * (TIMES - 1)
    figures: dict[str, Callable[[str], list[float]]] = {
        "whole process": lambda name: samples[f"{name}/wall_s"],
        "an image after the start": lambda name: [
            (longer - shorter) / extra
            for shorter, longer in zip(
                samples[f"{name}/wall_s"], samples[f"{name}/longer_wall_s"], strict=True
            )
        ],
    }
    return {
        figure: judge(values(base), values(head), same_within=same_within)
        for figure, values in figures.items()
    }


def describe(figure: str, judged: Judged, pairs: int) -> str:
    """Returns one line for people."""
    if judged.interval is None:
        return f"{figure}: {judged.verdict}: the noise is larger than the figure"
    interval = judged.interval
    return (
        f"{figure}: {judged.verdict}: time x {interval.estimate:.3f} "
        f"({interval.low:.3f} to {interval.high:.3f}, confidence {interval.confidence:.1%}, "
        f"{pairs} pairs)"
    )


def _environment(commit: Commit) -> Mapping[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BIRDCLI_")}
    return {**kept, "BIRDCLI_HOME": str(commit.home), "PYTHONPATH": str(commit.folder)}


def _runner(commit: Commit, flags: Sequence[str]) -> Callable[[Path], Measured]:
    command = (sys.executable, "-m", "birdcli", "classify", "--no-cache", *flags, "--from-file")
    environment = _environment(commit)
    return lambda inputs: measure(
        [*command, str(inputs)], cwd=commit.folder, environment=environment
    )


def _verify_own_package(commit: Commit) -> None:
    """The environment has a birdcli of its own, which must not be the one that is measured."""
    code = (
        "from importlib.util import find_spec; found = find_spec('birdcli')\n"
        "print(found.origin if found else 'no birdcli')"
    )
    done = measure(
        [sys.executable, "-c", code], cwd=commit.folder, environment=_environment(commit)
    )
    found = Path(done.stdout.decode().strip())
    if not found.is_relative_to(commit.folder):
        raise GateError(f"{commit.name} would run {found}")


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise GateError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
