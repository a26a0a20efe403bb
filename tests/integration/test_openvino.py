"""OpenVINO over graphs that TensorFlow made: the same answers, or an error that says why."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from birdcli.backends import tensorflow as backend
from birdcli.backends.freeze import freeze
from birdcli.errors import ErrorCode, InferenceError, ModelError
from birdcli.model_version import InputSpec, OutputKind
from tests.integration.test_freeze import KINDS, answers, saved, spec
from tests.loading import needs_openvino
from tests.tiny_model import CLASSES, SIZE, save_quantised_model, save_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

    from birdcli.backends.openvino import OpenVinoClassifier

    Ir = tuple[bytes, bytes]

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow"), needs_openvino]


def load(ir: Ir, *, precision: str = "float32", threads: int = 2) -> OpenVinoClassifier:
    from birdcli.backends.openvino import load_ir

    return load_ir(*ir, model="tiny@1", precision=precision, threads=threads)


def convert(data: bytes) -> Ir:
    from birdcli.backends.openvino import convert_graph

    return convert_graph(data, model="tiny@1")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.RandomState(3).randint(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A frozen graph."""
    folder = save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    return freeze(folder, spec(), fold=True).data


@pytest.fixture(scope="module")
def ir(tiny: bytes) -> Ir:
    return convert(tiny)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_gives_the_scores_of_tensorflow(
    tmp_path: Path, pixels: np.ndarray, kind: str
) -> None:
    folder, graph = saved(tmp_path / "model", kind)
    frozen = freeze(folder, graph, fold=True).data
    classifier = load(convert(frozen))
    assert classifier.class_count == CLASSES
    scores = classifier.classify(pixels)
    assert scores.shape == (5, CLASSES)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, answers(frozen, pixels), atol=1e-4)


def test_a_folded_model_gives_the_scores_of_tensorflow(tmp_path: Path, pixels: np.ndarray) -> None:
    folder = save_quantised_model(tmp_path / "model")
    frozen = freeze(folder, spec(), fold=True).data
    np.testing.assert_allclose(
        load(convert(frozen)).classify(pixels), answers(frozen, pixels), atol=1e-4
    )


def test_logits_become_probabilities(tmp_path: Path, pixels: np.ndarray) -> None:
    folder = save_tiny_model(tmp_path / "model", logits=True)
    frozen = freeze(folder, spec(output=OutputKind.LOGITS), fold=True).data
    scores = load(convert(frozen)).classify(pixels)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-4)
    np.testing.assert_allclose(scores, answers(frozen, pixels), atol=1e-4)


def test_pictures_need_not_be_square(tmp_path: Path) -> None:
    from tests.tiny_model import save_variant

    folder = save_variant(tmp_path / "model", shape=(None, SIZE, 2 * SIZE, 3))
    wide = spec(input=InputSpec(height=SIZE, width=2 * SIZE))
    pictures = np.random.RandomState(1).randint(0, 256, (2, SIZE, 2 * SIZE, 3)).astype(np.uint8)
    frozen = freeze(folder, wide, fold=True).data
    np.testing.assert_allclose(
        load(convert(frozen)).classify(pictures), answers(frozen, pictures), atol=1e-4
    )


def test_bfloat16_is_close_to_float32(ir: Ir, pixels: np.ndarray) -> None:
    exact, halved = load(ir), load(ir, precision="bfloat16")
    assert (exact.backend, halved.backend) == ("openvino/float32", "openvino/bfloat16")
    np.testing.assert_allclose(halved.classify(pixels), exact.classify(pixels), atol=0.05)


def test_a_batch_answers_as_its_images_alone(ir: Ir, pixels: np.ndarray) -> None:
    classifier = load(ir)
    alone = np.concatenate([classifier.classify(pixels[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(classifier.classify(pixels), alone, atol=1e-5)


def test_scores_stay_when_the_next_batch_comes(ir: Ir, pixels: np.ndarray) -> None:
    classifier = load(ir, threads=1)
    first = classifier.classify(pixels)
    kept = first.copy()
    classifier.classify(255 - pixels)
    np.testing.assert_array_equal(first, kept)


_FORKS = """
import os, sys, time
def note(event, _):
    if event in ("os.fork", "subprocess.Popen", "socket.connect", "socket.getaddrinfo"):
        os.write(1, event.encode())
sys.addaudithook(note)
from birdcli.backends.openvino import openvino
openvino()
time.sleep(0.2)
"""


def test_importing_it_starts_no_process_and_asks_no_network() -> None:
    done = subprocess.run([sys.executable, "-c", _FORKS], capture_output=True, check=True)
    assert done.stdout == b""


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_as_many_threads_as_there_are_streams_get_the_answers_of_one(
    tiny: bytes, ir: Ir, engine: str
) -> None:
    """Each batch is another one, so that answers of a neighbour would show."""
    if engine == "openvino":
        classifier: backend.TensorFlowClassifier | OpenVinoClassifier = load(ir, threads=4)
    else:
        classifier = backend.load_frozen(
            tiny, model="m", class_count=CLASSES, backend="b", streams=4
        )
    assert classifier.streams == 4
    random = np.random.RandomState(2)
    batches = [
        random.randint(0, 256, (random.randint(1, 9), SIZE, SIZE, 3)).astype(np.uint8)
        for _ in range(40)
    ]
    one_by_one = [classifier.classify(batch) for batch in batches]
    with ThreadPoolExecutor(classifier.streams) as pool:
        at_once = list(pool.map(classifier.classify, batches))
    for found, expected in zip(at_once, one_by_one, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_more_threads_than_streams_wait_and_get_their_answers(ir: Ir, pixels: np.ndarray) -> None:
    classifier = load(ir, threads=1)
    assert classifier.streams == 1
    expected = classifier.classify(pixels)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(classifier.classify, [pixels] * 12))
    for scores in found:
        np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, SIZE + 1, SIZE, 3), np.uint8),
        np.zeros((1, SIZE, SIZE, 4), np.uint8),
        np.zeros((SIZE, SIZE, 3), np.uint8),
    ],
    ids=["height", "channels", "no batch"],
)
def test_a_batch_that_does_not_fit_is_an_inference_failure_and_the_next_one_works(
    ir: Ir, pixels: np.ndarray, batch: np.ndarray
) -> None:
    classifier = load(ir, threads=1)
    expected = classifier.classify(pixels)
    with pytest.raises(InferenceError) as caught:
        classifier.classify(batch)
    assert caught.value.code is ErrorCode.INFERENCE_FAILED
    assert "\n" not in caught.value.message
    np.testing.assert_array_equal(classifier.classify(pixels), expected)


def damaged(ir: Ir, how: str) -> Ir:
    description, weights = ir
    match how:
        case "no description":
            return b"", weights
        case "not XML":
            return b"\xff\xfe not XML", weights
        case "cut description":
            return description[: len(description) // 2], weights
        case "no weights":
            return description, b""
        case "cut weights":
            return description, weights[: len(weights) // 2]
        case "another operation":
            return description.replace(b'type="Convolution"', b'type="Evil"'), weights
        case "swapped":
            return weights, description
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    [
        *("no description", "not XML", "cut description", "no weights", "cut weights"),
        *("another operation", "swapped"),
    ],
)
def test_a_broken_graph_is_refused_in_a_line(ir: Ir, how: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(damaged(ir, how))
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    assert "tiny@1" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"", b"\x0a\x00"])
def test_what_is_no_graph_is_not_converted(data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        convert(data)
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    assert "tiny@1" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_graph_that_takes_no_pixels_is_refused() -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, 8], name="images")
        tf.nn.softmax(images, name="scores")
    with pytest.raises(ModelError, match="does not take pixels") as caught:
        load(convert(graph.as_graph_def().SerializeToString()))
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


def test_without_openvino_the_error_says_what_to_install(ir: Ir, mocker: MockerFixture) -> None:
    mocker.patch.dict("sys.modules", {"openvino": None})
    with pytest.raises(ModelError) as caught:
        load(ir)
    assert caught.value.code is ErrorCode.MODEL_RUNTIME_MISSING
    assert "birdcli[fast]" in caught.value.hint


def test_a_folder_for_temporary_files_that_is_gone_is_a_reason_for_the_next_engine(
    tiny: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ModelError) as caught:
        convert(tiny)
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


def test_an_installation_that_is_broken_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from birdcli.backends.openvino import openvino

    (tmp_path / "openvino.py").write_text("raise RuntimeError('built for another NumPy')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    with pytest.raises(ModelError) as caught:
        openvino()
    assert caught.value.code is ErrorCode.MODEL_RUNTIME_MISSING
    assert "another NumPy" in caught.value.message
