"""The LiteRT backend over real, tiny TFLite files."""

from __future__ import annotations

import importlib.util
import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from birdcli.backends import litert
from birdcli.backends import tensorflow as backend
from birdcli.backends.tflite_file import read_tflite
from birdcli.errors import ErrorCode, InferenceError, ModelError
from birdcli.model_version import InputSpec, InputType, Layout, OutputKind, Scale
from tests.tiny_model import CLASSES, SIZE, edit_tflite, save_frozen_graph, save_tflite

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

NO_LITERT = importlib.util.find_spec("ai_edge_litert") is None
RESHAPE, CUSTOM = 22, 32
SPECS = {
    "float32": InputSpec(height=SIZE, width=SIZE),
    "uint8": InputSpec(height=SIZE, width=SIZE, scale=Scale.NONE, dtype=InputType.UINT8),
    "int8": InputSpec(height=SIZE, width=SIZE, scale=Scale.NONE, dtype=InputType.INT8),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One classifier, by the type of its input."""
    folder = tmp_path_factory.mktemp("tflite")
    return {dtype: save_tflite(folder / f"{dtype}.tflite", dtype=dtype) for dtype in SPECS}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.RandomState(3).randint(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray) -> np.ndarray:
    """What TensorFlow gives for the same weights."""
    folder = tmp_path_factory.mktemp("graph")
    save_frozen_graph(folder / backend.GRAPH_FILE)
    spec = backend.GraphSpec(
        model="tiny@1",
        input=SPECS["float32"],
        signature="pictures,species",
        output=OutputKind.PROBABILITIES,
    )
    return backend.load_reference(folder, spec).classify(pixels)


def load(path: Path, dtype: str, *, reference: bool = False, **changes: Any) -> Any:
    arguments: dict[str, Any] = {"spec": SPECS[dtype], "output": OutputKind.PROBABILITIES}
    return litert.load_tflite(
        path.read_bytes(), model="tiny@1", threads=1, reference=reference, **arguments | changes
    )


def refusal(path: Path, code: ErrorCode) -> str:
    with pytest.raises(ModelError) as caught:
        read_tflite(path.read_bytes(), model="tiny@1")
    assert caught.value.code is code
    return caught.value.message


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-4), ("uint8", 0.06), ("int8", 0.06)]
)
def test_every_type_of_input_gives_the_probabilities_of_the_original(
    tiny: dict[str, Path],
    pixels: np.ndarray,
    exact: np.ndarray,
    dtype: str,
    tolerance: float,
    *,
    reference: bool,
) -> None:
    classifier = load(tiny[dtype], dtype, reference=reference)
    assert classifier.backend == ("litert/reference" if reference else f"litert/{dtype}")
    assert classifier.class_count == CLASSES
    scores = classifier.classify(pixels)
    assert (scores.shape, scores.dtype) == ((5, CLASSES), np.float32)
    np.testing.assert_allclose(scores, exact, atol=tolerance)
    np.testing.assert_array_equal(scores.argmax(axis=1), exact.argmax(axis=1))


def test_a_file_says_what_goes_in_and_what_comes_out(tiny: dict[str, Path]) -> None:
    facts = read_tflite(tiny["uint8"].read_bytes(), model="m")
    assert str(facts.signature.input) == f"uint8 [1, {SIZE}, {SIZE}, 3]"
    assert str(facts.signature.output) == f"uint8 [1, {CLASSES}]"
    assert (facts.last_op, facts.eight_bit) == ("SOFTMAX", True)
    assert facts.level_range == pytest.approx((0.0, 1.0), abs=0.01)
    facts = read_tflite(tiny["float32"].read_bytes(), model="m")
    assert (facts.last_op, facts.eight_bit) == ("SOFTMAX", False)
    assert facts.level_range is None


def test_the_engine_without_its_own_package_is_tensorflows(
    tiny: dict[str, Path], pixels: np.ndarray, mocker: MockerFixture
) -> None:
    usual = load(tiny["uint8"], "uint8").classify(pixels)
    hidden = ("ai_edge_litert", "ai_edge_litert.interpreter", "ai_edge_litert.schema_py_generated")
    mocker.patch.dict("sys.modules", dict.fromkeys(hidden))
    np.testing.assert_array_equal(load(tiny["uint8"], "uint8").classify(pixels), usual)


def test_open_sizes_are_set_and_logits_become_probabilities(
    tmp_path: Path, pixels: np.ndarray, exact: np.ndarray
) -> None:
    path = save_tflite(tmp_path / "m.tflite", scores="logits", shape=(None, None, None, 3))
    assert read_tflite(path.read_bytes(), model="m").signature.input.shape == (None, None, None, 3)
    scores = load(path, "float32", output=OutputKind.LOGITS).classify(pixels)
    np.testing.assert_allclose(scores, exact, atol=1e-4)


def test_another_input_than_the_manifest_says_is_refused(tiny: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="the manifest says int8"):
        load(tiny["uint8"], "int8")


def test_a_batch_of_another_size_is_an_inference_failure(tiny: dict[str, Path]) -> None:
    with pytest.raises(InferenceError) as caught:
        load(tiny["uint8"], "uint8").classify(np.zeros((1, SIZE + 1, SIZE, 3), np.uint8))
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


def test_a_file_that_the_engine_refuses_is_a_load_failure(
    tiny: dict[str, Path], tmp_path: Path
) -> None:
    def cut_weights(model: Any) -> None:
        for buffer in model.buffers:
            if buffer.data is not None and len(buffer.data) > 1000:
                buffer.data = buffer.data[:1000]

    path = tmp_path / "m.tflite"
    shutil.copyfile(tiny["uint8"], path)
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load(edit_tflite(path, cut_weights), "uint8")
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


def custom(name: bytes) -> Any:
    def change(model: Any) -> None:
        model.operatorCodes[0].builtinCode = CUSTOM
        model.operatorCodes[0].deprecatedBuiltinCode = CUSTOM
        model.operatorCodes[0].customCode = name

    return change


def builtin(code: int) -> Any:
    def change(model: Any) -> None:
        model.operatorCodes[0].builtinCode = code
        model.operatorCodes[0].deprecatedBuiltinCode = min(code, 127)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (custom(b"FlexReadFile"), "CUSTOM FlexReadFile"),
        (custom(b"MyOperation"), "CUSTOM MyOperation"),
        (builtin(119), "WHILE"),
        (builtin(129), "CALL_ONCE"),
        (builtin(144), "ASSIGN_VARIABLE"),
        (builtin(9999), "number 9999"),
    ],
)
def test_an_operation_that_does_more_than_compute_is_refused_by_name(
    tiny: dict[str, Path], tmp_path: Path, change: Any, words: str
) -> None:
    path = tmp_path / "m.tflite"
    shutil.copyfile(tiny["float32"], path)
    assert words in refusal(edit_tflite(path, change), ErrorCode.MODEL_UNSAFE_OP)


def test_several_inputs_are_refused(tiny: dict[str, Path], tmp_path: Path) -> None:
    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.inputs = [*graph.inputs, graph.inputs[0]]

    path = tmp_path / "m.tflite"
    shutil.copyfile(tiny["float32"], path)
    assert "2 inputs" in refusal(edit_tflite(path, change), ErrorCode.MODEL_LOAD_FAILED)


def test_a_file_without_a_graph_is_refused(tiny: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    shutil.copyfile(tiny["float32"], path)
    edit_tflite(path, lambda model: model.subgraphs.clear())
    refusal(path, ErrorCode.MODEL_LOAD_FAILED)


def test_damaged_files_never_get_further_than_a_refusal(tiny: dict[str, Path]) -> None:
    """Truncations and flips: our own reader, which sees the bytes before any engine does."""
    whole = tiny["uint8"].read_bytes()
    chance = random.Random(7)
    refused = 0
    for _ in range(400):
        data = bytearray(whole[: chance.randrange(len(whole))])
        if chance.random() < 0.7:
            data = bytearray(whole)
            for _ in range(chance.choice((1, 8))):
                data[chance.randrange(2000)] ^= 1 << chance.randrange(8)
        try:
            read_tflite(bytes(data), model="m")
        except ModelError:
            refused += 1
    assert refused > 100


@pytest.mark.skipif(NO_LITERT, reason="a trial is quick only with ai-edge-litert")
@pytest.mark.parametrize(
    ("damage", "words"), [("unplugged", "kills the process"), ("cut", "does not run")]
)
def test_a_file_that_would_kill_its_process_is_refused(
    tiny: dict[str, Path], tmp_path: Path, damage: str, words: str
) -> None:
    path = tmp_path / "m.tflite"
    shutil.copyfile(tiny["uint8"], path)
    litert.try_in_child(path, SPECS["uint8"], model="tiny@1")

    def unplug(model: Any) -> None:
        codes = [code.builtinCode for code in model.operatorCodes]
        for operator in model.subgraphs[0].operators:
            if codes[operator.opcodeIndex] == RESHAPE:
                operator.inputs = [operator.inputs[0], -1]

    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-4000])
    else:
        edit_tflite(path, unplug)
    with pytest.raises(ModelError, match=words) as caught:
        litert.try_in_child(path, SPECS["uint8"], model="tiny@1")
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


def test_a_trial_that_takes_too_long_is_refused(tiny: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match=r"within 0.01 s"):
        litert.try_in_child(tiny["uint8"], SPECS["uint8"], model="m", timeout_s=0.01)


@pytest.mark.skipif(NO_LITERT, reason="without ai-edge-litert TensorFlow is the engine")
def test_its_own_package_runs_without_tensorflow(tiny: dict[str, Path]) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from birdcli.backends.litert import load_tflite\n"
        "from birdcli.model_version import InputSpec, InputType, OutputKind, Scale\n"
        f"spec = InputSpec(height={SIZE}, width={SIZE}, dtype=InputType.UINT8, scale=Scale.NONE)\n"
        "model = load_tflite(Path(sys.argv[1]).read_bytes(), model='m', spec=spec,\n"
        "                    output=OutputKind.PROBABILITIES, threads=1)\n"
        f"model.classify(np.zeros((1, {SIZE}, {SIZE}, 3), np.uint8))\n"
        "print([name for name in sys.modules if name.startswith('tensorflow')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny["uint8"])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_channels_first_is_read(tmp_path: Path, pixels: np.ndarray, exact: np.ndarray) -> None:
    import tensorflow as tf

    from tests.tiny_model import tiny_function

    classify = tiny_function()
    function = tf.function(
        lambda x: classify(tf.transpose(x, [0, 2, 3, 1])),
        input_signature=[tf.TensorSpec([1, 3, SIZE, SIZE], tf.float32)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    path = tmp_path / "m.tflite"
    path.write_bytes(converter.convert())
    spec = InputSpec(height=SIZE, width=SIZE, layout=Layout.NCHW)
    np.testing.assert_allclose(load(path, "float32", spec=spec).classify(pixels), exact, atol=1e-4)
