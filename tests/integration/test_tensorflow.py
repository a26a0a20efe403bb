"""The TensorFlow backend over real, tiny SavedModels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from birdcli.backends import tensorflow as backend
from birdcli.backends.freeze import freeze
from birdcli.backends.tensorflow_runtime import configure_threads
from birdcli.errors import ErrorCode, InferenceError, ModelError
from birdcli.model_version import InputSpec, InputType, Layout, OutputKind, Scale
from birdcli.models.outputs import detect_output
from tests.tiny_model import (
    CLASSES,
    SIZE,
    save_frozen_graph,
    save_tiny_model,
    save_variant,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


def spec(**changes: object) -> backend.GraphSpec:
    fields: dict[str, object] = {
        "model": "tiny@1",
        "input": InputSpec(height=SIZE, width=SIZE),
        "signature": "serving_default",
        "output": OutputKind.PROBABILITIES,
    }
    return backend.GraphSpec(**(fields | changes))  # type: ignore[arg-type]


def load_data(data: bytes, *, classes: int = CLASSES) -> backend.TensorFlowClassifier:
    return backend.load_frozen(
        data, model="tiny@1", class_count=classes, backend="tensorflow/float32"
    )


def frozen_of(
    folder: Path, graph: backend.GraphSpec | None = None, *, classes: int = CLASSES
) -> backend.TensorFlowClassifier:
    return load_data(freeze(folder, graph or spec(), fold=True).data, classes=classes)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.RandomState(3).randint(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)


def refusal(code: ErrorCode, folder: Path, **changes: object) -> str:
    with pytest.raises(ModelError) as caught:
        backend.load_reference(folder, spec(**changes))
    assert caught.value.code is code
    return caught.value.message


def test_the_frozen_graph_answers_as_the_untouched_model(tiny: Path, pixels: np.ndarray) -> None:
    reference = backend.load_reference(tiny, spec())
    frozen = frozen_of(tiny)
    assert (reference.class_count, frozen.class_count) == (CLASSES, CLASSES)
    assert (reference.backend, frozen.backend) == ("tensorflow/reference", "tensorflow/float32")
    scores = frozen.classify(pixels)
    assert scores.shape == (5, CLASSES)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, reference.classify(pixels), atol=1e-5)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)


def test_a_batch_answers_as_its_images_alone(tiny: Path, pixels: np.ndarray) -> None:
    frozen = frozen_of(tiny)
    alone = np.concatenate([frozen.classify(pixels[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(frozen.classify(pixels), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "formula"),
    [
        (Scale.UNIT, lambda x: x.astype(np.float32) / np.float32(255.0)),
        (Scale.SYMMETRIC, lambda x: x.astype(np.float32) / np.float32(127.5) - np.float32(1.0)),
        (Scale.NONE, lambda x: x.astype(np.float32)),
    ],
)
def test_levels_are_scaled_as_the_manifest_says(
    tmp_path: Path, scale: Scale, formula: object
) -> None:
    import tensorflow as tf

    class Echo(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
        @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32)])  # type: ignore[untyped-decorator]
        def serve(self, images: object) -> dict[str, object]:
            return {"default": tf.reshape(images[..., 0], [-1, 256])}  # type: ignore[index]

    echo = Echo()
    tf.saved_model.save(echo, str(tmp_path), signatures={"serving_default": echo.serve})
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    wanted = formula(np.arange(256))  # type: ignore[operator]
    graph = spec(input=InputSpec(height=16, width=16, scale=scale))
    reference = backend.load_reference(tmp_path, graph)
    np.testing.assert_array_equal(reference.classify(levels)[0], wanted)
    # TensorFlow multiplies by 1/255 instead, which is one unit in the last place off.
    prepared = frozen_of(tmp_path, graph, classes=256)
    largest = 2**-23 if scale is Scale.SYMMETRIC else 0.0  # of the division, before 1 is taken away
    np.testing.assert_allclose(prepared.classify(levels)[0], wanted, rtol=2**-23, atol=largest)


def test_logits_become_probabilities(tmp_path: Path, pixels: np.ndarray) -> None:
    folder = save_tiny_model(tmp_path / "model", logits=True)
    raw = backend.load_reference(folder, spec()).classify(pixels)
    assert detect_output(raw, model="m", eight_bit=False) is OutputKind.LOGITS
    graph = spec(output=OutputKind.LOGITS)
    reference = backend.load_reference(folder, graph).classify(pixels)
    frozen = frozen_of(folder, graph).classify(pixels)
    assert detect_output(reference, model="m", eight_bit=False) is OutputKind.PROBABILITIES
    np.testing.assert_allclose(frozen, reference, atol=1e-5)


@pytest.mark.parametrize(("change", "op"), [("file", "ReadFile"), ("python", "PyFunc")])
def test_a_graph_that_does_more_than_compute_is_refused_by_name(
    tmp_path: Path, change: str, op: str
) -> None:
    folder = save_tiny_model(tmp_path / "model", change=change)
    assert op in refusal(ErrorCode.MODEL_UNSAFE_OP, folder)


def test_a_prepared_graph_is_held_against_the_list_too() -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.compat.v1.placeholder(tf.float32, [None, 2, 2, 3], name="images")
        tf.identity(tf.io.read_file("/etc/hostname"), name="scores")
    with pytest.raises(ModelError) as caught:
        load_data(graph.as_graph_def().SerializeToString(), classes=1)
    assert caught.value.code is ErrorCode.MODEL_UNSAFE_OP


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b""])
def test_a_broken_prepared_graph_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        load_data(data, classes=1)
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


@pytest.mark.parametrize("content", [b"\xff\xff\xff not a graph", b""])
def test_what_is_no_saved_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    refusal(ErrorCode.MODEL_LOAD_FAILED, tmp_path)


def test_a_signature_that_is_not_there_is_refused_with_those_that_are(tiny: Path) -> None:
    assert "serving_default" in refusal(ErrorCode.MODEL_LOAD_FAILED, tiny, signature="default")


def test_another_input_size_than_the_manifest_says_is_refused(tiny: Path) -> None:
    message = refusal(ErrorCode.MODEL_LOAD_FAILED, tiny, input=InputSpec(height=224, width=224))
    assert "224" in message


def test_two_outputs_without_a_default_are_refused(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model", change="two")
    assert "2 outputs" in refusal(ErrorCode.MODEL_LOAD_FAILED, folder)


def test_missing_variables_are_a_load_failure(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    for path in (folder / "variables").iterdir():
        path.unlink()
    refusal(ErrorCode.MODEL_LOAD_FAILED, folder)


def test_a_batch_of_another_size_is_an_inference_failure(tiny: Path) -> None:
    frozen = frozen_of(tiny)
    with pytest.raises(InferenceError) as caught:
        frozen.classify(np.zeros((1, SIZE + 1, SIZE, 3), np.uint8))
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


def test_without_tensorflow_the_error_says_what_to_do(mocker: MockerFixture) -> None:
    mocker.patch.dict("sys.modules", {"tensorflow": None})
    with pytest.raises(ModelError) as caught:
        configure_threads(1)
    assert caught.value.code is ErrorCode.MODEL_RUNTIME_MISSING


def test_without_tensorflow_hub_the_error_says_what_to_do(
    tiny: Path, mocker: MockerFixture
) -> None:
    mocker.patch.dict("sys.modules", {"tensorflow_hub": None})
    assert "TensorFlow Hub" in refusal(ErrorCode.MODEL_RUNTIME_MISSING, tiny)


def add_node(saved_model: Path, op: str, *, into: str) -> None:
    """Plants an operation of checkpoints, aimed at a path of its own, into a SavedModel."""
    from tensorflow.core.framework import node_def_pb2
    from tensorflow.core.protobuf import saved_model_pb2

    path = saved_model / "saved_model.pb"
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(path.read_bytes())
    meta = proto.meta_graphs[0]
    node = node_def_pb2.NodeDef(name="planted", op=op)
    if into == "main_op":
        meta.graph_def.node.append(node)
        meta.collection_def["saved_model_main_op"].node_list.value.append("planted")
    elif into == "restore":
        meta.graph_def.node.append(node)
        restore = meta.saver_def.restore_op_name
        next(n for n in meta.graph_def.node if n.name == restore).input.append("^planted")
    elif into == "signature":
        meta.graph_def.node.append(node)
        output = meta.signature_def["serving_default"].outputs["scores"].name.split(":")[0]
        next(n for n in meta.graph_def.node if n.name == output).input.append("^planted")
    else:
        for function in meta.graph_def.library.function:
            if "serve" in function.signature.name or "signature" in function.signature.name:
                function.node_def.append(node)
    path.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize("into", ["main_op", "restore", "signature", "function"])
@pytest.mark.parametrize("op", ["SaveV2", "MergeV2Checkpoints"])
def test_operations_of_checkpoints_are_refused_wherever_they_would_run(
    tmp_path: Path, op: str, into: str
) -> None:
    folder = save_tiny_model(tmp_path / "model")
    add_node(folder, op, into=into)
    assert op in refusal(ErrorCode.MODEL_UNSAFE_OP, folder)


KINDS: dict[str, tuple[dict[str, object], InputSpec]] = {
    "uint8": ({"dtype": "uint8"}, InputSpec(dtype=InputType.UINT8, scale=Scale.NONE)),
    "int8": ({"dtype": "int8"}, InputSpec(dtype=InputType.INT8, scale=Scale.NONE)),
    "NCHW": (
        {"shape": (None, 3, SIZE, SIZE), "nchw": True},
        InputSpec(layout=Layout.NCHW),
    ),
    "one at a time": ({"shape": (1, SIZE, SIZE, 3)}, InputSpec()),
    "any size": ({"shape": (None, None, None, 3)}, InputSpec()),
}


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray) -> np.ndarray:
    """What the classifier behind all variants gives."""
    folder = save_variant(tmp_path_factory.mktemp("exact") / "model")
    return backend.load_reference(folder, spec()).classify(pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_gives_the_same_scores(
    tmp_path: Path, pixels: np.ndarray, exact: np.ndarray, kind: str
) -> None:
    options, fed = KINDS[kind]
    folder = save_variant(tmp_path / "model", **options)  # type: ignore[arg-type]
    graph = spec(input=msgspec.structs.replace(fed, height=SIZE, width=SIZE))
    frozen = frozen_of(folder, graph)
    np.testing.assert_allclose(frozen.classify(pixels), exact, atol=1e-5)
    reference = backend.load_reference(folder, graph)
    np.testing.assert_allclose(reference.classify(pixels), exact, atol=1e-5)


def test_pictures_need_not_be_square(tmp_path: Path) -> None:
    folder = save_variant(tmp_path / "model", shape=(None, SIZE, 2 * SIZE, 3))
    graph = spec(input=InputSpec(height=SIZE, width=2 * SIZE))
    frozen = frozen_of(folder, graph)
    assert frozen.classify(np.zeros((2, SIZE, 2 * SIZE, 3), np.uint8)).shape == (2, CLASSES)


def test_a_signature_is_read_without_running_the_model(tmp_path: Path) -> None:
    folder = save_variant(tmp_path / "model", dtype="uint8", names=("predict",))
    signature = backend.inspect_model(folder, asked=None, model="m")
    assert signature.name == "predict"
    assert str(signature.input) == f"uint8 [?, {SIZE}, {SIZE}, 3]"
    assert str(signature.output) == f"float32 [?, {CLASSES}]"


def test_several_signatures_are_listed(tmp_path: Path) -> None:
    folder = save_variant(tmp_path / "model", names=("one", "two"))
    with pytest.raises(ModelError, match="one, two") as caught:
        backend.inspect_model(folder, asked=None, model="m")
    assert "--signature" in caught.value.hint
    assert backend.inspect_model(folder, asked="two", model="m").name == "two"


def frozen_spec(signature: str = "pictures,species") -> backend.GraphSpec:
    return spec(signature=signature)


def test_a_frozen_graph_is_read_and_answers_as_the_original(
    tmp_path: Path, pixels: np.ndarray, exact: np.ndarray
) -> None:
    save_frozen_graph(tmp_path / backend.GRAPH_FILE)
    signature = backend.inspect_model(tmp_path, asked=None, model="m")
    assert signature.name == "pictures,species"
    assert str(signature.input) == f"float32 [?, {SIZE}, {SIZE}, 3]"
    reference = backend.load_reference(tmp_path, frozen_spec())
    np.testing.assert_allclose(reference.classify(pixels), exact, atol=1e-5)
    graph = frozen_spec()
    frozen = frozen_of(tmp_path, graph)
    np.testing.assert_allclose(frozen.classify(pixels), exact, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (None, "input is not clear; it could be: pictures, gain"),
        ("pictures", "INPUT,OUTPUT, not 'pictures'"),
        ("pictures,nothing", "no tensor 'nothing'"),
    ],
)
def test_a_frozen_graph_with_doubtful_ends_is_refused_with_candidates(
    tmp_path: Path, asked: str | None, words: str
) -> None:
    save_frozen_graph(tmp_path / backend.GRAPH_FILE, two_inputs=True)
    with pytest.raises(ModelError, match=words) as caught:
        backend.inspect_model(tmp_path, asked=asked, model="m")
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


def test_a_graph_that_is_not_frozen_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.compat.v1.get_variable("w", [3], use_resource=False)
    (tmp_path / backend.GRAPH_FILE).write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(ModelError, match="has variables"):
        backend.inspect_model(tmp_path, asked=None, model="m")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_frozen_graph_is_refused(tmp_path: Path, share: float) -> None:
    path = save_frozen_graph(tmp_path / backend.GRAPH_FILE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError) as caught:
        backend.load_reference(tmp_path, frozen_spec())
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_saved_model_is_refused(tmp_path: Path, share: float) -> None:
    path = save_variant(tmp_path / "model") / "saved_model.pb"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError) as caught:
        backend.load_reference(tmp_path / "model", spec())
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


def test_truncated_variables_are_refused(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    (data,) = (folder / "variables").glob("*.data-*")
    data.write_bytes(data.read_bytes()[:-400])
    refusal(ErrorCode.MODEL_LOAD_FAILED, folder)


def test_a_function_that_calls_itself_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    folder = save_tiny_model(tmp_path / "model")
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(path.read_bytes())
    function = proto.meta_graphs[0].graph_def.library.function[0]
    node = function.node_def.add(name="again", op="StatefulPartitionedCall")
    node.attr["f"].func.name = function.signature.name
    path.write_bytes(proto.SerializeToString())
    assert "calls itself" in refusal(ErrorCode.MODEL_UNSAFE_OP, folder)


def test_a_loop_is_refused_because_it_may_never_end(tmp_path: Path) -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32)])  # type: ignore[untyped-decorator]
    def serve(images: object) -> object:
        (x,) = tf.while_loop(lambda x: tf.reduce_sum(x) >= 0.0, lambda x: (x + 1.0,), [images])
        return {"scores": tf.reduce_mean(x, [1, 2])}

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    assert "loops" in refusal(ErrorCode.MODEL_UNSAFE_OP, tmp_path)


def add_graph(folder: Path, *tags: str) -> None:
    """Copies the only graph of a SavedModel, with other tags."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(path.read_bytes())
    copied = proto.meta_graphs.add()
    copied.CopyFrom(proto.meta_graphs[0])
    copied.meta_info_def.tags[:] = tags
    path.write_bytes(proto.SerializeToString())


def test_among_several_graphs_the_one_for_serving_is_used(
    tmp_path: Path, pixels: np.ndarray, exact: np.ndarray
) -> None:
    folder = save_variant(tmp_path / "model")
    add_graph(folder, "serve", "train")
    np.testing.assert_allclose(
        backend.load_reference(folder, spec()).classify(pixels), exact, atol=1e-5
    )


def test_two_graphs_for_serving_are_refused(tmp_path: Path) -> None:
    folder = save_variant(tmp_path / "model")
    add_graph(folder, "serve")
    assert "several graphs" in refusal(ErrorCode.MODEL_LOAD_FAILED, folder)


def test_a_type_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    folder = save_variant(tmp_path / "model")
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(path.read_bytes())
    proto.meta_graphs[0].signature_def["serving_default"].inputs["images"].dtype = 9999
    path.write_bytes(proto.SerializeToString())
    assert "is broken" in refusal(ErrorCode.MODEL_LOAD_FAILED, folder)
