"""Models as one constant graph from pixels to probabilities, which engines run faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from birdcli.backends.feed import scaled
from birdcli.backends.folding import fold_fake_quantisation, has_fake_quantisation
from birdcli.backends.frozen_graph import parse_graph
from birdcli.backends.saved_model import load_module
from birdcli.backends.tensorflow import GRAPH_FILE, checked_signature, scored
from birdcli.backends.tensorflow_runtime import tensorflow
from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import InputType, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.backends.signature import Signature
    from birdcli.backends.tensorflow import GraphSpec
    from birdcli.model_version import InputSpec

PIXELS: Final = "images"
SCORES: Final = "scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenGraph:
    """A constant graph.

    Attributes:
        data: A serialised GraphDef with the placeholder `images`, uint8 [N, H, W, 3], [1, …] if the
            model takes one picture at a time, and the output `scores`, float32 [N, C].
        folded: Whether there was fake quantisation, which was taken out.
    """

    data: bytes
    folded: bool


def freeze(module: Path, spec: GraphSpec, *, fold: bool) -> FrozenGraph:
    """Turns a model into one constant graph.

    Args:
        module: The folder with `saved_model.pb` or `graph.pb`.
        spec: What must be known of it.
        fold: Whether to take fake quantisation out; see `fold_fake_quantisation`.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = tensorflow()
    signature = checked_signature(module, spec)
    constant, source, result = _frozen_parts(module, signature, spec.model)
    batch = 1 if signature.one_at_a_time else None
    shape = [batch, spec.input.height, spec.input.width, 3]
    folded = fold and has_fake_quantisation(constant)
    try:
        if folded:
            constant = fold_fake_quantisation(constant, result=result.partition(":")[0])
        with tf.Graph().as_default() as graph:
            pixels = tf.compat.v1.placeholder(tf.uint8, shape, name=PIXELS)
            (scores,) = tf.graph_util.import_graph_def(
                constant,
                input_map={source: _fed(tf, pixels, spec.input)},
                return_elements=[result],
                name="model",
            )
            tf.identity(tf.cast(scored(tf, scores, spec.output), tf.float32), name=SCORES)
        whole = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), [SCORES])
    except (tf.errors.OpError, ValueError, KeyError, TypeError, AssertionError) as err:
        reason = str(err).partition("\n")[0]
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{spec.model} cannot be frozen: {reason}"
        ) from err
    return FrozenGraph(data=whole.SerializeToString(deterministic=True), folded=folded)


def to_bfloat16(data: bytes, *, model: str) -> bytes:
    """Returns a frozen graph that computes in bfloat16 where that keeps its meaning.

    Args:
        data: What `freeze` made.
        model: What to call the model in messages.

    Raises:
        ModelError: ``model.load_failed``.

    Source:
        TensorFlow's own automatic mixed precision for oneDNN, which knows which operations may be
        less exact; then constants are folded, so that weights are stored as they are used.
    """
    tf = tensorflow()
    graph = parse_graph(data, model=model)
    try:
        from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
        from tensorflow.python.grappler import tf_optimizer

        for optimiser in ("auto_mixed_precision_onednn_bfloat16", "constfold"):
            config = config_pb2.ConfigProto()
            options = config.graph_options.rewrite_options
            options.optimizers.append(optimiser)
            options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
            options.min_graph_nodes = -1  # small graphs, too
            graph = tf_optimizer.OptimizeGraph(config, _as_meta_graph(tf, graph))
    except (ImportError, AttributeError, tf.errors.OpError, ValueError, TypeError) as err:
        reason = str(err).partition("\n")[0]
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"{model} cannot be made to use bfloat16: {reason}"
        ) from err
    computed: bytes = tf.compat.v1.graph_util.extract_sub_graph(graph, [SCORES]).SerializeToString(
        deterministic=True
    )
    return computed


def _as_meta_graph(tf: Any, graph: Any) -> Any:
    with tf.Graph().as_default() as whole:
        tf.graph_util.import_graph_def(graph, name="")
        meta = tf.compat.v1.train.export_meta_graph(graph=whole)
    # The optimiser keeps what leads to these nodes.
    meta.collection_def["train_op"].node_list.value.append(SCORES)
    return meta


def _fed(tf: Any, pixels: Any, spec: InputSpec) -> Any:
    """Returns uint8 [N, H, W, 3] as the model wants it.

    Engines turn the division by 255 into a multiplication, which is off by one unit in the last
    place for 126 of the 256 levels; only `reference` divides.
    """
    match spec.dtype:
        case InputType.FLOAT32:
            pixels = scaled(tf.cast(pixels, tf.float32), spec.scale)
        case InputType.INT8:
            pixels = tf.cast(tf.cast(pixels, tf.int32) - 128, tf.int8)
    return tf.transpose(pixels, [0, 3, 1, 2]) if spec.layout is Layout.NCHW else pixels


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
