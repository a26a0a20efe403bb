"""A `Classifier` over TensorFlow, the reference engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from birdcli.backends.feed import arranged, scaled
from birdcli.backends.frozen_graph import import_graph, parse_graph, read_graph_signature
from birdcli.backends.saved_model import load_module, read_signature
from birdcli.backends.signature import check_input, count_classes
from birdcli.backends.tensorflow_runtime import tensorflow
from birdcli.errors import ErrorCode, InferenceError, ModelError
from birdcli.model_version import InputType, OutputKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from birdcli.backends.signature import Signature
    from birdcli.items import RgbBatch, ScoreBatch
    from birdcli.model_version import InputSpec

GRAPH_FILE = "graph.pb"
"""What a frozen graph is called in the folder of its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """What must be known of a graph to run it.

    Attributes:
        model: What to call it in messages.
        input: What it is fed.
        signature: Name of the signature, or `INPUT,OUTPUT` of a frozen graph.
        output: Kind of its numbers.
    """

    model: str
    input: InputSpec
    signature: str
    output: OutputKind


class TensorFlowClassifier:
    """A function of TensorFlow as a classifier."""

    def __init__(
        self,
        function: Callable[[RgbBatch], Any],
        *,
        backend: str,
        class_count: int,
        streams: int,
        one_at_a_time: bool,
    ) -> None:
        """Wraps a function from uint8 [N, H, W, 3] to an array of probabilities [N, C]."""
        self._function = function
        self._one_at_a_time = one_at_a_time
        self.backend = backend
        self.class_count = class_count
        self.streams = streams

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        """Returns the scores of a batch.

        Args:
            pixels: uint8 [N, H, W, 3] at the model's input size.

        Returns:
            float32 [N, C] probabilities.

        Raises:
            InferenceError: ``inference.failed``.
        """
        tf = tensorflow()
        step = 1 if self._one_at_a_time else len(pixels)
        try:
            parts = [
                self._function(pixels[start : start + step])
                for start in range(0, len(pixels), step)
            ]
            scores: ScoreBatch = np.concatenate(parts).astype(np.float32, copy=False)
        except (tf.errors.OpError, ValueError, TypeError) as err:
            reason = str(err).splitlines()[0] if str(err) else type(err).__name__
            raise InferenceError(
                ErrorCode.INFERENCE_FAILED, f"TensorFlow refused the batch: {reason}"
            ) from err
        return scores


def inspect_model(module: Path, *, asked: str | None, model: str) -> Signature:
    """Reads what a SavedModel or a frozen graph says of itself.

    Args:
        module: The folder with `saved_model.pb` or `graph.pb`.
        asked: The signature, or None for the usual or only one.
        model: What to call the model in messages.

    Raises:
        ModelError: ``model.unsafe_op``, ``model.load_failed``, ``model.runtime_missing``.
    """
    graph = module / GRAPH_FILE
    if graph.is_file():
        return read_graph_signature(graph.read_bytes(), asked=asked, model=model)
    return read_signature(module, asked=asked, model=model)


def checked_signature(module: Path, spec: GraphSpec) -> Signature:
    """Returns what a model says of itself, which must be what the manifest says.

    Raises:
        ModelError: ``model.unsafe_op``, ``model.load_failed``, ``model.runtime_missing``.
    """
    signature = inspect_model(module, asked=spec.signature, model=spec.model)
    check_input(signature.input, spec.input, model=spec.model)
    return signature


def scored(tf: Any, scores: Any, output: OutputKind) -> Any:
    """Returns a model's own numbers as probabilities."""
    return tf.nn.softmax(scores) if output is OutputKind.LOGITS else scores


def load_reference(module: Path, spec: GraphSpec, *, streams: int = 1) -> TensorFlowClassifier:
    """Loads the untouched model, a SavedModel through TensorFlow Hub.

    Args:
        module: The folder with `saved_model.pb` or `graph.pb`.
        spec: What must be known of it.
        streams: How many batches at once.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = tensorflow()
    signature = checked_signature(module, spec)
    loaded, function = _load_untouched(module, signature, spec.model)

    def run(pixels: RgbBatch) -> Any:
        # Scaled outside the graph: inside, TensorFlow's optimiser would turn the division into a
        # multiplication, which changes 126 of the 256 levels.
        images = tf.constant(arranged(pixels, spec.input))
        if spec.input.dtype is InputType.FLOAT32:
            images = scaled(tf.cast(images, tf.float32), spec.input.scale)
        return tf.cast(scored(tf, function(images), spec.output), tf.float32).numpy()

    run.module = loaded  # type: ignore[attr-defined]  # keeps its variables alive
    return TensorFlowClassifier(
        run,
        backend="tensorflow/reference",
        class_count=count_classes(signature.output, model=spec.model),
        streams=streams,
        one_at_a_time=signature.one_at_a_time,
    )


def _load_untouched(module: Path, signature: Signature, model: str) -> tuple[Any, Any]:
    """Returns what must be kept alive, and the function from images to scores."""
    source, result = signature.input.name, signature.output.name
    graph = module / GRAPH_FILE
    if graph.is_file():
        whole = import_graph(parse_graph(graph.read_bytes(), model=model), model=model)
        return whole, whole.prune(f"{source}:0", f"{result}:0")
    loaded, function = load_module(module, signature.name, model=model)
    return loaded, lambda images: function(**{source: images})[result]


def load_frozen(
    data: bytes,
    *,
    model: str,
    class_count: int,
    backend: str,
    threads: int = 1,
    streams: int = 1,
) -> TensorFlowClassifier:
    """Loads a graph that `freeze` made.

    Args:
        data: The serialised GraphDef.
        model: What to call the model in messages.
        class_count: C.
        backend: As records name it.
        threads: CPUs to use.
        streams: How many batches at once.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.

    Source:
        A session takes a graph as it is; a function of TensorFlow 2 copies it twice, which costs
        half a second of every start.
    """
    tf = tensorflow()
    parsed = parse_graph(data, model=model)
    try:
        with tf.Graph().as_default() as graph:
            pixels, _ = tf.graph_util.import_graph_def(
                parsed, name="", return_elements=["images:0", "scores:0"]
            )
        settings = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=max(1, threads // streams),
            inter_op_parallelism_threads=streams,
        )
        session = tf.compat.v1.Session(graph=graph, config=settings)
        run = session.make_callable("scores:0", feed_list=["images:0"])
    except (tf.errors.OpError, ValueError, KeyError, TypeError) as err:
        reason = str(err).partition("\n")[0]
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{model}: the prepared graph cannot run: {reason}"
        ) from err
    if pixels.dtype != tf.uint8:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{model}: the prepared graph does not take pixels"
        )
    return TensorFlowClassifier(
        run,
        backend=backend,
        class_count=class_count,
        streams=streams,
        one_at_a_time=pixels.shape[0] == 1,
    )
