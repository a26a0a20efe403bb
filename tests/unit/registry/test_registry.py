"""The registry changes whole or not at all, and hashes every byte."""

from __future__ import annotations

import multiprocessing
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes
from birdcli.manifest import Manifest
from birdcli.model_version import (
    InputSpec,
    NamesSpec,
    Scale,
)
from birdcli.registry import Registry, load_builtin_manifest
from scripts.registry_proof.placeholder import EVIDENCE, install, stage

if TYPE_CHECKING:
    from pytest_mock import MockerFixture


def make_registry(home: Path) -> Registry:
    return Registry(
        home,
        load_builtin_manifest(),
        now=lambda: datetime(2026, 1, 2, tzinfo=UTC),
        lock_timeout_s=20.0,
    )


def refused(code: ErrorCode) -> pytest.RaisesExc[ModelError]:
    return pytest.RaisesExc(ModelError, check=lambda error: error.code is code)


def test_a_fresh_home_knows_the_shipped_declarations_and_stays_empty(tmp_path: Path) -> None:
    registry = make_registry(tmp_path / "home")
    versions = registry.load().versions
    assert {v.id for v in versions} == {"aiy-birds-v1@1", "aiy-birds-lite@3", "imagenet-birds@1"}
    assert not any(version.installed for version in versions)
    assert not (tmp_path / "home").exists()


def test_an_installed_version_verifies_and_nothing_else_is_left(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.resolve(install(registry))
    registry.verify_files(version)
    assert version.installed
    assert {path.name for path in (tmp_path / "registry" / "models").iterdir()} == {"birds"}


def test_a_failed_installation_leaves_nothing(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)

    def fail() -> None:
        with registry.staging() as staged:
            stage(staged)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list((tmp_path / "registry" / "models").iterdir()) == []
    assert registry.load() == load_builtin_manifest()


@pytest.mark.parametrize("path", ["module/saved_model.pb", "golden.npz", "labels.csv"])
def test_one_flipped_bit_in_any_file_is_found_and_named(tmp_path: Path, path: str) -> None:
    registry = make_registry(tmp_path)
    version = registry.resolve(install(registry))
    file = registry.version_folder(version) / path
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    with refused(ErrorCode.MODEL_SHA256_MISMATCH) as caught:
        registry.verify_files(version)
    assert path in caught.value.message


@pytest.mark.parametrize("path", ["module/saved_model.pb", "golden.npz", "labels.csv"])
def test_a_missing_file_is_named(tmp_path: Path, path: str) -> None:
    registry = make_registry(tmp_path)
    version = registry.resolve(install(registry))
    (registry.version_folder(version) / path).unlink()
    with refused(ErrorCode.MODEL_SHA256_MISMATCH) as caught:
        registry.verify_files(version)
    assert path in caught.value.message


def test_a_link_swapped_in_for_a_file_is_refused_even_with_the_right_bytes(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.resolve(install(registry))
    file = registry.version_folder(version) / "golden.npz"
    copy = tmp_path / "copy"
    copy.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(copy)
    with refused(ErrorCode.MODEL_SHA256_MISMATCH):
        registry.verify_files(version)


def test_a_linked_version_folder_is_refused(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.resolve(install(registry))
    folder = registry.version_folder(version)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with refused(ErrorCode.MODEL_SHA256_MISMATCH):
        registry.verify_files(version)


def test_a_file_that_was_not_installed_is_refused(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.resolve(install(registry))
    (registry.version_folder(version) / "module" / "extra.pb").write_bytes(b"x")
    with refused(ErrorCode.MODEL_SHA256_MISMATCH) as caught:
        registry.verify_files(version)
    assert "does not belong" in caught.value.message


def test_a_declared_version_is_not_installed(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    with refused(ErrorCode.MODEL_NOT_INSTALLED):
        registry.verify_files(registry.resolve("aiy-birds-v1"))


def test_the_same_version_again_with_the_same_bytes_is_fine(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    assert install(registry) == install(registry)


def test_the_same_version_with_other_bytes_is_refused(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    with refused(ErrorCode.MODEL_EXISTS):
        install(registry, weights=b"other")
    registry.verify_files(registry.resolve("birds@1"))


def test_leftovers_of_a_crash_are_replaced(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry, version="2")
    leftover = tmp_path / "registry" / "models" / "birds" / "1" / "half"
    leftover.mkdir(parents=True)
    registry.verify_files(registry.resolve(install(registry)))


@pytest.mark.parametrize(
    ("reference", "found"),
    [("birds@9", "birds@9"), ("birds", "birds@10"), ("production", "birds@9"),
     ("aiy-birds-v1", "aiy-birds-v1@1")],
)  # fmt: skip
def test_references_resolve(tmp_path: Path, reference: str, found: str) -> None:
    registry = make_registry(tmp_path)
    install(registry, version="9")
    install(registry, version="10")
    registry.promote(registry.resolve("birds@9"), EVIDENCE, alias="production", note="", who="me")
    assert registry.resolve(reference).id == found


def test_an_unknown_reference_names_the_known_ones(tmp_path: Path) -> None:
    with refused(ErrorCode.MODEL_NOT_FOUND) as caught:
        make_registry(tmp_path).resolve("unknown")
    assert "aiy-birds-v1" in caught.value.hint


def test_promotion_moves_the_alias_and_history_tells(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    install(registry, version="2")
    assert (
        registry.promote(registry.resolve("birds@1"), EVIDENCE, alias="staging", note="", who="me")
        is None
    )
    assert (
        registry.promote(
            registry.resolve("birds@2"), EVIDENCE, alias="staging", note="why", who="me"
        )
        == "birds@1"
    )
    assert registry.load().aliases == {"staging": "birds@2"}
    last = registry.history()[-1]
    assert (last.action, last.source, last.model, last.note, last.who) == (
        "promote", "birds@1", "birds@2", "why", "me",
    )  # fmt: skip
    assert last.evidence == EVIDENCE


def test_promotion_refuses_what_is_not_installed(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    with refused(ErrorCode.MODEL_NOT_INSTALLED):
        registry.promote(
            registry.resolve("aiy-birds-v1@1"), EVIDENCE, alias="production", note="", who="me"
        )
    assert registry.load().aliases == {}


def test_promotion_refuses_changed_bytes(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.resolve(install(registry))
    (registry.version_folder(version) / "module" / "saved_model.pb").write_bytes(b"evil")
    with refused(ErrorCode.MODEL_SHA256_MISMATCH):
        registry.promote(
            registry.resolve("birds@1"), EVIDENCE, alias="production", note="", who="me"
        )
    assert registry.load().aliases == {}


@pytest.mark.parametrize("alias", ["birds", "aiy-birds-v1"])
def test_an_alias_cannot_be_the_name_of_a_model(tmp_path: Path, alias: str) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    with refused(ErrorCode.MODEL_EXISTS):
        registry.promote(registry.resolve("birds@1"), EVIDENCE, alias=alias, note="", who="me")


def test_evidence_is_kept(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    registry.keep_proof(registry.resolve("birds@1"), EVIDENCE, {}, who="me")
    assert registry.resolve("birds@1").evidence == (EVIDENCE,)


def test_a_broken_manifest_is_refused_and_left_untouched(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    manifest = tmp_path / "registry" / "manifest.json"
    manifest.write_bytes(b'{"schema":1,')
    with refused(ErrorCode.MODEL_MANIFEST_INVALID):
        install(registry, version="2")
    assert manifest.read_bytes() == b'{"schema":1,'


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registry" / "manifest.json").mkdir(parents=True)
    with refused(ErrorCode.MODEL_MANIFEST_INVALID):
        make_registry(tmp_path).load()


def test_a_broken_history_is_refused(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    (tmp_path / "registry" / "history.jsonl").write_bytes(b"{\n")
    with refused(ErrorCode.MODEL_MANIFEST_INVALID):
        registry.history()


def test_a_home_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"a file where a folder should be")
    with refused(ErrorCode.MODEL_UNWRITABLE):
        install(make_registry(tmp_path / "home"))


def test_a_full_disk_says_so_and_changes_nothing(tmp_path: Path, mocker: MockerFixture) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    before = (tmp_path / "registry" / "manifest.json").read_bytes()
    mocker.patch("os.fsync", side_effect=OSError(28, "No space left on device"))
    with refused(ErrorCode.MODEL_UNWRITABLE) as caught:
        registry.promote(
            registry.resolve("birds@1"), EVIDENCE, alias="production", note="", who="me"
        )
    assert "full" in caught.value.message
    mocker.stopall()
    assert (tmp_path / "registry" / "manifest.json").read_bytes() == before


def test_a_lock_that_is_held_too_long_is_an_error(tmp_path: Path) -> None:
    holder = make_registry(tmp_path)
    install(holder)
    waiting = Registry(tmp_path, Manifest(), lock_timeout_s=0.05)
    with holder._locked(), refused(ErrorCode.MODEL_LOCKED):
        waiting.keep_proof(waiting.resolve("birds@1"), EVIDENCE, {}, who="me")


def _install_many(home: str, worker: int) -> None:
    registry = make_registry(Path(home))
    for number in range(5):
        install(registry, version=f"{worker}.{number}")


def test_processes_at_once_lose_no_update(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_install_many, args=(str(tmp_path), worker)) for worker in range(2)
    ]
    for process in workers:
        process.start()
    for process in workers:
        process.join(60)
    assert [process.exitcode for process in workers] == [0, 0]
    registry = make_registry(tmp_path)
    installed = [version for version in registry.load().versions if version.installed]
    assert len(installed) == 10
    for version in installed:
        registry.verify_files(version)
    assert len(registry.history()) == 10


@pytest.mark.skipif(os.name == "nt", reason="folders of Windows have no such permissions")
def test_a_version_is_immutable_but_its_description_is_not_part_of_it(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    with registry.staging() as staged:
        again = msgspec.structs.replace(stage(staged), licence="MIT")
        registry.install(again, staged, who="me")
    assert registry.resolve("birds@1").licence == ""


def test_installing_again_repairs_a_damaged_version_and_keeps_its_alias(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.resolve(install(registry))
    registry.promote(registry.resolve("birds@1"), EVIDENCE, alias="production", note="", who="me")
    (registry.version_folder(version) / "module" / "saved_model.pb").write_bytes(b"damaged")
    install(registry)
    registry.verify_files(registry.resolve("production"))


def test_installing_again_may_bring_names(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    names = NamesSpec(path="names.txt", sha256=sha256_of_bytes(b"n"))
    with registry.staging() as staged:
        (staged / "names.txt").write_bytes(b"n")
        registry.install(stage(staged).with_names(names), staged, who="me")
    version = registry.resolve("birds@1")
    registry.verify_files(version)
    assert version.names == names


def test_the_same_bytes_with_another_input_are_another_model(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    install(registry)
    with registry.staging() as staged, refused(ErrorCode.MODEL_EXISTS):
        other = msgspec.structs.replace(stage(staged), input=InputSpec(scale=Scale.NONE))
        registry.install(other, staged, who="me")
