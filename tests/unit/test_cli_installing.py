"""What is kept of a proof, and what people are told where it cannot be."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import pytest

from birdcli.cli.installing import keep, withdraw
from birdcli.errors import ErrorCode, ModelError
from birdcli.models.engines import this_machine
from scripts.registry_proof.placeholder import EVIDENCE, install, open_registry

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.registry import Registry

MADE = {"prepared/a": b"made"}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    opened = open_registry(tmp_path)
    install(opened)
    return opened


@pytest.fixture
def unwritable(registry: Registry) -> Registry:
    """A folder where the lock should be stops root, too."""
    (registry.folder / "lock").unlink()
    (registry.folder / "lock").mkdir()
    return registry


def test_what_was_prepared_is_kept_with_its_proof(registry: Registry) -> None:
    people = io.StringIO()
    kept = keep(registry, registry.resolve("birds@1"), EVIDENCE, MADE, people)
    assert kept == registry.resolve("birds@1")
    assert kept.evidence == (EVIDENCE,)
    assert "prepared/a" in {entry.path for entry in kept.prepared}
    assert people.getvalue() == ""


@pytest.mark.parametrize(
    ("made", "what"), [(MADE, "what was prepared for this machine"), ({}, "the proof")]
)
def test_a_home_that_cannot_be_written_costs_a_warning(
    unwritable: Registry, made: dict[str, bytes], what: str
) -> None:
    version, people = unwritable.resolve("birds@1"), io.StringIO()
    assert keep(unwritable, version, EVIDENCE, made, people) == version
    assert people.getvalue().startswith(f"birdcli: warning: {what} is not kept: the registry")
    assert unwritable.resolve("birds@1") == version


def test_a_version_that_was_removed_meanwhile_is_an_error_to_whoever_proves_it(
    registry: Registry,
) -> None:
    version = registry.resolve("birds@1")
    registry.remove("birds@1", note="", who="another")
    with pytest.raises(ModelError) as caught:
        keep(registry, version, EVIDENCE, {}, io.StringIO())
    assert caught.value.code is ErrorCode.MODEL_NOT_INSTALLED


def test_proofs_of_this_machine_are_withdrawn_whatever_else_is_installed(
    registry: Registry,
) -> None:
    here = this_machine()
    libraries = {"numpy": here.versions["numpy"]}
    evidence = msgspec.structs.replace(EVIDENCE, host=here.host, libraries=libraries)
    for proof in (EVIDENCE, evidence):
        keep(registry, registry.resolve("birds@1"), proof, {}, io.StringIO())
    withdraw(registry, registry.resolve("birds@1"), io.StringIO())
    assert registry.resolve("birds@1").evidence == (EVIDENCE,)


def test_a_proof_that_cannot_be_withdrawn_is_told(unwritable: Registry) -> None:
    people = io.StringIO()
    withdraw(unwritable, unwritable.resolve("birds@1"), people)
    assert "old proofs are not withdrawn" in people.getvalue()
