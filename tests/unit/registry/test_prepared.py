"""Graphs that are prepared after their version was installed, by several processes at once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import msgspec
import pytest

from birdcli.errors import ErrorCode
from birdcli.files import atomic_writer
from birdcli.hashing import sha256_of_bytes
from birdcli.registry.history import Action
from scripts.registry_proof.placeholder import EVIDENCE, open_registry, stage
from tests.unit.registry.tools import edit_manifest, promote, refused

if TYPE_CHECKING:
    from birdcli.model_version import ModelVersion
    from birdcli.registry import Registry

FIRST = "prepared/graph.pb"  # what the placeholder was installed with


def prepare(registry: Registry, *names: str, content: bytes = b"made") -> ModelVersion:
    made = {f"prepared/{name}": content for name in names}
    return registry.keep_proof(registry.resolve("birds@1"), None, made, who="me")


def listed(registry: Registry) -> list[str]:
    return [entry.path for entry in registry.resolve("birds@1").prepared]


def stored(registry: Registry) -> set[str]:
    folder = registry.version_folder(registry.resolve("birds@1"))
    return {f"prepared/{path.name}" for path in (folder / "prepared").iterdir()}


def test_a_prepared_graph_is_stored_listed_and_on_record(registry: Registry) -> None:
    after = prepare(registry, "a.xml", "a.bin")
    assert registry.resolve("birds@1") == after
    assert listed(registry) == [FIRST, "prepared/a.xml", "prepared/a.bin"]
    path = registry.version_folder(after) / "prepared" / "a.xml"
    assert path.read_bytes() == b"made"
    registry.verify_files(after)
    entry = registry.history()[-1]
    assert (entry.action, entry.model, entry.who) == (Action.PREPARE, "birds@1", "me")
    assert entry.derived == after.derived_digest
    assert entry.digest == registry.resolve("birds@1").digest


def test_what_is_prepared_without_a_proof_proves_nothing(registry: Registry) -> None:
    prepare(registry, "a")
    assert registry.resolve("birds@1").evidence == ()


def test_a_proof_without_graphs_changes_no_bytes_and_is_not_on_record(registry: Registry) -> None:
    before = registry.history()
    registry.keep_proof(registry.resolve("birds@1"), EVIDENCE, {}, who="me")
    assert registry.history() == before
    assert listed(registry) == [FIRST]


def test_a_listed_graph_is_never_replaced_while_somebody_may_read_it(registry: Registry) -> None:
    prepare(registry, "a", content=b"first")
    after = prepare(registry, "a", content=b"second")
    assert (registry.version_folder(after) / "prepared" / "a").read_bytes() == b"first"
    registry.verify_files(after)


def test_the_oldest_graphs_make_room(registry: Registry) -> None:
    prepare(registry, *"abcdefg")
    assert len(listed(registry)) == 8
    prepare(registry, "h", "i")
    assert listed(registry) == [f"prepared/{name}" for name in "bcdefghi"]
    assert stored(registry) == set(listed(registry))
    registry.verify_files(registry.resolve("birds@1"))


def test_the_other_derived_graphs_of_a_version_stay_when_it_is_proven_late(
    registry: Registry,
) -> None:
    """Somebody loads a model for minutes; meanwhile another process prepares a graph for it."""
    early = registry.resolve("birds@1")
    prepare(registry, "theirs")
    registry.keep_proof(early, EVIDENCE, {"prepared/ours": b"ours"}, who="me")
    assert listed(registry) == [FIRST, "prepared/theirs", "prepared/ours"]
    registry.promote(early, EVIDENCE, alias="canary", note="", who="me")
    assert registry.alias_target("canary") == "birds@1"
    registry.verify_files(registry.resolve("birds@1"))


def test_a_version_without_graphs_gets_its_first(registry: Registry) -> None:
    with registry.staging() as staged:
        model = stage(staged, "birds", "9").with_prepared(())
        shutil.rmtree(staged / "prepared")
        version = registry.install(model, staged, who="me")
    registry.keep_proof(version, None, {"prepared/a": b"made"}, who="me")
    registry.verify_files(registry.resolve("birds@9"))
    assert [entry.path for entry in registry.resolve("birds@9").prepared] == ["prepared/a"]


def test_graphs_that_cannot_all_be_written_are_not_written_at_all(registry: Registry) -> None:
    before = registry.resolve("birds@1")
    blocked = registry.version_folder(before) / "prepared" / "b"
    blocked.mkdir()
    with refused(ErrorCode.MODEL_UNWRITABLE):
        prepare(registry, "a", "b")
    blocked.rmdir()
    assert stored(registry) == {FIRST}
    assert registry.resolve("birds@1") == before


def test_other_bytes_than_were_proven_get_no_graphs(registry: Registry) -> None:
    proven = registry.resolve("birds@1")
    other = msgspec.structs.replace(proven, signature="other")
    with refused(ErrorCode.MODEL_LOCKED):
        registry.keep_proof(other, EVIDENCE, {"prepared/a": b"made"}, who="me")
    assert stored(registry) == {FIRST}


def test_a_file_that_is_not_listed_is_ignored_and_swept_by_the_next_change(
    registry: Registry,
) -> None:
    """A process died between writing a graph and listing it."""
    version = registry.resolve("birds@1")
    folder = registry.version_folder(version) / "prepared"
    (folder / "left.pb").write_bytes(b"half")
    registry.verify_files(version)
    promote(registry, "2")
    assert stored(registry) == {FIRST}


def plant(folder: Path, what: str) -> None:
    match what:
        case "link":
            (folder / "planted").symlink_to("/etc/hostname")
        case "dangling link":
            (folder / "planted").symlink_to("nowhere")
        case "link to a folder":
            (folder / "planted").symlink_to("/etc")
        case "file in a folder":
            (folder / "deep").mkdir()
            (folder / "deep" / "planted").write_bytes(b"x")
        case "fifo":
            os.mkfifo(folder / "planted")


@pytest.mark.parametrize(
    "what", ["link", "dangling link", "link to a folder", "file in a folder", "fifo"]
)
def test_what_is_no_file_does_not_pass_as_a_graph_on_its_way(registry: Registry, what: str) -> None:
    version = registry.resolve("birds@1")
    plant(registry.version_folder(version) / "prepared", what)
    with refused(ErrorCode.MODEL_SHA256_MISMATCH):
        registry.verify_files(version)


@pytest.mark.parametrize("damage", ["changed", "link to the same bytes"])
def test_a_listed_graph_must_be_what_is_listed(
    registry: Registry, tmp_path: Path, damage: str
) -> None:
    path = registry.version_folder(prepare(registry, "a")) / "prepared" / "a"
    if damage == "changed":
        path.write_bytes(b"MADE")
    else:
        path.unlink()
    if damage.startswith("link"):
        (tmp_path / "same").write_bytes(b"made")
        path.symlink_to(tmp_path / "same")
    with refused(ErrorCode.MODEL_SHA256_MISMATCH) as caught:
        registry.verify_files(registry.resolve("birds@1"))
    assert "prepared" in caught.value.message


def test_a_graph_that_was_listed_by_hand_is_refused(registry: Registry) -> None:
    """Its digest fits the manifest, but the history has never heard of it."""
    folder = registry.version_folder(registry.resolve("birds@1"))
    (folder / "prepared" / "evil.pb").write_bytes(b"evil")
    described = {"path": "prepared/evil.pb", "bytes": 4, "sha256": sha256_of_bytes(b"evil")}
    edit_manifest(
        registry, lambda fields: fields["models"]["birds"]["1"]["prepared"].append(described)
    )
    with refused(ErrorCode.MODEL_HISTORY_MISMATCH):
        registry.verify_files(registry.resolve("birds@1"))


def _prepare_some(home: str, worker: int) -> None:
    registry = open_registry(Path(home))
    for number in range(3):
        prepare(registry, f"{worker}-{number}")


def test_processes_that_prepare_at_once_lose_no_graph(registry: Registry, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_prepare_some, args=(str(tmp_path), n)) for n in range(2)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
        assert process.exitcode == 0
    wanted = {f"prepared/{worker}-{number}" for worker in range(2) for number in range(3)}
    assert set(listed(registry)) == {FIRST, *wanted}
    registry.verify_files(registry.resolve("birds@1"))


def test_a_version_verifies_while_another_process_writes_a_graph(registry: Registry) -> None:
    version = registry.resolve("birds@1")
    target = registry.version_folder(version) / "prepared" / "on-its-way"
    done = Event()

    def write() -> None:
        while not done.is_set():
            with atomic_writer(target) as out:
                out.write(b"x")
            target.unlink()

    writer = Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            registry.verify_files(version)
    finally:
        done.set()
        writer.join()


def test_a_graph_that_is_missing_is_made_anew(registry: Registry) -> None:
    version = prepare(registry, "a")
    path = registry.version_folder(version) / "prepared" / "a"
    path.unlink()
    registry.verify_files(version)
    after = prepare(registry, "a", content=b"made again")
    assert path.read_bytes() == b"made again"
    registry.verify_files(after)


def test_a_link_in_place_of_the_folder_is_never_followed(
    registry: Registry, tmp_path: Path
) -> None:
    folder = registry.version_folder(registry.resolve("birds@1")) / "prepared"
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a.txt").write_text("precious")
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path / "precious", target_is_directory=True)
    promote(registry, "2")  # any change sweeps
    with refused(ErrorCode.MODEL_UNWRITABLE):
        prepare(registry, "b")
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["a.txt"]


def test_a_graph_that_comes_between_two_looks_is_no_edited_manifest(registry: Registry) -> None:
    before = registry.resolve("birds@1")
    prepare(registry, "a")
    registry.verify_files(before)
