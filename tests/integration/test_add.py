"""Adding models of every format for real: what is read, what is demanded, what is refused."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from birdcli.cli.installing import deviation_unit, install_tools, prove
from birdcli.errors import BirdError, ErrorCode, ModelError, UsageError
from birdcli.model_version import (
    InputSpec,
    InputType,
    LabelsSpec,
    ModelFormat,
    ModelVersion,
    NamesSpec,
    OutputKind,
    Scale,
)
from birdcli.models.claims import Claims
from birdcli.models.install import Draft, SourceOverrides, add, install
from birdcli.models.load import load_labels, model_decoder
from birdcli.models.precision import Precision
from birdcli.registry import Registry, load_builtin_manifest
from tests.hub_server import HubServer
from tests.loading import fastest_backend, load
from tests.real_photos import labelled_originals
from tests.tiny_model import (
    LABELS_CSV,
    SIZE,
    edit_tflite,
    save_frozen_graph,
    save_hub_module,
    save_labels,
    save_tflite,
    save_tiny_model,
    save_variant,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]
UNIT = Claims(scale=Scale.UNIT)
FASTEST = fastest_backend()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One classifier in every format, with its label map."""
    folder = tmp_path_factory.mktemp("models")
    save_labels(folder / "labels.csv")
    save_variant(folder / "saved")
    save_hub_module(folder / "hub")
    save_frozen_graph(folder / "frozen.pb")
    save_tflite(folder / "uint8.tflite", dtype="uint8")
    save_tflite(folder / "float32.tflite")
    return folder


def draft(source: str | Path, labels: str | Path, claims: Claims = UNIT) -> Draft:
    return Draft(
        name="tiny",
        version="1",
        source=str(source),
        labels=LabelsSpec(path="labels.csv", source=str(labels), background_id=11),
        names=None,
        provenance={},
        claims=claims,
    )


def registry_at(home: Path) -> Registry:
    return Registry(home, load_builtin_manifest())


def added(
    home: Path, source: str | Path, labels: str | Path, claims: Claims = UNIT
) -> ModelVersion:
    tools = install_tools(io.StringIO(), name="tiny@1")
    return add(registry_at(home), draft(source, labels, claims), SourceOverrides(), tools)


def refused(home: Path, source: str | Path, labels: str | Path, claims: Claims = UNIT) -> BirdError:
    with pytest.raises(BirdError) as caught:
        added(home, source, labels, claims)
    assert registry_at(home).load() == load_builtin_manifest()
    left = home / "registry" / "models"
    assert not left.exists() or list(left.iterdir()) == []
    return caught.value


@pytest.mark.parametrize(
    ("source", "claims", "found", "backend", "output"),
    [
        ("hub", Claims(), ModelFormat.TF1_HUB, FASTEST, OutputKind.PROBABILITIES),
        ("saved", UNIT, ModelFormat.SAVED_MODEL, FASTEST, OutputKind.PROBABILITIES),
        (
            "frozen.pb",
            UNIT,
            ModelFormat.FROZEN_GRAPH,
            FASTEST,
            OutputKind.PROBABILITIES,
        ),
        (
            "uint8.tflite",
            Claims(),
            ModelFormat.TFLITE,
            "litert/uint8",
            OutputKind.PROBABILITIES_8BIT,
        ),
        ("float32.tflite", UNIT, ModelFormat.TFLITE, "litert/float32", OutputKind.PROBABILITIES),
    ],
)
def test_every_format_becomes_a_version_that_proves_itself(
    models: Path,
    tmp_path: Path,
    source: str,
    claims: Claims,
    found: ModelFormat,
    backend: str,
    output: OutputKind,
) -> None:
    version = added(tmp_path, models / source, models / "labels.csv", claims)
    assert (version.format, version.output) == (found, output)
    assert (version.input.height, version.input.width) == (SIZE, SIZE)
    registry = registry_at(tmp_path)
    assert registry.resolve("tiny@1") == version
    again, evidence = prove(registry, version, io.StringIO())
    assert again.prepared == version.prepared
    assert evidence.backend == backend
    assert evidence.deviation < (0.21 if backend.endswith("bfloat16") else 1e-3)
    reference = load(registry, version, precision=Precision.REFERENCE)
    engine = "litert" if found is ModelFormat.TFLITE else "tensorflow"
    assert reference.classifier.backend == f"{engine}/reference"


def test_what_the_scores_of_a_model_are_is_told(models: Path, tmp_path: Path) -> None:
    version = added(tmp_path, models / "uint8.tflite", models / "labels.csv", Claims())
    assert deviation_unit(version) == "(probability)"
    plain = msgspec.structs.replace(version, output=OutputKind.LOGITS)
    assert deviation_unit(plain) == "nat"


def test_a_tflite_file_may_come_alone_in_an_archive_or_bare_from_the_web(
    models: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "lite.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(models / "uint8.tflite", "3.tflite")
    packed = added(tmp_path / "1", archive, models / "labels.csv", Claims())
    content = (models / "uint8.tflite").read_bytes()
    with HubServer(b"", files={"/m": content, "/l.csv": LABELS_CSV.encode()}) as hub:
        secret = hub.base.replace("://", "://ann:hunter2@")
        fetched = added(tmp_path / "2", f"{secret}/m", f"{secret}/l.csv", Claims())
    assert fetched.sources == (f"{hub.base}/m",)
    assert fetched.labels.source == f"{hub.base}/l.csv"
    kept = [path for path in (tmp_path / "2").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]
    assert packed.files == fetched.files
    assert packed.files is not None
    assert [entry.path for entry in packed.files] == ["module/model.tflite"]


def test_a_graph_may_come_bare_from_the_web(models: Path, tmp_path: Path) -> None:
    content = (models / "frozen.pb").read_bytes()
    with HubServer(b"", files={"/frozen.pb": content}) as hub:
        version = added(tmp_path, f"{hub.base}/frozen.pb", models / "labels.csv")
    assert (version.format, version.signature) == (ModelFormat.FROZEN_GRAPH, "pictures,species")


@pytest.mark.parametrize("size", [None, (SIZE, 2 * SIZE)])
def test_an_open_size_is_demanded_and_then_kept(
    models: Path, tmp_path: Path, size: tuple[int, int] | None
) -> None:
    save_variant(tmp_path / "open", shape=(None, None, None, 3))
    claims = Claims(scale=Scale.UNIT, size=size)
    if size is None:
        error = refused(tmp_path / "home", tmp_path / "open", models / "labels.csv", claims)
        assert isinstance(error, UsageError)
        assert "--input-size is required" in error.message
    else:
        version = added(tmp_path / "home", tmp_path / "open", models / "labels.csv", claims)
        assert version.input == InputSpec(height=SIZE, width=2 * SIZE)


def test_a_model_of_whole_numbers_needs_no_scale(models: Path, tmp_path: Path) -> None:
    save_variant(tmp_path / "model", dtype="uint8")
    version = added(tmp_path / "home", tmp_path / "model", models / "labels.csv", Claims())
    assert (version.input.dtype, version.input.scale) == (InputType.UINT8, Scale.NONE)


def test_a_float_model_without_a_scale_is_refused(models: Path, tmp_path: Path) -> None:
    error = refused(tmp_path, models / "saved", models / "labels.csv", Claims())
    assert (error.exit_code, error.code) == (2, ErrorCode.USAGE_BAD_FLAG)


def test_another_format_than_declared_is_refused(models: Path, tmp_path: Path) -> None:
    claims = Claims(format=ModelFormat.SAVED_MODEL, scale=Scale.UNIT)
    error = refused(tmp_path, models / "float32.tflite", models / "labels.csv", claims)
    assert "tflite, not saved-model" in error.message


def test_a_tflite_file_has_no_signature_to_choose(models: Path, tmp_path: Path) -> None:
    claims = Claims(signature="serving_default")
    error = refused(tmp_path, models / "uint8.tflite", models / "labels.csv", claims)
    assert "--signature" in error.message


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_keras_file_is_refused_with_the_way_to_export_it(
    models: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name.endswith("keras"):
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("config.json", "{}")
            packed.writestr("model.weights.h5", "x")
    else:
        path.write_bytes(b"\x89HDF\r\n\x1a\nrest")
    error = refused(tmp_path / "home", path, models / "labels.csv")
    assert error.code is ErrorCode.MODEL_LOAD_FAILED
    assert 'export("folder")' in error.hint


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("nan", ErrorCode.MODEL_GOLDEN_MISMATCH),
        ("inf", ErrorCode.MODEL_GOLDEN_MISMATCH),
        ("file", ErrorCode.MODEL_UNSAFE_OP),
        ("python", ErrorCode.MODEL_UNSAFE_OP),
        ("two", ErrorCode.MODEL_LOAD_FAILED),
    ],
)
def test_a_bad_model_is_refused_and_leaves_nothing(
    models: Path, tmp_path: Path, change: str, code: ErrorCode
) -> None:
    save_tiny_model(tmp_path / "model", change=change)
    error = refused(tmp_path / "home", tmp_path / "model", models / "labels.csv")
    assert (error.exit_code, error.code) == (3, code)


def test_a_sigmoid_for_each_class_is_refused(models: Path, tmp_path: Path) -> None:
    save_variant(tmp_path / "model", scores="sigmoid")
    error = refused(tmp_path / "home", tmp_path / "model", models / "labels.csv")
    assert error.code is ErrorCode.MODEL_LOAD_FAILED
    assert "softmax" in error.hint


def test_a_sigmoid_of_8_bits_is_refused_by_its_operation(models: Path, tmp_path: Path) -> None:
    path = save_tflite(tmp_path / "m.tflite", dtype="uint8", scores="sigmoid")
    error = refused(tmp_path / "home", path, models / "labels.csv", Claims())
    assert "sigmoid" in error.message


def test_unusual_levels_are_warned_of(models: Path, tmp_path: Path) -> None:
    """As of a model that wants a mean and a deviation for each channel."""
    path = tmp_path / "m.tflite"
    shutil.copyfile(models / "uint8.tflite", path)

    def widen(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].quantization.scale = [4.76 / 255]

    told = io.StringIO()
    tools = install_tools(told, name="tiny@1")
    source = draft(edit_tflite(path, widen), models / "labels.csv", Claims())
    add(registry_at(tmp_path), source, SourceOverrides(), tools)
    assert "stand for 0 to 4.76" in told.getvalue()


def test_964_outputs_for_965_labels_are_refused(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model", classes=964)
    rows = "".join(f"{class_id},Species number{class_id}\n" for class_id in range(965))
    save_labels(tmp_path / "labels.csv", f"id,name\n{rows}")
    error = refused(tmp_path / "home", tmp_path / "model", tmp_path / "labels.csv")
    assert error.code is ErrorCode.MODEL_LABELS_INVALID
    assert "names 965 classes, the model has 964" in error.message


def aiy_overrides(test_data: Path, model: str | Path) -> SourceOverrides:
    folder = test_data / "models" / "aiy-birds-v1"
    return SourceOverrides(
        model=str(model),
        labels=str(folder / "aiy_birds_V1_labelmap.csv"),
        names=str(folder / "inat_bird_labels.txt"),
    )


@pytest.mark.data
def test_a_built_in_model_with_red_and_blue_swapped_is_refused(
    tmp_path: Path, test_data: Path
) -> None:
    """It has the right format, size, classes and labels: only the shipped outputs can tell."""
    import tensorflow as tf

    from birdcli.backends.freeze import freeze
    from birdcli.models.archive import unpack_archive
    from birdcli.models.prepared import graph_spec

    declared = load_builtin_manifest().version("aiy-birds-v1@1")
    assert declared is not None
    original = test_data / "models" / "aiy-birds-v1" / "aiy_birds_V1_1.tar.gz"
    unpack_archive(original, tmp_path / "original")
    data = freeze(tmp_path / "original", graph_spec(declared), fold=False).data
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(data)
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [None, 224, 224, 3], name="pictures")
        levels = tf.cast(tf.round(images[..., ::-1] * 255.0), tf.uint8)
        (scores,) = tf.graph_util.import_graph_def(
            graph_def, {"images": levels}, ["scores:0"], name=""
        )
        with v1.Session(graph=graph) as session:
            builder = v1.saved_model.Builder(str(tmp_path / "bgr"))
            signature = v1.saved_model.predict_signature_def(
                {"images": images}, {"default": scores}
            )
            builder.add_meta_graph_and_variables(session, [], {"default": signature})
            builder.save()
    shutil.copyfile(tmp_path / "original" / "tfhub_module.pb", tmp_path / "bgr" / "tfhub_module.pb")
    with pytest.raises(ModelError) as caught:
        install(
            registry_at(tmp_path / "home"),
            declared,
            aiy_overrides(test_data, tmp_path / "bgr"),
            install_tools(io.StringIO(), name=declared.id),
        )
    assert caught.value.code is ErrorCode.MODEL_GOLDEN_MISMATCH
    assert "nat off" in caught.value.message


@pytest.mark.data
def test_the_published_tflite_file_names_the_labelled_originals(
    tmp_path: Path, test_data: Path
) -> None:
    """It gets 46 of 50, as the SavedModel does, and 50 among its best three."""
    registry = registry_at(tmp_path)
    original = test_data / "models" / "aiy-birds-v1" / "aiy_vision_classifier_birds_V1_3.tflite"
    version = install(
        registry,
        registry.resolve("aiy-birds-lite@3"),
        aiy_overrides(test_data, original),
        install_tools(io.StringIO(), name="aiy-birds-lite@3"),
    )
    folder = registry.version_folder(version)
    labels = load_labels(folder, version)
    classifier = load(registry, version).classifier
    decode = model_decoder(version)
    first = among_three = 0
    for path, label in labelled_originals(test_data):
        pixels = decode(path.read_bytes())
        best = np.argsort(-classifier.classify(pixels[None])[0], kind="stable")[:3]
        named = [labels.labels[class_id] for class_id in best]
        first += named[0] == label
        among_three += label in named
    assert first >= 44
    assert among_three >= 48


@pytest.mark.data
def test_another_file_than_the_pinned_one_is_refused(
    models: Path, tmp_path: Path, test_data: Path
) -> None:
    registry = registry_at(tmp_path)
    with pytest.raises(ModelError) as caught:
        install(
            registry,
            registry.resolve("aiy-birds-lite@3"),
            aiy_overrides(test_data, models / "uint8.tflite"),
            install_tools(io.StringIO(), name="aiy-birds-lite@3"),
        )
    assert caught.value.code is ErrorCode.MODEL_SHA256_MISMATCH


def test_paths_and_words_that_are_no_utf8_are_recorded_with_escapes(
    models: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "odd\udcff"
    odd.mkdir()
    model, labels, names = odd / "m.tflite", odd / "labels.csv", odd / "names.txt"
    shutil.copyfile(models / "uint8.tflite", model)
    shutil.copyfile(models / "labels.csv", labels)
    names.write_text("Species number0 (Bird number 0)\n")
    asked = Draft(
        name="tiny",
        version="1",
        source=str(model),
        labels=LabelsSpec(path="labels.csv", source=str(labels), background_id=11),
        names=NamesSpec(path="names.txt", source=str(names)),
        provenance={"k": "\udcff", "\udcfe": "v"},
        claims=Claims(),
    )
    registry = registry_at(tmp_path / "home")
    tools = install_tools(io.StringIO(), name="tiny@1")
    add(registry, asked, SourceOverrides(labels=str(labels), names=str(names)), tools)
    found = registry.resolve("tiny@1")
    assert found.names is not None
    recorded = (*found.sources, found.labels.source, found.names.source)
    assert recorded == tuple(
        f"{tmp_path}/odd\\xff/{name}" for name in ("m.tflite", "labels.csv", "names.txt")
    )
    assert found.provenance == {"k": r"\xff", r"\xfe": "v"}


def test_sources_are_kept_so_that_they_are_found_from_anywhere(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models)
    version = add(
        registry_at(tmp_path),
        draft("uint8.tflite", "labels.csv", Claims()),
        SourceOverrides(),
        install_tools(io.StringIO(), name="tiny@1"),
    )
    assert version.sources == (str(models / "uint8.tflite"),)
    assert version.labels.source == str(models / "labels.csv")


def test_names_of_other_species_are_doubted(models: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Pica pica (Magpie)\n" * 12)
    told = io.StringIO()
    asked = dataclasses.replace(
        draft(models / "uint8.tflite", models / "labels.csv", Claims()),
        names=NamesSpec(path="names.txt", source=str(tmp_path / "names.txt")),
    )
    add(registry_at(tmp_path), asked, SourceOverrides(), install_tools(told, name="tiny@1"))
    assert "not one of the English names" in told.getvalue()
