"""Rolling back, removing and pruning; aliases that disagree; leftovers; locks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from birdcli.errors import ErrorCode
from birdcli.hashing import sha256_of_bytes
from scripts.registry_proof.faults import find_litter
from scripts.registry_proof.placeholder import EVIDENCE, install, open_registry
from tests.unit.registry.tools import edit_manifest, promote, refused, roll_back

if TYPE_CHECKING:
    from pytest_mock import MockerFixture

    from birdcli.registry import Registry

REPOSITORY = Path(__file__).resolve().parents[3]


def test_each_rollback_goes_one_step_further_back(registry: Registry) -> None:
    for version in "123":
        promote(registry, version)
    assert roll_back(registry) == "birds@2"
    assert roll_back(registry) == "birds@1"
    with refused(ErrorCode.MODEL_NO_PREVIOUS):
        registry.rollback_target("production")


def test_a_rollback_is_on_record(registry: Registry) -> None:
    promote(registry, "1")
    promote(registry, "2")
    roll_back(registry)
    last = registry.history()[-1]
    assert (last.action, last.source, last.model, last.note) == (
        "rollback", "birds@2", "birds@1", "bad",
    )  # fmt: skip
    assert last.evidence == EVIDENCE


def test_an_alias_that_is_not_set_cannot_be_rolled_back(registry: Registry) -> None:
    with refused(ErrorCode.MODEL_NO_PREVIOUS) as caught:
        registry.rollback_target("canary")
    assert "is not set" in caught.value.message


def test_aliases_are_rolled_back_one_by_one(registry: Registry) -> None:
    for alias in ("production", "canary"):
        promote(registry, "1", alias)
        promote(registry, "2", alias)
    assert roll_back(registry, "canary") == "birds@1"
    assert registry.alias_target("production") == "birds@2"


def test_a_rollback_to_a_removed_version_is_refused(registry: Registry) -> None:
    promote(registry, "1")
    promote(registry, "2")
    registry.remove("birds@1", note="", who="me")
    with refused(ErrorCode.MODEL_NOT_INSTALLED) as caught:
        registry.rollback_target("production")
    assert "birds@1, which was removed" in caught.value.message


def test_a_rollback_to_damaged_files_is_refused_and_changes_nothing(registry: Registry) -> None:
    promote(registry, "1")
    promote(registry, "2")
    damaged = registry.version_folder(registry.resolve("birds@1")) / "labels.csv"
    damaged.write_bytes(b"x")
    with refused(ErrorCode.MODEL_SHA256_MISMATCH):
        roll_back(registry)
    assert registry.alias_target("production") == "birds@2"


def test_a_rollback_that_somebody_overtook_is_refused(registry: Registry) -> None:
    for version in "123":
        promote(registry, version)
    target = registry.rollback_target("production")
    roll_back(registry)
    with refused(ErrorCode.MODEL_LOCKED):
        registry.rollback(target, EVIDENCE, alias="production", note="", who="me")


@pytest.mark.parametrize("target", ["birds@2", None])
def test_an_alias_edited_by_hand_is_refused_until_it_is_promoted(
    registry: Registry, target: str | None
) -> None:
    promote(registry, "1")

    def change(fields: Any) -> None:
        if target is None:
            del fields["aliases"]["production"]
        else:
            fields["aliases"]["production"] = target

    edit_manifest(registry, change)
    for reads in (registry.alias_target, registry.resolve, registry.rollback_target):
        with refused(ErrorCode.MODEL_HISTORY_MISMATCH) as caught:
            reads("production")
    assert "birds@1" in caught.value.message
    assert [problem.code for problem in registry.problems()] == ["model.history_mismatch"]
    promote(registry, "2")
    assert registry.resolve("production").id == "birds@2"
    assert registry.history()[-1].source == "birds@1"


def test_an_alias_added_by_hand_is_refused(registry: Registry) -> None:
    edit_manifest(registry, lambda fields: fields["aliases"].update(canary="birds@1"))
    with refused(ErrorCode.MODEL_HISTORY_MISMATCH):
        registry.resolve("canary")


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "other"},
        {"input": {"height": 224, "width": 224, "scale": "symmetric"}},
        {"labels": {"path": "labels.csv", "sha256": "0" * 64}},
        {"output": "logits"},
        {"files": []},
    ],
)
def test_a_version_edited_by_hand_is_refused(registry: Registry, change: dict[str, object]) -> None:
    edit_manifest(registry, lambda fields: fields["models"]["birds"]["1"].update(change))
    with refused(ErrorCode.MODEL_HISTORY_MISMATCH):
        registry.verify_files(registry.resolve("birds@1"))


def test_a_shipped_version_with_another_label_map_is_refused(registry: Registry) -> None:
    with refused(ErrorCode.MODEL_MANIFEST_INVALID) as caught:
        install(registry, "aiy-birds-v1", "1")
    assert "ships with birdcli" in caught.value.message


def test_a_proof_is_withdrawn_for_one_kind_of_host(registry: Registry) -> None:
    other = msgspec.structs.replace(EVIDENCE, host="aarch64")
    for evidence in (EVIDENCE, other):
        registry.keep_proof(registry.resolve("birds@1"), evidence, {}, who="me")
    registry.withdraw_evidence("birds@1", host=EVIDENCE.host, installed=EVIDENCE.libraries)
    registry.withdraw_evidence("birds@404", host=EVIDENCE.host, installed={})
    assert registry.resolve("birds@1").evidence == (other,)


def test_what_an_alias_points_to_cannot_be_removed(registry: Registry) -> None:
    promote(registry, "1", "canary")
    with refused(ErrorCode.MODEL_IN_USE) as caught:
        registry.remove("birds@1", note="", who="me")
    assert "canary" in caught.value.message
    registry.remove_alias("canary", note="", who="me")
    registry.remove("birds@1", note="", who="me")
    assert registry.load().version("birds@1") is None


def test_a_removed_version_leaves_no_file_and_may_come_back_as_another(registry: Registry) -> None:
    registry.remove("birds@1", note="", who="me")
    assert not (registry.folder / "models" / "birds" / "1").exists()
    install(registry, "birds", "1", weights=b"other")
    registry.verify_files(registry.resolve("birds@1"))


@pytest.mark.parametrize("model", ["birds@9", "aiy-birds-v1@1"])
def test_what_is_not_installed_cannot_be_removed(registry: Registry, model: str) -> None:
    with refused(ErrorCode.MODEL_NOT_INSTALLED):
        registry.remove(model, note="", who="me")


def test_an_alias_that_is_not_there_cannot_be_removed(registry: Registry) -> None:
    with refused(ErrorCode.MODEL_NOT_FOUND):
        registry.remove_alias("production", note="", who="me")


def test_pruning_keeps_what_an_alias_needs_or_could_go_back_to(registry: Registry) -> None:
    promote(registry, "1")
    promote(registry, "2")
    planned = registry.plan_prune(default="")
    assert [version.id for version in planned.removed] == ["birds@3"]
    assert planned.kept == {"birds@1": ("production",), "birds@2": ("production",)}
    assert registry.load().version("birds@3") is not None
    registry.prune(default="", note="", who="me")
    assert registry.load().version("birds@3") is None
    assert roll_back(registry) == "birds@1"


def test_pruning_keeps_what_answers_while_nothing_is_promoted(registry: Registry) -> None:
    planned = registry.plan_prune(default="birds@2")
    assert {version.id for version in planned.removed} == {"birds@1", "birds@3"}
    promote(registry, "1")
    planned = registry.plan_prune(default="birds@2")
    assert {version.id for version in planned.removed} == {"birds@2", "birds@3"}


def test_history_of_before_derived_digests_still_counts(registry: Registry) -> None:
    """Entries of earlier versions have none; their versions are not refused for that."""
    path = registry.folder / "history.jsonl"
    data = re.sub(rb'"derived":"[0-9a-f]*"', b'"derived":""', path.read_bytes())
    path.write_bytes(data)
    edit_manifest(
        registry,
        lambda fields: fields["history"].update(bytes=len(data), sha256=sha256_of_bytes(data)),
    )
    registry.verify_files(registry.resolve("birds@1"))
    assert registry.problems() == ()


def test_a_wait_for_another_process_is_told(
    registry: Registry, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    mocker.patch("birdcli.registry.locking._SILENT_S", 0.01)
    waiting = open_registry(registry.folder.parent, lock_timeout_s=0.05)
    with registry._locked(), refused(ErrorCode.MODEL_LOCKED):
        waiting.remove("birds@1", note="", who="me")
    assert "waiting for another process" in caplog.text


def test_pruning_removes_what_a_rollback_left(registry: Registry) -> None:
    promote(registry, "1")
    promote(registry, "2")
    roll_back(registry)
    assert {v.id for v in registry.prune(default="", note="", who="me").removed} == {
        "birds@2",
        "birds@3",
    }
    assert registry.prune(default="", note="", who="me").removed == ()


def test_the_next_change_sweeps_what_dead_processes_left(registry: Registry) -> None:
    models = registry.folder / "models"
    (models / ".staging-dead").mkdir()
    (models / ".staging-dead" / "half").write_bytes(b"x")
    (models / "never" / "1" / "abc").mkdir(parents=True)
    kept = registry.version_folder(registry.resolve("birds@1"))
    (kept.parent / "older").mkdir()
    (registry.folder / ".manifest.json.dead.tmp").write_bytes(b"{")
    promote(registry, "1")
    assert sorted(path.name for path in models.iterdir()) == ["birds"]
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert find_litter(registry.folder.parent) == []


def test_the_staging_of_a_living_process_is_not_swept(registry: Registry) -> None:
    with registry.staging() as staged:
        (staged / "half").write_bytes(b"x")
        promote(registry, "1")
        assert (staged / "half").read_bytes() == b"x"
    assert not staged.exists()


def test_the_disk_use_of_a_version_is_told(registry: Registry) -> None:
    version = registry.resolve("birds@1")
    folder = registry.version_folder(version)
    on_disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert registry.disk_bytes(version) == on_disk > 0
    assert registry.disk_bytes(registry.resolve("aiy-birds-v1")) == 0


def test_a_lock_whose_holder_was_killed_blocks_nobody(registry: Registry) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from scripts.registry_proof.placeholder import open_registry\n"
        "with open_registry(Path(sys.argv[1]))._locked():\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    home = str(registry.folder.parent)
    command = [sys.executable, "-c", code, home]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with refused(ErrorCode.MODEL_LOCKED):
            promote(open_registry(registry.folder.parent, lock_timeout_s=0.1), "1")
        holder.kill()
    promote(registry, "1")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_others_may_read_what_one_user_installed(registry: Registry) -> None:
    umask = os.umask(0o022)
    try:
        promote(registry, "1")
    finally:
        os.umask(umask)
    for name in ("manifest.json", "history.jsonl"):
        assert (registry.folder / name).stat().st_mode & 0o777 == 0o644
