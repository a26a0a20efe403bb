"""Every step of every change struck in turn: by `kill -9`, and by a full disk."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, ModelError
from birdcli.registry.integrity import expected_digests
from scripts.registry_proof.fault_hook import Fault
from scripts.registry_proof.placeholder import install, open_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
State = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that is struck.

    Attributes:
        name: What to call it.
        arguments: For `scripts.registry_proof.operations`, after HOME, STEP and the fault.
        home: The state that it starts from; copied for each point, never changed.
    """

    name: str
    arguments: tuple[str, ...]
    home: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one strike came to.

    Attributes:
        change: Name of the change.
        step: Which step was struck, from 1.
        fault: How.
        survived: Whether the new state stood afterwards.
        problem: What was wrong with the registry; empty if nothing.
    """

    change: str
    step: int
    fault: Fault
    survived: bool
    problem: str


def read_state(home: Path) -> State:
    """Returns what a reader sees: versions with their digests and proofs, aliases, history.

    Raises:
        ModelError: The registry cannot be read, or a version or alias does not verify.
    """
    registry = open_registry(home)
    manifest = registry.load()
    for version in manifest.versions:
        if version.installed:
            registry.verify_files(version)
    aliases = {alias: registry.alias_target(alias) for alias in manifest.aliases}
    return (
        sorted(
            (v.id, v.digest, v.derived_digest, len(v.evidence))
            for v in manifest.versions
            if v.installed
        ),
        sorted(aliases.items()),
        [(entry.action, entry.model, entry.alias) for entry in registry.history()],
    )


def find_litter(home: Path) -> list[str]:
    """Returns what lies in a registry and belongs to nothing, also in the folders of versions."""
    registry = open_registry(home)
    known = {registry.folder / name for name in ("manifest.json", "history.jsonl", "lock")}
    for version in registry.load().versions:
        if version.installed:
            folder = registry.version_folder(version)
            known.update(folder / name for name in expected_digests(version))
    return [
        str(path.relative_to(home))
        for path in registry.folder.rglob("*")
        if path.is_file() and path not in known
    ]


def _run(change: Change, home: Path, step: int, fault: Fault) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.registry_proof.operations"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BIRDCLI_")}
    return subprocess.run(
        [*command, str(home), str(step), str(fault), *change.arguments],
        cwd=ROOT,
        env=kept | {"BIRDCLI_HOME": str(home), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def count_steps(change: Change) -> int:
    """Returns how many steps a change has.

    Raises:
        RuntimeError: It fails without any fault.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = shutil.copytree(change.home, Path(folder, "home"))
        done = _run(change, home, 0, Fault.KILL)
        found = re.search(r"^steps: (\d+)$", done.stderr, re.MULTILINE)
        if done.returncode != 0 or found is None:
            raise RuntimeError(f"{change.name} fails by itself: {done.stderr[-2000:]}")
        return int(found[1])


def _judge(done: subprocess.CompletedProcess[str], home: Path, before: State, fault: Fault) -> str:
    """Returns what is wrong, or nothing."""
    state = read_state(home)
    if fault is Fault.KILL and done.returncode != -signal.SIGKILL:
        return f"the process was not killed: {done.returncode}"
    if fault is Fault.FULL:
        refused = f"error[{ErrorCode.MODEL_UNWRITABLE}]" in done.stderr
        if done.returncode != 0 and not refused:
            return f"exit code {done.returncode}: {done.stderr[-500:]}"
        if refused and state != before:
            return "a full disk was reported, and the state is another"
        if done.returncode == 0 and state == before:
            return "the change failed without a word"
    install(open_registry(home, lock_timeout_s=5.0), "after", "1")
    litter = find_litter(home)
    if litter:
        return f"left behind: {', '.join(litter[:3])}"
    return ""


def strike(change: Change, step: int, fault: Fault, before: State, after: State) -> Point:
    """Strikes a change at one step and holds what is left against the states before and after."""
    with tempfile.TemporaryDirectory() as folder:
        home = shutil.copytree(change.home, Path(folder, "home"))
        done = _run(change, home, step, fault)
        state: State = ()
        try:
            state = read_state(home)
            problem = "" if state in (before, after) else "neither the old state nor the new one"
            problem = problem or _judge(done, home, before, fault)
        except ModelError as err:
            problem = f"{err.code}: {err.message}"
    return Point(
        change=change.name,
        step=step,
        fault=fault,
        survived=state == after,
        problem=problem,
    )


def state_after(change: Change) -> State:
    """Returns the state that a change leads to when nothing strikes."""
    with tempfile.TemporaryDirectory() as folder:
        home = shutil.copytree(change.home, Path(folder, "home"))
        _run(change, home, 0, Fault.KILL)
        return read_state(home)


def strike_all(
    change: Change, fault: Fault, *, steps: Sequence[int] | None = None, workers: int = 2
) -> list[Point]:
    """Strikes a change at every step, or at those that are given.

    Raises:
        RuntimeError: The change changes nothing.
    """
    before, after = read_state(change.home), state_after(change)
    if before == after:
        raise RuntimeError(f"{change.name} changes nothing, so that its faults would prove nothing")
    chosen = list(steps or range(1, count_steps(change) + 1))
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda step: strike(change, step, fault, before, after), chosen))
