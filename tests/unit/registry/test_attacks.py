"""What somebody might try, so that another model answers or nothing works any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from birdcli.errors import ErrorCode
from birdcli.hashing import sha256_of_bytes
from birdcli.model_version import FileEntry, NamesSpec
from scripts.registry_proof.placeholder import EVIDENCE, install, stage
from tests.unit.registry.tools import edit_manifest, promote, refused

if TYPE_CHECKING:
    from birdcli.model_version import ModelVersion
    from birdcli.registry import Registry

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["production", "canary"])
def test_a_model_cannot_take_the_name_of_an_alias(registry: Registry, name: str) -> None:
    promote(registry, "1", "canary")
    with refused(ErrorCode.MODEL_EXISTS) as caught:
        install(registry, name, "1")
    assert "is an alias" in caught.value.message
    with refused(ErrorCode.MODEL_EXISTS):
        registry.check_name(name)
    registry.check_name("another")


def test_what_is_called_like_an_alias_does_not_answer_in_its_place(registry: Registry) -> None:
    """By hand, for it cannot be installed."""
    promote(registry, "1")
    edit_manifest(
        registry, lambda fields: fields["models"].update(production=fields["models"]["birds"])
    )
    assert registry.resolve("production").id == "birds@1"


@pytest.mark.parametrize("path", ["golden.npz", "prepared/graph.pb"])
def test_derived_files_are_on_record_too(registry: Registry, path: str) -> None:
    version = registry.resolve("birds@1")
    (registry.version_folder(version) / path).write_bytes(b"other")

    def change(fields: Any) -> None:
        entry = fields["models"]["birds"]["1"]
        for described in (entry["golden"], *entry["prepared"]):
            if described["path"] == path:
                described.update(bytes=5, sha256=sha256_of_bytes(b"other"))

    edit_manifest(registry, change)
    with refused(ErrorCode.MODEL_HISTORY_MISMATCH):
        registry.verify_files(registry.resolve("birds@1"))


def other_golden(staged: Path) -> ModelVersion:
    version = stage(staged, "birds", "1", weights=b"1")
    (staged / "golden.npz").write_bytes(b"forged")
    golden = FileEntry(path="golden.npz", bytes=6, sha256=sha256_of_bytes(b"forged"))
    return msgspec.structs.replace(version, golden=golden)


def test_golden_outputs_may_be_made_anew_but_not_brought_along(registry: Registry) -> None:
    with registry.staging() as staged, refused(ErrorCode.MODEL_EXISTS):
        registry.install(other_golden(staged), staged, who="me", exact=True)
    with registry.staging() as staged:
        registry.install(other_golden(staged), staged, who="me")
    registry.verify_files(registry.resolve("birds@1"))


def test_names_may_come_later_but_not_become_others(registry: Registry) -> None:
    def named(staged: Path, names: bytes) -> ModelVersion:
        version = stage(staged, "birds", "1", weights=b"1")
        (staged / "names.txt").write_bytes(names)
        return version.with_names(NamesSpec(path="names.txt", sha256=sha256_of_bytes(names)))

    with registry.staging() as staged:
        registry.install(named(staged, b"right"), staged, who="me")
    with registry.staging() as staged, refused(ErrorCode.MODEL_EXISTS):
        registry.install(named(staged, b"wrong"), staged, who="me")


def test_a_rollback_never_reaches_other_bytes_by_the_same_name(registry: Registry) -> None:
    promote(registry, "1")
    promote(registry, "2")
    registry.remove("birds@1", note="", who="me")
    install(registry, "birds", "1", weights=b"other")
    with refused(ErrorCode.MODEL_NOT_INSTALLED) as caught:
        registry.rollback_target("production")
    assert "another model has its name now" in caught.value.message


@pytest.mark.parametrize("change", ["promote", "evidence"])
def test_a_proof_counts_for_the_bytes_that_were_proven_only(
    registry: Registry, change: str
) -> None:
    proven = registry.resolve("birds@1")
    registry.remove("birds@1", note="", who="another")
    install(registry, "birds", "1", weights=b"other")
    with refused(ErrorCode.MODEL_LOCKED) as caught:
        if change == "promote":
            registry.promote(proven, EVIDENCE, alias="production", note="", who="me")
        else:
            registry.keep_proof(proven, EVIDENCE, {}, who="me")
    assert "replaced" in caught.value.message


def test_models_without_a_manifest_are_damage_and_not_swept(registry: Registry) -> None:
    for name in ("manifest.json", "history.jsonl"):
        (registry.folder / name).unlink()
    with refused(ErrorCode.MODEL_MANIFEST_INVALID) as caught:
        install(registry, "birds", "4")
    assert "there are models" in caught.value.message
    assert sorted(path.name for path in (registry.folder / "models" / "birds").iterdir()) == [
        *"123"
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("name", ["manifest.json", "history.jsonl"])
def test_a_fifo_is_refused_instead_of_read(registry: Registry, name: str) -> None:
    (registry.folder / name).unlink()
    os.mkfifo(registry.folder / name)
    with refused(ErrorCode.MODEL_MANIFEST_INVALID) as caught:
        registry.load()
    assert "no regular file" in caught.value.message


def test_a_link_to_itself_is_refused(registry: Registry) -> None:
    version = registry.resolve("birds@1")
    folder = registry.version_folder(version)
    folder.rename(registry.folder / "elsewhere")
    folder.symlink_to(folder)
    with refused(ErrorCode.MODEL_SHA256_MISMATCH):
        registry.verify_files(version)


@pytest.mark.parametrize("strange", ["file", "link", "folder as lock", "link as lock"])
def test_nothing_strange_keeps_the_sweep_from_the_rest(registry: Registry, strange: str) -> None:
    models = registry.folder / "models"
    match strange:
        case "file":
            (models / ".staging-a").write_bytes(b"x")
        case "link":
            (models / ".staging-a").symlink_to(registry.folder)
        case "folder as lock":
            (models / ".staging-a.lock" / "x").mkdir(parents=True)
        case "link as lock":
            (models / ".staging-a.lock").symlink_to(models / "nowhere")
    (models / ".staging-z").mkdir()
    (models / "never" / "1").mkdir(parents=True)
    promote(registry, "1")
    assert sorted(path.name for path in models.iterdir()) == ["birds"]
    assert (registry.folder / "manifest.json").is_file()


def test_what_nobody_could_read_is_never_written(registry: Registry) -> None:
    before = (registry.folder / "manifest.json").read_bytes()
    nonsense = msgspec.structs.replace(EVIDENCE, deviation=float("nan"))
    with refused(ErrorCode.MODEL_MANIFEST_INVALID):
        registry.keep_proof(registry.resolve("birds@1"), nonsense, {}, who="me")
    assert (registry.folder / "manifest.json").read_bytes() == before
