"""The proof of the registry, a twentieth of it; its full result is docs/registry-proof.md."""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode
from scripts.prove_registry import (
    measure,
    placeholder_changes,
    prove_damage,
    prove_faults,
    prove_full_disk,
)
from scripts.registry_proof import faults
from scripts.registry_proof.fault_hook import Fault
from scripts.registry_proof.operations import PROOF
from scripts.registry_proof.placeholder import open_registry
from scripts.registry_proof.races import race
from scripts.small_disk import small_file_system
from tests.e2e.conftest import Birdcli

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

pytestmark = pytest.mark.usefixtures("unmeasured")


def test_a_registry_survives_kills_and_full_disks_at_any_step(tmp_path: Path) -> None:
    part = prove_faults(placeholder_changes(tmp_path), share=20, rng=random.Random())
    assert part.problems == ()


def test_a_real_disk_that_is_full_changes_nothing() -> None:
    assert prove_full_disk(every=8).problems == ()


def test_a_model_that_does_not_fit_is_the_disks_fault_not_its_own(tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"graph")
    (model / "variables" / "variables.data").write_bytes(bytes(3_000_000))
    (tmp_path / "labels.csv").write_text("Pica pica\n")
    with small_file_system(pages=512) as folder:
        if folder is None:
            pytest.skip("mounting a file system is not allowed here")
        done = Birdcli(folder / "home").inline(
            "registry", "add", "large@1", str(model), "--labels", str(tmp_path / "labels.csv")
        )
        assert done.code == 3
        assert f"error[{ErrorCode.MODEL_UNWRITABLE}]" in done.stderr
        assert "is full" in done.stderr
        assert list((folder / "home" / "registry" / "models").iterdir()) == []


def test_eight_processes_at_once_lose_no_change() -> None:
    assert race(8, 2) == []


def test_damage_of_any_file_is_refused_or_without_consequence() -> None:
    assert prove_damage(per_file=20).problems == ()


def test_a_hundred_versions_are_listed() -> None:
    assert measure(runs=1).problems == ()


def test_a_broken_registry_would_be_found(tmp_path: Path, mocker: MockerFixture) -> None:
    """What the proof calls a problem: a state that is neither the old one nor the new one."""
    change = next(c for c in placeholder_changes(tmp_path) if c.name == "remove alias")
    before, after = faults.read_state(change.home), faults.state_after(change)
    assert before != after
    mocker.patch.object(faults, "read_state", return_value=("another state",))
    point = faults.strike(change, 3, Fault.KILL, before, after)
    assert "neither" in point.problem


def test_a_change_that_changes_nothing_proves_nothing(tmp_path: Path) -> None:
    change = next(c for c in placeholder_changes(tmp_path) if c.name == "remove alias")
    open_registry(change.home).remove_alias("canary", note="", who="me")
    nothing = dataclasses.replace(change, arguments=("keep proof",))
    registry = open_registry(change.home)
    registry.keep_proof(registry.resolve("birds@1"), PROOF, {}, who="me")
    with pytest.raises(RuntimeError, match="changes nothing"):
        faults.strike_all(nothing, Fault.KILL)


def test_litter_would_be_found(tmp_path: Path) -> None:
    change = placeholder_changes(tmp_path)[0]
    (change.home / "registry" / "models" / "birds" / "left").mkdir()
    (change.home / "registry" / "models" / "birds" / "left" / "over").touch()
    assert faults.find_litter(change.home) == ["registry/models/birds/left/over"]


@pytest.mark.parametrize("fault", list(Fault))
def test_a_strike_beyond_the_last_step_is_reported(tmp_path: Path, fault: Fault) -> None:
    change = next(c for c in placeholder_changes(tmp_path) if c.name == "keep proof")
    before, after = faults.read_state(change.home), faults.state_after(change)
    point = faults.strike(change, 10_000, fault, before, after)
    assert point.survived
    assert ("not killed" in point.problem) is (fault is Fault.KILL)
