"""A `Classifier` over TensorFlow, the reference engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from birdcli.backends.feed import arranged, scaled
from birdcli.backends.frozen_graph import import_graph, parse_graph, read_graph_signature
from birdcli.backends.saved_model import load_module, read_signature
from birdcli.backends.signature import check_input, count_classes
from birdcli.backends.tensorflow_runtime import tensorflow
from birdcli.errors import ErrorCode, InferenceError, ModelError
from birdcli.model_version import InputType, Layout, OutputKind

if TYPE_CHECKING:
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
        function: Any,
        *,
        spec: InputSpec,
        backend: str,
        class_count: int,
        one_at_a_time: bool = False,
    ) -> None:
        """Wraps a function from what the model is fed to probabilities [N, C]."""
        self._function = function
        self._spec = spec
        self._one_at_a_time = one_at_a_time
        self.backend = backend
        self.class_count = class_count
        self.streams = 1

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
            # Scaled outside the graph: inside, TensorFlow's optimiser would turn the division into
            # a multiplication, which changes 126 of the 256 levels.
            images = tf.constant(arranged(pixels, self._spec))
            if self._spec.dtype is InputType.FLOAT32:
                images = scaled(tf.cast(images, tf.float32), self._spec.scale)
            parts = [
                self._function(images[start : start + step])
                for start in range(0, len(pixels), step)
            ]
            scores: ScoreBatch = tf.cast(tf.concat(parts, 0), tf.float32).numpy()
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


def _checked_signature(module: Path, spec: GraphSpec) -> Signature:
    signature = inspect_model(module, asked=spec.signature, model=spec.model)
    check_input(signature.input, spec.input, model=spec.model)
    return signature


def _scored(tf: Any, scores: Any, output: OutputKind) -> Any:
    return tf.nn.softmax(scores) if output is OutputKind.LOGITS else scores


def load_reference(module: Path, spec: GraphSpec) -> TensorFlowClassifier:
    """Loads the untouched model, a SavedModel through TensorFlow Hub.

    Args:
        module: The folder with `saved_model.pb` or `graph.pb`.
        spec: What must be known of it.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = tensorflow()
    signature = _checked_signature(module, spec)
    loaded, function = _load_untouched(module, signature, spec.model)

    def run(images: Any) -> Any:
        return _scored(tf, function(images), spec.output)

    run.module = loaded  # type: ignore[attr-defined]  # keeps its variables alive
    return TensorFlowClassifier(
        run,
        spec=spec.input,
        backend="tensorflow/reference",
        class_count=count_classes(signature.output, model=spec.model),
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


def _frozen_parts(module: Path, signature: Signature, model: str) -> tuple[Any, str, str]:
    """Returns the graph with constant weights, its input tensor and its output tensor."""
    graph = module / GRAPH_FILE
    if graph.is_file():
        names = f"{signature.input.name}:0", f"{signature.output.name}:0"
        return parse_graph(graph.read_bytes(), model=model), *names
    from tensorflow.python.framework import convert_to_constants

    _module, function = load_module(module, signature.name, model=model)
    frozen = convert_to_constants.convert_variables_to_constants_v2(function)
    position = sorted(function.structured_outputs).index(signature.output.name)
    return frozen.graph.as_graph_def(), frozen.inputs[0].name, frozen.outputs[position].name


def freeze(module: Path, spec: GraphSpec) -> bytes:
    """Turns the model into one constant graph from what it is fed to probabilities.

    Args:
        module: The folder with `saved_model.pb` or `graph.pb`.
        spec: What must be known of it.

    Returns:
        A serialised GraphDef with the placeholder `images`, in the type, layout and range that the
        model wants, [1, …] if it takes one picture at a time, and the output `scores`, float32
        [N, C].

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = tensorflow()
    signature = _checked_signature(module, spec)
    constant, source, result = _frozen_parts(module, signature, spec.model)
    size = [spec.input.height, spec.input.width]
    axes = [3, *size] if spec.input.layout is Layout.NCHW else [*size, 3]
    batch = 1 if signature.one_at_a_time else None
    try:
        with tf.Graph().as_default() as graph:
            images = tf.compat.v1.placeholder(
                tf.as_dtype(spec.input.dtype.value), [batch, *axes], name="images"
            )
            (scores,) = tf.graph_util.import_graph_def(
                constant, input_map={source: images}, return_elements=[result], name="model"
            )
            tf.identity(_scored(tf, scores, spec.output), name="scores")
    except (ValueError, KeyError, TypeError) as err:
        reason = str(err).partition("\n")[0]
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{spec.model} cannot be frozen: {reason}"
        ) from err
    data: bytes = graph.as_graph_def().SerializeToString(deterministic=True)
    return data


def load_frozen(data: bytes, spec: GraphSpec, class_count: int) -> TensorFlowClassifier:
    """Loads a graph that `freeze` made.

    Args:
        data: The serialised GraphDef.
        spec: What must be known of the model.
        class_count: C.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = tensorflow()
    whole = import_graph(parse_graph(data, model=spec.model), model=spec.model)
    try:
        run = whole.prune("images:0", "scores:0")
    except (tf.errors.OpError, ValueError, KeyError) as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{spec.model}: the prepared graph cannot run: {err}"
        ) from err
    return TensorFlowClassifier(
        run,
        spec=spec.input,
        backend="tensorflow/float32",
        class_count=class_count,
        one_at_a_time=run.inputs[0].shape[0] == 1,
    )
