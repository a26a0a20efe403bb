"""Installing models for real: tiny SavedModels, a real hub on loopback, the real AIY module."""

from __future__ import annotations

import io
import itertools
import json
import math
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from birdcli.cli.default_model import choose_model
from birdcli.cli.installing import install_tools, prove
from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import (
    InputSpec,
    LabelsSpec,
    ModelFormat,
    ModelVersion,
    NamesSpec,
    OutputKind,
    Scale,
)
from birdcli.models.engines import EngineName
from birdcli.models.install import SourceOverrides, install
from birdcli.models.load import load_labels, model_decoder
from birdcli.models.precision import Precision
from birdcli.models.variants import BATCH_SIZE
from birdcli.registry import Registry, load_builtin_manifest
from tests.hub_server import HubServer
from tests.loading import fastest_backend, load, needs_openvino
from tests.real_photos import labelled_originals
from tests.tiny_model import LABELS_CSV, SIZE, save_labels, save_tiny_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from birdcli.labels import LabelSet
    from birdcli.manifest import Manifest
    from birdcli.models.load import LoadedModel

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]
QUANTUM_NAT = 0.08245


def registry_at(home: Path, declared: Manifest | None = None) -> Registry:
    return Registry(home, declared or load_builtin_manifest())


def tiny_version(source: str, labels: str | LabelsSpec, **changes: object) -> ModelVersion:
    version = ModelVersion(
        name="tiny",
        version="1",
        format=ModelFormat.SAVED_MODEL,
        sources=(source,),
        labels=labels
        if isinstance(labels, LabelsSpec)
        else LabelsSpec(path="labels.csv", source=labels, background_id=11),
        input=InputSpec(height=SIZE, width=SIZE),
        signature="serving_default",
    )
    return msgspec.structs.replace(version, **changes)


def pack(folder: Path, archive: Path, *, top: str = "", mtime: int = 0) -> Path:
    def normal(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = mtime
        return member

    with tarfile.open(archive, "w:gz", compresslevel=1 + mtime % 9) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, top + str(path.relative_to(folder)), recursive=False, filter=normal)
    return archive


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_labels(folder / "labels.csv")
    save_tiny_model(folder / "model")
    return folder


def refused(
    home: Path, version: ModelVersion, overrides: SourceOverrides | None = None
) -> ModelError:
    registry = registry_at(home)
    with pytest.raises(ModelError) as caught:
        install(
            registry,
            version,
            overrides or SourceOverrides(),
            install_tools(io.StringIO(), name="tiny@1"),
        )
    assert registry.load() == load_builtin_manifest()
    models = home / "registry" / "models"
    assert not models.exists() or list(models.iterdir()) == []
    return caught.value


def test_a_folder_becomes_a_proven_version(tiny: Path, tmp_path: Path) -> None:
    registry, told = registry_at(tmp_path), io.StringIO()
    declared = tiny_version(str(tiny / "model"), str(tiny / "labels.csv"))
    installed = install(registry, declared, SourceOverrides(), install_tools(told, name="tiny@1"))
    assert registry.resolve("tiny@1") == installed
    assert installed.output is OutputKind.PROBABILITIES
    assert [proof.backend for proof in installed.evidence] == [fastest_backend()]
    registry.verify_files(installed)
    again, evidence = prove(registry, installed, io.StringIO())
    assert again == installed.with_evidence(evidence)
    assert evidence.deviation < 0.21
    labels = load_labels(registry.version_folder(installed), installed)
    assert labels.labels[11] == "background"
    assert labels.common_names == (None,) * 12


@pytest.mark.parametrize("top", ["", "my-model/"])
def test_an_archive_with_or_without_a_top_folder_gives_the_same_files(
    tiny: Path, tmp_path: Path, top: str
) -> None:
    archive = pack(tiny / "model", tmp_path / "model.tar.gz", top=top)
    registry = registry_at(tmp_path)
    version = tiny_version(str(archive), str(tiny / "labels.csv"))
    installed = install(
        registry, version, SourceOverrides(), install_tools(io.StringIO(), name="tiny@1")
    )
    assert installed.files is not None
    assert "module/saved_model.pb" in {entry.path for entry in installed.files}


def test_logits_are_detected_and_served_as_probabilities(tiny: Path, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "logits", logits=True)
    registry = registry_at(tmp_path)
    version = tiny_version(str(tmp_path / "logits"), str(tiny / "labels.csv"))
    installed = install(
        registry, version, SourceOverrides(), install_tools(io.StringIO(), name="tiny@1")
    )
    assert installed.output is OutputKind.LOGITS
    classifier = load(registry, installed, precision=Precision.FLOAT32).classifier
    scores = classifier.classify(np.zeros((2, SIZE, SIZE, 3), np.uint8))
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS_CSV.replace("\n0,", "\n12,"), "class id 0 is missing"),
        (LABELS_CSV + "\n12,One too many", "label 'One too many' (id 12) has no class"),
        (LABELS_CSV.replace("\n0,Species number0", ""), "class id 0 is missing"),
        (LABELS_CSV.replace("\n1,", "\n0,"), "stands twice"),
    ],
)
def test_a_label_map_that_does_not_fit_is_refused(
    tiny: Path, tmp_path: Path, labels: str, words: str
) -> None:
    save_labels(tmp_path / "labels.csv", labels)
    version = tiny_version(str(tiny / "model"), str(tmp_path / "labels.csv"))
    error = refused(tmp_path / "home", version)
    assert error.code is ErrorCode.MODEL_LABELS_INVALID
    assert words in error.message


def test_a_background_beyond_the_classes_is_refused(tiny: Path, tmp_path: Path) -> None:
    labels = LabelsSpec(path="labels.csv", source=str(tiny / "labels.csv"), background_id=12)
    error = refused(tmp_path, tiny_version(str(tiny / "model"), labels))
    assert error.code is ErrorCode.MODEL_LABELS_INVALID


def test_a_pinned_digest_is_demanded_of_labels_archive_and_files(
    tiny: Path, tmp_path: Path
) -> None:
    pinned = LabelsSpec(path="labels.csv", source=str(tiny / "labels.csv"), sha256="0" * 64)
    model = str(tiny / "model")
    error = refused(tmp_path / "1", tiny_version(model, pinned))
    assert error.code is ErrorCode.MODEL_SHA256_MISMATCH
    archive = pack(tiny / "model", tmp_path / "model.tar.gz")
    labels = str(tiny / "labels.csv")
    wrong = SourceOverrides(model=str(archive), sha256="0" * 64)
    error = refused(tmp_path / "2", tiny_version(model, labels), wrong)
    assert error.code is ErrorCode.MODEL_SHA256_MISMATCH
    error = refused(tmp_path / "3", tiny_version(model, labels, files=()))
    assert error.code is ErrorCode.MODEL_SHA256_MISMATCH
    error = refused(tmp_path / "4", tiny_version(model, labels), SourceOverrides(sha256="0" * 64))
    assert error.code is ErrorCode.MODEL_SOURCE_UNREADABLE


@pytest.mark.parametrize("missing", ["model", "labels"])
def test_a_source_that_is_not_there_is_named(tiny: Path, tmp_path: Path, missing: str) -> None:
    paths = {"model": str(tiny / "model"), "labels": str(tiny / "labels.csv")}
    paths[missing] = str(tmp_path / "nowhere")
    error = refused(tmp_path / "home", tiny_version(paths["model"], paths["labels"]))
    assert error.code is ErrorCode.MODEL_SOURCE_UNREADABLE
    assert "nowhere" in error.message


def test_a_link_in_a_folder_is_refused(tiny: Path, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model")
    (tmp_path / "model" / "assets" / "link").symlink_to("/etc/hostname")
    error = refused(
        tmp_path / "home", tiny_version(str(tmp_path / "model"), str(tiny / "labels.csv"))
    )
    assert error.code is ErrorCode.MODEL_ARCHIVE_UNSAFE


def test_a_version_without_a_source_cannot_be_pulled(tmp_path: Path) -> None:
    error = refused(tmp_path, tiny_version("", "", sources=()))
    assert error.code is ErrorCode.MODEL_SOURCE_UNREADABLE


def test_the_hub_delivers_through_its_redirects(tiny: Path, tmp_path: Path) -> None:
    first = pack(tiny / "model", tmp_path / "first.tar.gz").read_bytes()
    other = pack(tiny / "model", tmp_path / "other.tar.gz", mtime=8, top="./").read_bytes()
    assert first != other
    versions = []
    for number, archive in enumerate((first, other)):
        with HubServer(archive, files={"/labels.csv": LABELS_CSV.encode()}) as hub:
            registry = registry_at(tmp_path / str(number))
            version = tiny_version(hub.url, f"{hub.base}/labels.csv")
            versions.append(
                install(
                    registry,
                    version,
                    SourceOverrides(),
                    install_tools(io.StringIO(), name="tiny@1"),
                )
            )
            assert len(hub.requests) >= 4
    assert versions[0].files == versions[1].files
    assert versions[0].digest == versions[1].digest


def test_a_hub_that_wants_a_token_gets_a_hint(tiny: Path, tmp_path: Path) -> None:
    archive = pack(tiny / "model", tmp_path / "model.tar.gz").read_bytes()
    with HubServer(archive, token=("user", "key")) as hub:
        error = refused(tmp_path / "home", tiny_version(hub.url, str(tiny / "labels.csv")))
    assert error.code is ErrorCode.MODEL_DOWNLOAD_FAILED
    assert ".netrc" in error.hint
    assert "--from" in error.hint


def test_names_that_cannot_be_fetched_are_a_warning_and_nothing_worse(
    tiny: Path, tmp_path: Path
) -> None:
    registry, told = registry_at(tmp_path), io.StringIO()
    with HubServer(b"") as hub:
        names = NamesSpec(path="names.txt", source=f"{hub.base}/missing.txt")
        version = tiny_version(str(tiny / "model"), str(tiny / "labels.csv"), names=names)
        installed = install(
            registry, version, SourceOverrides(), install_tools(told, name="tiny@1")
        )
    assert "no English names" in told.getvalue()
    folder = registry.version_folder(installed)
    registry.verify_files(installed)
    assert set(load_labels(folder, installed).common_names) == {None}


def test_names_with_another_digest_are_a_warning_unless_they_were_given(
    tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "names.txt").write_text("Species number0 (Zero)\n")
    names = NamesSpec(path="names.txt", source=str(tmp_path / "names.txt"), sha256="0" * 64)
    version = tiny_version(str(tiny / "model"), str(tiny / "labels.csv"), names=names)
    error = refused(tmp_path / "home", version, SourceOverrides(names=str(tmp_path / "names.txt")))
    assert error.code is ErrorCode.MODEL_SHA256_MISMATCH
    told = io.StringIO()
    install(
        registry_at(tmp_path / "home"),
        version,
        SourceOverrides(),
        install_tools(told, name="tiny@1"),
    )
    assert "no English names" in told.getvalue()


def test_english_names_come_with_their_labels(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Species number0 (Zero)\nSpecies number1 (One)\n")
    names = NamesSpec(path="names.txt", source=str(tmp_path / "names.txt"))
    version = tiny_version(str(tiny / "model"), str(tiny / "labels.csv"), names=names)
    registry = registry_at(tmp_path)
    installed = install(
        registry, version, SourceOverrides(), install_tools(io.StringIO(), name="tiny@1")
    )
    folder = registry.version_folder(installed)
    assert load_labels(folder, installed).common_names[:3] == ("Zero", "One", None)


def test_a_model_that_answers_otherwise_is_not_proven(tiny: Path, tmp_path: Path) -> None:
    """Every digest fits, only the scale is another: running the model is what tells."""
    registry = registry_at(tmp_path)
    version = tiny_version(str(tiny / "model"), str(tiny / "labels.csv"))
    installed = install(
        registry, version, SourceOverrides(), install_tools(io.StringIO(), name="tiny@1")
    )
    changed = msgspec.structs.replace(
        installed, input=msgspec.structs.replace(installed.input, scale=Scale.SYMMETRIC)
    )
    with pytest.raises(ModelError) as caught:
        load(registry, changed, warnings=[])
    assert caught.value.code is ErrorCode.MODEL_GOLDEN_MISMATCH
    assert "nat off" in caught.value.message


def unreachable_default(port: int) -> Manifest:
    builtin = load_builtin_manifest()
    aiy = builtin.version("aiy-birds-v1@1")
    assert aiy is not None
    source = f"http://127.0.0.1:{port}/birds.tar.gz"
    return builtin.with_version(msgspec.structs.replace(aiy, sources=(source,)))


@pytest.fixture
def closed_port() -> Iterator[int]:
    import socket

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


def test_without_a_hub_a_person_gets_the_model_that_needs_none(
    tmp_path: Path, closed_port: int
) -> None:
    registry, told = registry_at(tmp_path, unreachable_default(closed_port)), io.StringIO()
    version = choose_model(registry, None, terminal=True, people=told)
    assert version.id == "imagenet-birds@1"
    assert "hub cannot be reached" in told.getvalue()


def test_without_a_hub_a_program_gets_an_error_with_the_commands_that_help(
    tmp_path: Path, closed_port: int
) -> None:
    registry = registry_at(tmp_path, unreachable_default(closed_port))
    with pytest.raises(ModelError) as caught:
        choose_model(registry, None, terminal=False, people=io.StringIO())
    assert caught.value.code is ErrorCode.MODEL_DOWNLOAD_FAILED
    assert "registry pull aiy-birds-v1@1 --from" in caught.value.hint
    assert "--model imagenet-birds" in caught.value.hint


def test_offline_no_hub_is_asked_and_the_model_that_needs_none_can_be_chosen(
    tmp_path: Path,
) -> None:
    with HubServer(b"") as hub:
        builtin = load_builtin_manifest()
        aiy = builtin.version("aiy-birds-v1@1")
        assert aiy is not None
        declared = builtin.with_version(msgspec.structs.replace(aiy, sources=(hub.url,)))
        registry = registry_at(tmp_path, declared)
        with pytest.raises(ModelError) as caught:
            choose_model(registry, None, terminal=True, people=io.StringIO(), offline=True)
        assert not hub.requests
    assert caught.value.code is ErrorCode.MODEL_NOT_INSTALLED
    assert "registry pull aiy-birds-v1@1" in caught.value.hint
    chosen = choose_model(
        registry, "imagenet-birds", terminal=False, people=io.StringIO(), offline=True
    )
    assert chosen.id == "imagenet-birds@1"


def test_a_hub_that_answers_with_an_error_is_no_reason_for_another_model(tmp_path: Path) -> None:
    with HubServer(b"", token=("user", "key")) as hub:
        builtin = load_builtin_manifest()
        aiy = builtin.version("aiy-birds-v1@1")
        assert aiy is not None
        declared = builtin.with_version(msgspec.structs.replace(aiy, sources=(hub.url,)))
        registry = registry_at(tmp_path, declared)
        with pytest.raises(ModelError) as caught:
            choose_model(registry, None, terminal=True, people=io.StringIO())
    assert caught.value.code is ErrorCode.MODEL_DOWNLOAD_FAILED


@pytest.fixture(scope="module")
def real_registry(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Registry:
    """A registry with the real AIY module, pulled from a copy."""
    registry = registry_at(tmp_path_factory.mktemp("real"))
    folder = test_data / "models" / "aiy-birds-v1"
    overrides = SourceOverrides(
        model=str(folder / "aiy_birds_V1_1.tar.gz"),
        labels=str(folder / "aiy_birds_V1_labelmap.csv"),
        names=str(folder / "inat_bird_labels.txt"),
    )
    install(
        registry,
        registry.resolve("aiy-birds-v1"),
        overrides,
        install_tools(io.StringIO(), name="tiny@1"),
    )
    return registry


@pytest.mark.data
def test_the_real_module_is_installed_proven_and_promoted(real_registry: Registry) -> None:
    version = real_registry.resolve("aiy-birds-v1@1")
    _, evidence = prove(real_registry, version, io.StringIO())
    assert evidence.deviation < 0.21
    real_registry.promote(version, evidence, alias="production", note="", who="me")
    assert real_registry.resolve("production").id == "aiy-birds-v1@1"


PUBLISHED = {
    "Phalacrocorax_varius_varius.jpg": {
        "Phalacrocorax varius varius": 0.8431,
        "Phalacrocorax varius": 0.1165,
        "Microcarbo melanoleucos": 0.0243,
    },
    "Galerida_cristata.jpg": {
        "Galerida cristata": 0.8429,
        "Alauda arvensis": 0.0838,
        "Eremophila alpestris": 0.0190,
    },
    "Erithacus_rubecula.jpg": {
        "Erithacus rubecula": 0.8382,
        "Ixoreus naevius": 0.0031,
        "Setophaga tigrina": 0.0026,
    },
}


@pytest.mark.data
@pytest.mark.parametrize("photo", PUBLISHED)
def test_the_untouched_module_meets_the_published_outputs(
    real_registry: Registry, test_data: Path, photo: str
) -> None:
    """Logits lie on a lattice: gaps within 2 quanta, order strict where ranks are further apart."""
    version = real_registry.resolve("aiy-birds-v1@1")
    published = msgspec.structs.replace(
        version,
        input=msgspec.structs.replace(version.input, preprocessing="squash-bilinear@1"),
    )
    folder = real_registry.version_folder(version)
    labels = load_labels(folder, version)
    classifier = load(real_registry, version, precision=Precision.REFERENCE).classifier
    pixels = model_decoder(published)((test_data / "sample5" / photo).read_bytes())
    scores = classifier.classify(pixels[None])[0]
    best = np.argsort(-scores, kind="stable")[:3]
    found = {labels.labels[i]: float(scores[i]) for i in best}
    expected = PUBLISHED[photo]
    assert set(found) == set(expected)
    for first, second in itertools.pairwise(expected):  # neighbouring ranks
        wanted = math.log(expected[first] / expected[second]) / QUANTUM_NAT
        got = math.log(found[first] / found[second]) / QUANTUM_NAT
        assert abs(got - wanted) <= 2.1, json.dumps(found)
        if wanted > 2.1:
            assert got > 0


@dataclass(frozen=True, slots=True, eq=False)
class Originals:
    """The labelled photos as the model sees them, and what the untouched model calls them."""

    pixels: np.ndarray
    labels: list[str]
    reference: list[str]


def names_of(loaded: LoadedModel, labels: LabelSet, pixels: np.ndarray) -> list[str]:
    """What a model calls pictures, in batches as a run makes them."""
    parts = [
        loaded.classifier.classify(pixels[start : start + BATCH_SIZE]).argmax(axis=1)
        for start in range(0, len(pixels), BATCH_SIZE)
    ]
    return [labels.labels[class_id] for class_id in np.concatenate(parts)]


@pytest.fixture(scope="module")
def originals(real_registry: Registry, test_data: Path) -> Originals:
    version = real_registry.resolve("aiy-birds-v1@1")
    decode = model_decoder(version)
    found = labelled_originals(test_data)
    pixels = np.stack([decode(path.read_bytes()) for path, _ in found])
    labels = load_labels(real_registry.version_folder(version), version)
    reference = load(real_registry, version, precision=Precision.REFERENCE)
    names = names_of(reference, labels, pixels)
    return Originals(pixels, [label for _, label in found], names)


@pytest.mark.data
@pytest.mark.parametrize("precision", [Precision.AUTO, Precision.FLOAT32])
@pytest.mark.parametrize(
    "engine", [EngineName.TENSORFLOW, pytest.param(EngineName.OPENVINO, marks=needs_openvino)]
)
def test_prepared_graphs_name_the_labelled_originals_as_the_untouched_model_does(
    real_registry: Registry, originals: Originals, engine: EngineName, precision: Precision
) -> None:
    """The untouched model gets 46 of 50; fewer than 44 means that something of ours is wrong."""
    version = real_registry.resolve("aiy-birds-v1@1")
    labels = load_labels(real_registry.version_folder(version), version)
    loaded = load(real_registry, version, engine=engine, precision=precision)
    assert loaded.variant.engine is engine
    assert not loaded.variant.reference
    assert not loaded.made
    names = names_of(loaded, labels, originals.pixels)
    others = sum(name != other for name, other in zip(names, originals.reference, strict=True))
    assert others <= 1
    assert sum(name == label for name, label in zip(names, originals.labels, strict=True)) >= 44


@pytest.mark.data
def test_the_untouched_module_names_the_labelled_originals(originals: Originals) -> None:
    rights = zip(originals.reference, originals.labels, strict=True)
    assert sum(name == label for name, label in rights) >= 44
