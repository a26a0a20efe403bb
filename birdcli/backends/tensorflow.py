"""A `Classifier` over TensorFlow, the reference engine."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from birdcli.backends.graph_walk import walk_operations
from birdcli.backends.ops import verify_ops
from birdcli.errors import ErrorCode, InferenceError, ModelError
from birdcli.manifest import OutputKind, Scale

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.items import RgbBatch, ScoreBatch
    from birdcli.manifest import InputSpec

BATCH_SIZE = 8
"""The fastest batch for a graph whose fake-quantisation is not folded: larger ones leave the
processor's caches (measured: 150 images/s at 8, 120 at 32, two cores)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """What must be known of a SavedModel to run it.

    Attributes:
        model: What to call it in messages.
        input: Size and scale of the input.
        signature: Name of the signature.
        output: Kind of its numbers.
    """

    model: str
    input: InputSpec
    signature: str
    output: OutputKind


def _tensorflow() -> Any:
    """The door to TensorFlow: only what classifies pays for it."""
    try:
        import tensorflow as tf  # slow: seconds, 650 MB
    except ImportError as err:
        raise ModelError(
            ErrorCode.MODEL_RUNTIME_MISSING,
            f"TensorFlow cannot be imported: {err}",
            hint="pip install --force-reinstall birdcli",
        ) from err
    tf.get_logger().setLevel(logging.ERROR)  # a dozen warnings per TF1 variable otherwise
    return tf


def _tensorflow_hub() -> Any:
    with warnings.catch_warnings():
        # Its last release asks setuptools for versions in the old way, which nobody can mend.
        warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
        try:
            import tensorflow_hub as hub
        except ImportError as err:
            raise ModelError(
                ErrorCode.MODEL_RUNTIME_MISSING,
                f"TensorFlow Hub cannot be imported: {err}",
                hint='pip install "setuptools<81" tensorflow-hub',
            ) from err
    return hub


def configure_threads(threads: int) -> None:
    """Sets how many CPUs one batch uses; without effect once TensorFlow has run something."""
    tf = _tensorflow()
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        logging.getLogger(__name__).debug("TensorFlow is running: its threads stay as they are")


class TensorFlowClassifier:
    """A function of TensorFlow as a classifier."""

    def __init__(self, function: Any, *, scale: Scale, backend: str, class_count: int) -> None:
        """Wraps a function from scaled float32 [N, H, W, 3] to probabilities [N, C]."""
        self._function = function
        self._scale = scale
        self.backend = backend
        self.class_count = class_count

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        """Returns the scores of a batch.

        Args:
            pixels: uint8 [N, H, W, 3] at the model's input size.

        Returns:
            float32 [N, C] probabilities.

        Raises:
            InferenceError: ``inference.failed``.
        """
        tf = _tensorflow()
        try:
            # Scaled outside the graph: inside, TensorFlow's optimiser would turn the division into
            # a multiplication, which changes 126 of the 256 levels.
            images = _scaled(tf, tf.constant(pixels), self._scale)
            scores: ScoreBatch = self._function(images).numpy()
        except (tf.errors.OpError, ValueError, TypeError) as err:
            reason = str(err).splitlines()[0] if str(err) else type(err).__name__
            raise InferenceError(
                ErrorCode.INFERENCE_FAILED, f"TensorFlow refused the batch: {reason}"
            ) from err
        return scores


def _read_graph(saved_model: Path, model: str) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString((saved_model / "saved_model.pb").read_bytes())
    except Exception as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{model}: saved_model.pb is no SavedModel: {err}"
        ) from err
    if len(proto.meta_graphs) == 0:
        raise ModelError(ErrorCode.MODEL_LOAD_FAILED, f"{model}: the SavedModel holds no graph")
    return proto


def verify_saved_model(saved_model: Path, *, model: str) -> None:
    """Holds the operations of a SavedModel against the allow-list, before TensorFlow loads it.

    Raises:
        ModelError: ``model.unsafe_op``, ``model.load_failed``.
    """
    _tensorflow()
    for meta in _read_graph(saved_model, model).meta_graphs:
        found = walk_operations(meta)
        verify_ops(found.running, found.restoring, found.saving, model=model)


def _load_signature(saved_model: Path, spec: GraphSpec) -> tuple[Any, Any, str, str]:
    """Returns the loaded module, its signature, its input's name and its output's name."""
    tf = _tensorflow()
    verify_saved_model(saved_model, model=spec.model)
    hub = _tensorflow_hub()
    try:
        module = hub.load(str(saved_model))
        signatures = dict(module.signatures)
    except (tf.errors.OpError, ValueError, TypeError, OSError, KeyError, AttributeError) as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{spec.model} cannot be loaded: {err}"
        ) from err
    signature = signatures.get(spec.signature)
    if signature is None:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{spec.model} has no signature {spec.signature!r}, only {', '.join(signatures)}",
        )
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    output = "default" if "default" in outputs else next(iter(outputs), "")
    if len(inputs) != 1 or (len(outputs) != 1 and output != "default"):
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{spec.model} takes {len(inputs)} inputs and gives {len(outputs)} outputs; one each "
            "is expected",
        )
    name, tensor = next(iter(inputs.items()))
    height, width = spec.input.height, spec.input.width
    if tensor.dtype != tf.float32 or not tensor.shape.is_compatible_with([1, height, width, 3]):
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{spec.model} wants {tensor.dtype.name} {tensor.shape}, the manifest says float32 "
            f"[N, {height}, {width}, 3]",
            hint="`registry add` takes another size with --input-size.",
        )
    if outputs[output].shape.rank != 2 or outputs[output].shape[1] is None:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{spec.model} gives {outputs[output].shape}, not one row of scores per image",
        )
    return module, signature, name, output


def _scaled(tf: Any, pixels: Any, scale: Scale) -> Any:
    levels = tf.cast(pixels, tf.float32)
    match scale:
        case Scale.UNIT:
            return levels / 255.0
        case Scale.SYMMETRIC:
            return levels / 127.5 - 1.0
        case Scale.NONE:
            return levels


def load_reference(saved_model: Path, spec: GraphSpec) -> TensorFlowClassifier:
    """Loads the untouched model through TensorFlow Hub.

    Args:
        saved_model: The folder with `saved_model.pb`.
        spec: What must be known of it.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = _tensorflow()
    module, signature, input_name, output_name = _load_signature(saved_model, spec)

    def run(images: Any) -> Any:
        scores = signature(**{input_name: images})[output_name]
        return tf.nn.softmax(scores) if spec.output is OutputKind.LOGITS else scores

    run.module = module  # type: ignore[attr-defined]  # keeps its variables alive
    return TensorFlowClassifier(
        run,
        scale=spec.input.scale,
        backend="tensorflow/reference",
        class_count=int(signature.structured_outputs[output_name].shape[1]),
    )


def freeze(saved_model: Path, spec: GraphSpec) -> bytes:
    """Turns the model into one constant graph from scaled images to probabilities.

    Args:
        saved_model: The folder with `saved_model.pb`.
        spec: What must be known of it.

    Returns:
        A serialised GraphDef with the placeholder `images`, float32 [N, H, W, 3], scaled as the
        model wants it, and the output `scores`, float32 [N, C].

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = _tensorflow()
    from tensorflow.python.framework import convert_to_constants

    module, signature, _, output_name = _load_signature(saved_model, spec)
    frozen = convert_to_constants.convert_variables_to_constants_v2(signature)
    position = sorted(signature.structured_outputs).index(output_name)
    height, width = spec.input.height, spec.input.width
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, height, width, 3], name="images")
        (scores,) = tf.graph_util.import_graph_def(
            frozen.graph.as_graph_def(),
            input_map={frozen.inputs[0].name: images},
            return_elements=[frozen.outputs[position].name],
            name="model",
        )
        if spec.output is OutputKind.LOGITS:
            scores = tf.nn.softmax(scores)
        tf.identity(scores, name="scores")
    del module
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
    tf = _tensorflow()
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(data)
    except Exception as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{spec.model}: the prepared graph is broken: {err}"
        ) from err
    functions = {function.signature.name for function in graph.library.function}
    ops = {node.op for node in graph.node}
    for function in graph.library.function:
        ops.update(node.op for node in function.node_def)
    verify_ops(ops - functions, (), (), model=spec.model)
    try:
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph, name=""), []
        )
        run = wrapped.prune("images:0", "scores:0")
    except (tf.errors.OpError, ValueError, KeyError) as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{spec.model}: the prepared graph cannot run: {err}"
        ) from err
    return TensorFlowClassifier(
        run, scale=spec.input.scale, backend="tensorflow/float32", class_count=class_count
    )


def detect_output(scores: ScoreBatch) -> OutputKind:
    """Tells probabilities from logits by the raw scores of several images, float32 [N, C]."""
    in_range = bool(((scores >= 0.0) & (scores <= 1.0 + 1e-5)).all())
    sums_to_one = bool(np.allclose(scores.sum(axis=1), 1.0, atol=0.02))
    return OutputKind.PROBABILITIES if in_range and sums_to_one else OutputKind.LOGITS
