"""Models as one constant graph: what is folded, what stays, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from birdcli.backends import tensorflow as backend
from birdcli.backends.folding import fold_fake_quantisation, has_fake_quantisation
from birdcli.backends.freeze import freeze, to_bfloat16
from birdcli.backends.frozen_graph import parse_graph
from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import InputSpec, InputType, Layout, OutputKind, Scale
from tests.tiny_model import (
    CLASSES,
    SIZE,
    save_frozen_graph,
    save_hub_module,
    save_quantised_model,
    save_tiny_model,
    save_variant,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]
STEP = 6.0 / 255


def spec(**changes: object) -> backend.GraphSpec:
    fields: dict[str, object] = {
        "model": "tiny@1",
        "input": InputSpec(height=SIZE, width=SIZE),
        "signature": "serving_default",
        "output": OutputKind.PROBABILITIES,
    }
    return backend.GraphSpec(**(fields | changes))  # type: ignore[arg-type]


def answers(data: bytes, pixels: np.ndarray) -> np.ndarray:
    loaded = backend.load_frozen(data, model="m", class_count=CLASSES, backend="b")
    return loaded.classify(pixels)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.RandomState(3).randint(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_quantised_model(tmp_path_factory.mktemp("quantised") / "model")


WEIGHT_KINDS = ("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")


def trained_graph(
    *, weights: str = "FakeQuantWithMinMaxVars", activations: str = "FakeQuantWithMinMaxVars"
) -> Any:
    """A GraphDef of two branches from `x`, each with two layers, and of a node nobody needs."""
    import tensorflow as tf

    v1, q = tf.compat.v1, tf.quantization
    random = np.random.RandomState(4)

    def rounded(value: Any, low: float, high: float, kind: str, name: str) -> Any:
        if kind.endswith("PerChannel"):
            channels = value.shape[-1]
            return q.fake_quant_with_min_max_vars_per_channel(
                value, tf.fill([channels], low), tf.fill([channels], high), name=name
            )
        if kind.endswith("Args"):
            return q.fake_quant_with_min_max_args(value, low, high, name=name)
        return q.fake_quant_with_min_max_vars(value, low, high, name=name)

    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 6], name="x")
        parts = []
        for branch in "ab":
            y = x
            for layer in (1, 2):
                name = f"{branch}{layer}"
                kernel = tf.constant(random.normal(0, 0.7, (6, 6)), tf.float32, name=f"{name}_raw")
                kernel = rounded(kernel, -2.0, 2.0, weights, f"{name}_weights")
                y = tf.nn.relu6(tf.matmul(y, kernel))
                y = rounded(y, 0.0, 6.0, activations, f"{name}_rounded")
            parts.append(y)
        tf.identity(parts[0] + parts[1], name="result")
        tf.identity(tf.exp(parts[0]), name="nobody_asks")
    return graph.as_graph_def()


def run(graph: Any, names: list[str], x: np.ndarray | None = None) -> list[Any]:
    import tensorflow as tf

    with tf.Graph().as_default() as whole:
        tf.graph_util.import_graph_def(graph, name="")
        with tf.compat.v1.Session(graph=whole) as session:
            fed = {} if x is None else {"x:0": x}
            return session.run([f"{name}:0" for name in names], fed)  # type: ignore[no-any-return]


def operations(graph: Any) -> dict[str, str]:
    return {node.name: node.op for node in graph.node}


@pytest.mark.parametrize("kind", [*WEIGHT_KINDS, "FakeQuantWithMinMaxArgs"])
def test_rounded_weights_become_constants_with_the_very_same_values(kind: str) -> None:
    names = [f"{branch}{layer}_weights" for branch in "ab" for layer in (1, 2)]
    graph = trained_graph(weights=kind)
    folded = fold_fake_quantisation(graph, result="result")
    assert {operations(graph)[name] for name in names} == {kind}
    assert {operations(folded)[name] for name in names} == {"Const"}
    for before, after in zip(run(graph, names), run(folded, names), strict=True):
        np.testing.assert_array_equal(after, before)
        assert len(np.unique(after)) > 10


@pytest.mark.parametrize("kind", [*WEIGHT_KINDS, "FakeQuantWithMinMaxArgs"])
def test_only_the_first_activation_of_each_branch_stays_rounded(kind: str) -> None:
    folded = operations(fold_fake_quantisation(trained_graph(activations=kind), result="result"))
    assert [folded[f"{branch}1_rounded"] for branch in "ab"] == [kind, kind]
    assert [folded[f"{branch}2_rounded"] for branch in "ab"] == ["Identity", "Identity"]


def test_what_the_result_does_not_need_is_dropped() -> None:
    graph = trained_graph()
    folded = fold_fake_quantisation(graph, result="result")
    kept = operations(folded)
    assert "nobody_asks" in operations(graph)
    assert "nobody_asks" not in kept
    assert not any(name.endswith("_raw") for name in kept)
    # Limits of the two activations that stay, and of no others.
    assert sum("rounded/" in name for name in kept) == 4


def test_a_folded_graph_answers_within_a_step_of_the_original() -> None:
    graph = trained_graph()
    x = np.random.RandomState(5).uniform(-1, 1, (50, 6)).astype(np.float32)
    (before,), (after,) = (
        run(it, ["result"], x) for it in (graph, fold_fake_quantisation(graph, result="result"))
    )
    assert 0.0 < np.abs(after - before).max() <= STEP * 1.001  # two branches, half a step each


def test_folding_leaves_the_original_as_it_was() -> None:
    graph = trained_graph()
    before = graph.SerializeToString(deterministic=True)
    fold_fake_quantisation(graph, result="result")
    assert graph.SerializeToString(deterministic=True) == before


def test_a_graph_without_fake_quantisation_is_not_folded(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    frozen = freeze(folder, spec(), fold=True)
    assert not frozen.folded
    assert frozen == freeze(folder, spec(), fold=False)
    assert not has_fake_quantisation(parse_graph(frozen.data, model="m"))


def test_a_trained_model_is_folded_when_that_is_wanted(quantised: Path, pixels: np.ndarray) -> None:
    untouched = backend.load_reference(quantised, spec()).classify(pixels)
    folded, whole = (freeze(quantised, spec(), fold=fold) for fold in (True, False))
    assert (folded.folded, whole.folded) == (True, False)
    rounding = [
        [op for op in operations(parse_graph(it.data, model="m")).values() if "FakeQuant" in op]
        for it in (folded, whole)
    ]
    assert [len(found) for found in rounding] == [1, 5]
    np.testing.assert_allclose(answers(whole.data, pixels), untouched, atol=1e-4)
    np.testing.assert_allclose(answers(folded.data, pixels), untouched, atol=0.1)
    assert (answers(folded.data, pixels) != answers(whole.data, pixels)).any()


def test_freezing_twice_gives_the_same_bytes(quantised: Path) -> None:
    assert freeze(quantised, spec(), fold=True) == freeze(quantised, spec(), fold=True)


LEVELS = InputSpec(scale=Scale.NONE)
KINDS: dict[str, tuple[dict[str, object], InputSpec]] = {
    "unit": ({}, InputSpec()),
    "uint8": ({"dtype": "uint8"}, msgspec.structs.replace(LEVELS, dtype=InputType.UINT8)),
    "int8": ({"dtype": "int8"}, msgspec.structs.replace(LEVELS, dtype=InputType.INT8)),
    "NCHW": (
        {"shape": (None, 3, SIZE, SIZE), "nchw": True},
        InputSpec(layout=Layout.NCHW),
    ),
    "one at a time": ({"shape": (1, SIZE, SIZE, 3)}, InputSpec()),
    "any size": ({"shape": (None, None, None, 3)}, InputSpec()),
    "symmetric": ({}, InputSpec(scale=Scale.SYMMETRIC)),
    "0 to 255": ({}, LEVELS),
}


def saved(folder: Path, kind: str) -> tuple[Path, backend.GraphSpec]:
    options, fed = KINDS[kind]
    save_variant(folder, **options)  # type: ignore[arg-type]
    return folder, spec(input=msgspec.structs.replace(fed, height=SIZE, width=SIZE))


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_go_in_whatever_the_model_takes(
    tmp_path: Path, pixels: np.ndarray, kind: str
) -> None:
    folder, graph = saved(tmp_path / "model", kind)
    untouched = backend.load_reference(folder, graph).classify(pixels)
    frozen = freeze(folder, graph, fold=True).data
    placeholder = next(it for it in parse_graph(frozen, model="m").node if it.op == "Placeholder")
    shape = [dim.size for dim in placeholder.attr["shape"].shape.dim]
    assert placeholder.name == "images"
    assert shape == [1 if kind == "one at a time" else -1, SIZE, SIZE, 3]
    np.testing.assert_allclose(answers(frozen, pixels), untouched, atol=1e-4)


@pytest.mark.parametrize("source", ["hub", "graph"])
def test_hub_modules_and_frozen_graphs_are_frozen_too(
    tmp_path: Path, pixels: np.ndarray, source: str
) -> None:
    if source == "hub":
        save_hub_module(tmp_path / "hub")
        folder, graph = tmp_path / "hub", spec(signature="default")
    else:
        save_frozen_graph(tmp_path / backend.GRAPH_FILE)
        folder, graph = tmp_path, spec(signature="pictures,species")
    untouched = backend.load_reference(folder, graph).classify(pixels)
    np.testing.assert_allclose(
        answers(freeze(folder, graph, fold=True).data, pixels), untouched, atol=1e-4
    )


def test_a_model_that_takes_other_pictures_than_the_manifest_says_is_not_frozen(
    tmp_path: Path,
) -> None:
    folder = save_tiny_model(tmp_path / "model")
    with pytest.raises(ModelError) as caught:
        freeze(folder, spec(input=InputSpec(height=224, width=224)), fold=True)
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


def test_a_signature_that_no_tensor_has_is_refused(tmp_path: Path) -> None:
    save_frozen_graph(tmp_path / backend.GRAPH_FILE)
    with pytest.raises(ModelError) as caught:
        freeze(tmp_path, spec(signature="pictures,nothing"), fold=True)
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    assert "nothing" in caught.value.message


@pytest.mark.parametrize("source", ["tiny", "quantised"])
def test_a_graph_in_bfloat16_is_close_and_stores_its_weights_so(
    tmp_path: Path, quantised: Path, pixels: np.ndarray, source: str
) -> None:
    """TensorFlow computes it on any processor, slowly where there is no bfloat16."""
    folder = quantised if source == "quantised" else save_tiny_model(tmp_path / "model")
    exact = freeze(folder, spec(), fold=True).data
    halved = to_bfloat16(exact, model="tiny@1")
    assert len(halved) < 0.8 * len(exact)
    found, expected = answers(halved, pixels), answers(exact, pixels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert (found != expected).any()


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b""])
def test_what_is_no_graph_is_not_made_to_use_bfloat16(data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        to_bfloat16(data, model="tiny@1")
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    assert "tiny@1" in caught.value.message
