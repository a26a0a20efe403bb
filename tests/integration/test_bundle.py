"""Exported archives of every kind of engine, and those that somebody has worked on."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.cli.installing import install_tools
from birdcli.errors import ErrorCode, ModelError, OutputError
from birdcli.hashing import sha256_of_bytes
from birdcli.model_version import LabelsSpec, Scale
from birdcli.models.bundle import ENTRY_FILE, Imported, export_version, import_version
from birdcli.models.claims import Claims
from birdcli.models.engines import EngineName, this_machine
from birdcli.models.install import Draft, SourceOverrides, add
from birdcli.registry import Registry, load_builtin_manifest
from tests.loading import fastest_backend, load
from tests.tiny_model import edit_tflite, save_labels, save_tflite, save_tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from birdcli.model_version import ModelVersion

    Files = dict[str, bytes]

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.xdist_group("tensorflow"),
    pytest.mark.skipif(
        importlib.util.find_spec("ai_edge_litert") is None, reason="quick with ai-edge-litert only"
    ),
]
TFLITE = "module/model.tflite"
RESHAPE = 22


def registry_at(home: Path) -> Registry:
    return Registry(home, load_builtin_manifest())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a tiny TFLite version."""
    folder = tmp_path_factory.mktemp("exported")
    source = save_tflite(folder / "m.tflite", dtype="uint8")
    registry = registry_at(folder / "home")
    draft = Draft(
        name="tiny",
        version="1",
        source=str(source),
        labels=LabelsSpec(
            path="labels.csv", source=str(save_labels(folder / "labels.csv")), background_id=11
        ),
        names=None,
        provenance={"run": "17"},
        claims=Claims(),
    )
    version = add(registry, draft, SourceOverrides(), install_tools(io.StringIO(), name="tiny@1"))
    export_version(registry, version, folder / "tiny.tar.gz")
    return folder / "tiny.tar.gz"


def importing(home: Path, archive: Path, warn: Callable[[str], None] = print) -> Imported:
    return import_version(registry_at(home), archive, sha256=None, who="me", threads=1, warn=warn)


def imported(home: Path, archive: Path) -> ModelVersion:
    return importing(home, archive).version


def unpack(archive: Path) -> tuple[Any, Files]:
    """Returns an archive's entry and its files."""
    with tarfile.open(archive) as tar:
        members = {info.name: tar.extractfile(info) for info in tar.getmembers()}
        files = {name: file.read() for name, file in members.items() if file is not None}
    return json.loads(files.pop(ENTRY_FILE)), files


def pack(target: Path, fields: Any, files: Files) -> Path:
    """Writes such an archive."""
    with gzip.open(target, "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for name, data in {ENTRY_FILE: json.dumps(fields).encode(), **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target


def worked_on(archive: Path, target: Path, change: Callable[[Files, Any], None]) -> Path:
    """Repacks an archive after a change of its files and of its entry, digests made to fit."""
    fields, files = unpack(archive)
    entry = fields["models"]["tiny"]["1"]
    change(files, entry)
    for described in (*entry["files"], entry["golden"], entry["labels"]):
        if described["path"] in files:
            described["sha256"] = sha256_of_bytes(files[described["path"]])
            if "bytes" in described:
                described["bytes"] = len(files[described["path"]])
    return pack(target, fields, files)


def refusal(home: Path, archive: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        imported(home, archive)
    assert registry_at(home).load() == load_builtin_manifest()
    assert list((home / "registry" / "models").iterdir()) == []
    return caught.value


def test_a_tflite_version_moves_with_its_proof_and_provenance(
    exported: Path, tmp_path: Path
) -> None:
    version = imported(tmp_path, exported)
    assert version.provenance == {"run": "17"}
    assert [proof.backend for proof in version.evidence] == ["litert/uint8"]
    registry_at(tmp_path).verify_files(version)


def test_an_archive_that_was_only_repacked_is_as_good(exported: Path, tmp_path: Path) -> None:
    again = worked_on(exported, tmp_path / "again.tar.gz", lambda files, entry: None)
    assert imported(tmp_path, again).digest == imported(tmp_path / "other", exported).digest


def test_swapped_labels_are_found_although_every_digest_fits(
    exported: Path, tmp_path: Path
) -> None:
    def swap(files: Files, entry: Any) -> None:
        for one, other in ((b"number0", b"number1"), (b"number2", b"number3")):
            text = files["labels.csv"].replace(one + b"\n", b"?\n").replace(other, one)
            files["labels.csv"] = text.replace(b"?", other)

    error = refusal(tmp_path, worked_on(exported, tmp_path / "x.tar.gz", swap))
    assert error.code is ErrorCode.MODEL_GOLDEN_MISMATCH
    assert "golden names" in error.message


def test_a_file_that_would_kill_the_process_is_tried_apart(exported: Path, tmp_path: Path) -> None:
    def unplug(model: Any) -> None:
        codes = [code.builtinCode for code in model.operatorCodes]
        for operator in model.subgraphs[0].operators:
            if codes[operator.opcodeIndex] == RESHAPE:
                operator.inputs = [operator.inputs[0], -1]

    def damage(files: Files, entry: Any) -> None:
        path = tmp_path / "m.tflite"
        path.write_bytes(files[TFLITE])
        edit_tflite(path, unplug)
        files[TFLITE] = path.read_bytes()

    error = refusal(tmp_path, worked_on(exported, tmp_path / "x.tar.gz", damage))
    assert error.code is ErrorCode.MODEL_LOAD_FAILED
    assert "kills the process" in error.message


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            lambda files, entry: files.update(extra=b"x"),
            ErrorCode.MODEL_SHA256_MISMATCH,
        ),
        (lambda files, entry: files.pop(TFLITE), ErrorCode.MODEL_SHA256_MISMATCH),
        (lambda files, entry: files.pop("labels.csv"), ErrorCode.MODEL_SHA256_MISMATCH),
        (
            lambda files, entry: entry["files"][0].update(path="../x"),
            ErrorCode.MODEL_MANIFEST_INVALID,
        ),
        (
            lambda files, entry: files.update({"../x": b"x"}),
            ErrorCode.MODEL_ARCHIVE_UNSAFE,
        ),
        (lambda files, entry: entry.update(files=[]), ErrorCode.MODEL_SHA256_MISMATCH),
        (
            lambda files, entry: (entry.update(files=[]), files.pop(TFLITE)),
            ErrorCode.MODEL_LOAD_FAILED,
        ),
    ],
    ids=[
        "additional",
        "model missing",
        "labels missing",
        "path",
        "member",
        "nothing listed",
        "no model",
    ],
)
def test_an_archive_that_does_not_hold_what_it_says_is_refused(
    exported: Path, tmp_path: Path, change: Callable[[Files, Any], None], code: ErrorCode
) -> None:
    assert refusal(tmp_path, worked_on(exported, tmp_path / "x.tar.gz", change)).code is code


def test_a_name_that_ships_with_birdcli_takes_no_other_model(
    exported: Path, tmp_path: Path
) -> None:
    fields, files = unpack(exported)
    fields["models"] = {"aiy-birds-lite": {"3": fields["models"]["tiny"]["1"]}}
    error = refusal(tmp_path, pack(tmp_path / "x.tar.gz", fields, files))
    assert error.code is ErrorCode.MODEL_MANIFEST_INVALID
    assert "ships with birdcli" in error.message


@pytest.mark.parametrize("versions", [0, 2])
def test_an_archive_of_no_or_two_versions_is_refused(
    exported: Path, tmp_path: Path, versions: int
) -> None:
    fields, files = unpack(exported)
    one = fields["models"]["tiny"]["1"]
    fields["models"] = {"tiny": {str(number): one for number in range(versions)}}
    error = refusal(tmp_path, pack(tmp_path / "x.tar.gz", fields, files))
    assert error.code is ErrorCode.MODEL_MANIFEST_INVALID


def test_a_version_that_is_there_already_is_left_as_it_is(exported: Path, tmp_path: Path) -> None:
    first = imported(tmp_path, exported)
    forged = worked_on(
        exported, tmp_path / "x.tar.gz", lambda files, entry: files.update({"golden.npz": b"x"})
    )
    again = importing(tmp_path, forged)
    assert (again.unchanged, again.version) == (True, first)
    assert len(registry_at(tmp_path).history()) == 1


def test_other_names_for_an_installed_version_are_refused(exported: Path, tmp_path: Path) -> None:
    imported(tmp_path, exported)

    def rename(files: Files, entry: Any) -> None:
        files["names.txt"] = b"Species number3 (WRONG)\n"
        entry["names"] = {"path": "names.txt", "sha256": sha256_of_bytes(files["names.txt"])}

    with pytest.raises(ModelError) as caught:
        imported(tmp_path, worked_on(exported, tmp_path / "x.tar.gz", rename))
    assert caught.value.code is ErrorCode.MODEL_EXISTS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output": "logits"}, "not logits as the manifest says"),
        ({"format": "saved-model"}, "is of the format tflite"),
    ],
)
def test_a_description_that_does_not_fit_the_model_is_refused(
    exported: Path, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    archive = worked_on(exported, tmp_path / "x.tar.gz", lambda files, entry: entry.update(change))
    assert words in refusal(tmp_path, archive).message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    error = refusal(tmp_path, tmp_path / "fifo")
    assert error.code is ErrorCode.MODEL_SOURCE_UNREADABLE


def test_an_export_into_the_registry_is_refused(exported: Path, tmp_path: Path) -> None:
    version = imported(tmp_path, exported)
    registry = registry_at(tmp_path)
    with pytest.raises(OutputError):
        export_version(registry, version, registry.folder / "manifest.json")
    registry.verify_files(version)


@pytest.fixture(scope="module")
def graph_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a version that runs from prepared graphs."""
    folder = tmp_path_factory.mktemp("graph")
    registry = registry_at(folder / "home")
    draft = Draft(
        name="tiny",
        version="1",
        source=str(save_tiny_model(folder / "model")),
        labels=LabelsSpec(path="labels.csv", source=str(save_labels(folder / "labels.csv"))),
        names=None,
        provenance={},
        claims=Claims(scale=Scale.UNIT),
    )
    version = add(registry, draft, SourceOverrides(), install_tools(io.StringIO(), name="tiny@1"))
    export_version(registry, version, folder / "tiny.tar.gz")
    return folder / "tiny.tar.gz"


def test_prepared_graphs_do_not_travel(graph_archive: Path) -> None:
    fields, files = unpack(graph_archive)
    assert registry_at(graph_archive.parent / "home").resolve("tiny@1").prepared
    assert not [name for name in files if name.startswith("prepared/")]
    assert "prepared" not in fields["models"]["tiny"]["1"]


def test_an_import_prepares_the_graphs_for_its_own_machine(
    graph_archive: Path, tmp_path: Path
) -> None:
    version = imported(tmp_path, graph_archive)
    registry = registry_at(tmp_path)
    registry.verify_files(version)
    assert {it.path.split("/")[1].split("-")[0] for it in version.prepared} == engines_here()
    assert [proof.backend for proof in version.evidence] == [fastest_backend()]
    assert load(registry, version).made == {}


def engines_here() -> set[str]:
    """The engines that graphs are prepared for."""
    machine = this_machine()
    return {it for it in ("openvino", "tensorflow") if machine.has(EngineName(it))}


def test_graphs_that_an_archive_brings_never_answer(graph_archive: Path, tmp_path: Path) -> None:
    """Golden outputs cannot tell that a graph has learnt one more thing: those are made here."""
    honest = imported(tmp_path / "honest", graph_archive)
    planted = [*(it.path for it in honest.prepared), "prepared/any.pb"]
    fields, files = unpack(graph_archive)
    entry = fields["models"]["tiny"]["1"]
    entry["prepared"] = []
    for path in planted:
        files[path] = b"evil"
        entry["prepared"].append({"path": path, "bytes": 4, "sha256": sha256_of_bytes(b"evil")})
    version = imported(tmp_path / "here", pack(tmp_path / "x.tar.gz", fields, files))
    assert {it.path for it in version.prepared} == {it.path for it in honest.prepared}
    folder = registry_at(tmp_path / "here").version_folder(version)
    stored = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in stored if path.read_bytes() == b"evil"]


def test_golden_outputs_of_another_model_are_found(
    tmp_path: Path,
) -> None:
    registry = registry_at(tmp_path / "home")
    archives = []
    for name, change in (("right", ""), ("wrong", "bgr")):
        draft = Draft(
            name="tiny",
            version=name,
            source=str(save_tiny_model(tmp_path / name, change=change)),
            labels=LabelsSpec(path="labels.csv", source=str(save_labels(tmp_path / "labels.csv"))),
            names=None,
            provenance={},
            claims=Claims(scale=Scale.UNIT),
        )
        tools = install_tools(io.StringIO(), name=name)
        version = add(registry, draft, SourceOverrides(), tools)
        archives.append(tmp_path / f"{name}.tar.gz")
        export_version(registry, version, archives[-1])
    fields, files = unpack(archives[0])
    _, others = unpack(archives[1])
    entry = fields["models"]["tiny"]["right"]
    files["golden.npz"] = others["golden.npz"]
    entry["golden"]["bytes"] = len(files["golden.npz"])
    entry["golden"]["sha256"] = sha256_of_bytes(files["golden.npz"])
    target = tmp_path / "forged.tar.gz"
    pack(target, fields, files)
    assert imported(tmp_path / "there", archives[0]).id == "tiny@right"
    assert refusal(tmp_path / "other", target).code is ErrorCode.MODEL_GOLDEN_MISMATCH
