"""Prepared graphs of a real, tiny model: found, made, remade, refused, and what runs instead."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from birdcli.backends.frozen_graph import parse_graph
from birdcli.cli.installing import install_tools
from birdcli.errors import ErrorCode, ModelError
from birdcli.host import library_versions
from birdcli.model_version import LabelsSpec, OutputKind, Scale
from birdcli.models.claims import Claims
from birdcli.models.engines import EngineName, Machine, this_machine
from birdcli.models.install import Draft, SourceOverrides, add
from birdcli.models.load import ModelLoader, load_labels, make_evidence
from birdcli.models.precision import Precision
from birdcli.models.prepared import Preparation, parents_key
from birdcli.models.variants import plan_variants
from birdcli.registry import Registry, load_builtin_manifest
from birdcli.registry.history import Action
from tests.loading import load, needs_openvino
from tests.tiny_model import SIZE, save_labels, save_quantised_model, save_tiny_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_mock import MockerFixture

    from birdcli.model_version import FileEntry, ModelVersion
    from birdcli.models.load import LoadedModel
    from birdcli.models.variants import Variant

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]
HALVES = Machine(
    host="x86_64:avx512_bf16", versions=library_versions("tensorflow", "numpy", "pillow")
)


def is_frozen(entry: FileEntry) -> bool:
    """Tells whether a file is the graph that the others are made of."""
    return "/tensorflow-" in entry.path and "-float32-" in entry.path


PLAIN = Machine(host="x86_64:avx2", versions=HALVES.versions)


def added(home: Path, source: Path, *, warnings: io.StringIO | None = None) -> Registry:
    """A registry in which the model is `tiny@1`."""
    registry = Registry(home, load_builtin_manifest())
    draft = Draft(
        name="tiny",
        version="1",
        source=str(source),
        labels=LabelsSpec(path="labels.csv", source=str(save_labels(home / "labels.csv"))),
        names=None,
        provenance={},
        claims=Claims(scale=Scale.UNIT),
    )
    tools = install_tools(warnings or io.StringIO(), name="tiny@1")
    add(registry, draft, SourceOverrides(), tools)
    return registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return added(tmp_path, save_tiny_model(tmp_path / "model"))


def loader(
    registry: Registry,
    machine: Machine,
    *,
    version: ModelVersion | None = None,
    warnings: list[str] | None = None,
) -> ModelLoader:
    version = version or registry.resolve("tiny@1")
    folder = registry.version_folder(version)
    warn = ([] if warnings is None else warnings).append
    return ModelLoader(folder, version, load_labels(folder, version), machine, threads=1, warn=warn)


def run(registry: Registry, machine: Machine, *, warnings: list[str] | None = None) -> LoadedModel:
    plan: Sequence[Variant] = plan_variants(registry.resolve("tiny@1"), machine)
    return loader(registry, machine, warnings=warnings).load(plan)


def upgraded(machine: Machine, **versions: str) -> Machine:
    return Machine(host=machine.host, versions={**machine.versions, **versions})


def test_an_installed_version_has_all_its_graphs(registry: Registry) -> None:
    version = registry.resolve("tiny@1")
    key = parents_key(version)
    assert all(f"-{key}." in entry.path for entry in version.prepared)
    assert sum(is_frozen(entry) for entry in version.prepared) == 1
    assert load(registry, version).made == {}
    for engine in (it for it in ("openvino", "tensorflow") if this_machine().has(EngineName(it))):
        assert load(registry, version, engine=EngineName(engine)).made == {}


@needs_openvino
def test_every_engine_and_precision_reproduces_the_golden_outputs(registry: Registry) -> None:
    version = registry.resolve("tiny@1")
    folder = registry.version_folder(version)
    labels = load_labels(folder, version)
    machine = this_machine()
    plan = plan_variants(version, machine)
    # Only TensorFlow computes in bfloat16 where the processor does not.
    for variant in plan:
        loaded = ModelLoader(folder, version, labels, machine, threads=1, warn=print).load(
            [variant]
        )
        assert loaded.classifier.backend == variant.backend
        assert loaded.report.deviation < (0.21 if variant.precision == "bfloat16" else 1e-3)
    assert len(plan) == (5 if machine.bfloat16 else 3)


def test_graphs_of_another_tensorflow_are_made_anew_and_stored_beside(registry: Registry) -> None:
    other = upgraded(HALVES, tensorflow="99.0")
    before = registry.resolve("tiny@1").prepared
    loaded = run(registry, other)
    assert loaded.variant.backend == "tensorflow/bfloat16"
    assert sorted(loaded.made) == [
        f"prepared/tensorflow-99.0-{precision}-{parents_key(registry.resolve('tiny@1'))}.pb"
        for precision in ("bfloat16", "float32")
    ]
    evidence = make_evidence(other, loaded)
    registry.keep_proof(registry.resolve("tiny@1"), evidence, loaded.made, who="me")
    after = registry.resolve("tiny@1")
    registry.verify_files(after)
    assert after.prepared[: len(before)] == before
    assert registry.history()[-1].action is Action.PREPARE
    assert run(registry, other).made == {}
    assert run(registry, HALVES).made == {}
    assert evidence in after.evidence


@needs_openvino
def test_another_openvino_makes_its_graph_of_the_one_that_is_there(
    registry: Registry, mocker: MockerFixture
) -> None:
    """It needs neither TensorFlow nor the model for it."""
    here = this_machine()
    versions = {name: value for name, value in here.versions.items() if name != "tensorflow"}
    other = upgraded(Machine(host=PLAIN.host, versions=versions), openvino="99.0")
    mocker.patch.dict("sys.modules", {"tensorflow": None})
    loaded = run(registry, other)
    assert loaded.variant.backend == "openvino/float32"
    endings = [path.rpartition(".")[2] for path in loaded.made]
    assert sorted(endings) == ["bin", "xml"]
    assert all("openvino-99.0-" in path for path in loaded.made)


def keys_of(registry: Registry) -> dict[str, ModelVersion]:
    version = registry.resolve("tiny@1")
    other = tuple(msgspec.structs.replace(it, sha256="0" * 64) for it in version.files or ())
    symmetric = msgspec.structs.replace(version.input, scale=Scale.SYMMETRIC)
    return {
        "files": msgspec.structs.replace(version, files=other),
        "input": msgspec.structs.replace(version, input=symmetric),
        "signature": msgspec.structs.replace(version, signature="another"),
        "output": msgspec.structs.replace(version, output=OutputKind.LOGITS),
    }


def test_a_graph_is_looked_up_by_all_that_it_is_made_of(registry: Registry) -> None:
    version = registry.resolve("tiny@1")
    keys = {what: parents_key(other) for what, other in keys_of(registry).items()}
    assert len({parents_key(version), *keys.values()}) == 1 + len(keys)


def test_what_decides_no_score_keeps_the_graphs(registry: Registry) -> None:
    version = registry.resolve("tiny@1")
    renamed = msgspec.structs.replace(
        version, name="other", version="7", licence="MIT", evidence=(), golden=None, sources=()
    )
    assert parents_key(renamed) == parents_key(version)


def test_a_changed_input_is_never_answered_by_the_old_graph(registry: Registry) -> None:
    changed = keys_of(registry)["input"]
    with pytest.raises(ModelError) as caught:
        loader(registry, PLAIN, version=changed).load(plan_variants(changed, PLAIN))
    assert caught.value.code is ErrorCode.MODEL_GOLDEN_MISMATCH


def test_a_stored_graph_that_was_changed_just_now_is_no_reason_for_another_variant(
    registry: Registry,
) -> None:
    version = registry.resolve("tiny@1")
    warnings: list[str] = []
    for entry in version.prepared:
        path = registry.version_folder(version) / entry.path
        path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ModelError) as caught:
        run(registry, PLAIN, warnings=warnings)
    assert caught.value.code is ErrorCode.MODEL_SHA256_MISMATCH
    assert warnings == []


@pytest.fixture
def fragile(tmp_path: Path) -> Registry:
    """A model that bfloat16 makes another one of."""
    return added(tmp_path, save_tiny_model(tmp_path / "model", change="fragile"))


def test_what_bfloat16_would_change_runs_in_float32_with_a_warning(fragile: Registry) -> None:
    warnings: list[str] = []
    version = msgspec.structs.replace(fragile.resolve("tiny@1"), evidence=())
    loaded = loader(fragile, HALVES, version=version, warnings=warnings).load(
        plan_variants(version, HALVES)
    )
    assert loaded.variant.backend == "tensorflow/float32"
    assert loaded.report.deviation < 0.05
    (warning,) = warnings
    assert warning.startswith("tensorflow/bfloat16 is not used: ")
    ((variant, error),) = loaded.rejected
    assert (variant.backend, error.code) == ("tensorflow/bfloat16", ErrorCode.MODEL_GOLDEN_MISMATCH)


def test_a_failure_is_remembered_by_the_proof_of_what_passed(fragile: Registry) -> None:
    loaded = run(fragile, HALVES)
    version = fragile.resolve("tiny@1")
    fragile.keep_proof(version, make_evidence(HALVES, loaded), loaded.made, who="me")
    warnings: list[str] = []
    again = run(fragile, HALVES, warnings=warnings)
    assert again.variant.backend == "tensorflow/float32"
    assert (warnings, again.rejected) == ([], ())


def test_a_precision_that_was_asked_for_and_fails_is_an_error(fragile: Registry) -> None:
    version = fragile.resolve("tiny@1")
    plan = plan_variants(version, HALVES, precision=Precision.BFLOAT16)
    with pytest.raises(ModelError) as caught:
        loader(fragile, HALVES).load(plan)
    assert caught.value.code is ErrorCode.MODEL_GOLDEN_MISMATCH


def frozen_operations(registry: Registry) -> list[str]:
    """The operations of the stored graph that the others are made of."""
    version = registry.resolve("tiny@1")
    (entry,) = [entry for entry in version.prepared if is_frozen(entry)]
    data = (registry.version_folder(version) / entry.path).read_bytes()
    return [node.op for node in parse_graph(data, model="m").node]


def test_a_model_that_needs_its_fake_quantisation_keeps_it(tmp_path: Path) -> None:
    warnings = io.StringIO()
    registry = added(tmp_path, save_quantised_model(tmp_path / "model", bits=2), warnings=warnings)
    told = warnings.getvalue()
    assert "warning: tiny@1 does not keep its answers without its fake quantisation" in told
    assert sum(op.startswith("FakeQuant") for op in frozen_operations(registry)) == 5
    pixels = np.random.RandomState(1).randint(0, 256, (4, SIZE, SIZE, 3)).astype(np.uint8)
    version = registry.resolve("tiny@1")
    prepared, untouched = (
        load(registry, version, engine=EngineName.TENSORFLOW, precision=precision).classifier
        for precision in (Precision.FLOAT32, Precision.REFERENCE)
    )
    np.testing.assert_allclose(prepared.classify(pixels), untouched.classify(pixels), atol=1e-3)


def test_a_model_that_does_not_need_it_loses_it_without_a_word(tmp_path: Path) -> None:
    warnings = io.StringIO()
    registry = added(tmp_path, save_quantised_model(tmp_path / "model"), warnings=warnings)
    assert "warning" not in warnings.getvalue()
    assert sum(op.startswith("FakeQuant") for op in frozen_operations(registry)) == 1


def test_a_module_that_was_changed_just_now_is_not_frozen(registry: Registry) -> None:
    version = registry.resolve("tiny@1").with_prepared(())
    folder = registry.version_folder(version)
    (folder / "module" / "saved_model.pb").write_bytes(b"other")
    preparation = Preparation(folder, version, PLAIN, reproduces=lambda data: True, warn=print)
    with pytest.raises(ModelError) as caught:
        preparation.graph()
    assert caught.value.code is ErrorCode.MODEL_SHA256_MISMATCH
    assert preparation.made == {}


@needs_openvino
def test_a_graph_that_is_gone_is_no_hindrance_for_what_is_made_of_it(registry: Registry) -> None:
    version = registry.resolve("tiny@1")
    folder = registry.version_folder(version)
    for path in [*(folder / "prepared").glob("*.pb"), *(folder / "prepared").glob("*.xml")]:
        path.unlink()
    loaded = load(registry, version, engine=EngineName.OPENVINO)
    assert loaded.classifier.backend.startswith("openvino/")
    assert {path.rpartition(".")[2] for path in loaded.made} == {"pb", "xml", "bin"}


@pytest.mark.skipif(not this_machine().bfloat16, reason="a processor without bfloat16")
def test_a_model_that_cannot_have_bfloat16_is_installed_without_it(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    from tensorflow.python.grappler import tf_optimizer

    optimise = tf_optimizer.OptimizeGraph

    def without_bfloat16(config: Any, *arguments: Any, **settings: Any) -> Any:
        if any("bfloat16" in it for it in config.graph_options.rewrite_options.optimizers):
            raise ValueError("no")
        return optimise(config, *arguments, **settings)

    mocker.patch.object(tf_optimizer, "OptimizeGraph", without_bfloat16)
    registry = added(tmp_path, save_tiny_model(tmp_path / "model"))
    prepared = registry.resolve("tiny@1").prepared
    assert not [
        entry for entry in prepared if "tensorflow" in entry.path and "bfloat16" in entry.path
    ]
