"""Frozen graphs: one GraphDef whose weights are constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from birdcli.backends.call_tree import verify_calls
from birdcli.backends.graph_walk import graph_operations
from birdcli.backends.ops import verify_ops
from birdcli.backends.signature import Signature, TensorFacts
from birdcli.backends.tensorflow_runtime import tensorflow
from birdcli.errors import ErrorCode, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARIABLES = frozenset({"VarHandleOp", "Variable", "VariableV2"})
_SILENT = frozenset({"Assert", "Const", "NoOp", "Placeholder", "PlaceholderWithDefault"})
_CANDIDATES = 8


def _load_failed(message: str, hint: str = "") -> ModelError:
    return ModelError(ErrorCode.MODEL_LOAD_FAILED, message, hint=hint)


def parse_graph(data: bytes, *, model: str) -> Any:
    """Returns a GraphDef that only computes.

    Args:
        data: The serialised GraphDef.
        model: What to call the model in messages.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = tensorflow()
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(data)
    except Exception as err:  # protobuf's exceptions depend on which of its engines is installed
        raise _load_failed(f"{model}: the graph is broken: {err}") from err
    operations = graph_operations(graph)
    verify_ops(operations, (), (), model=model)
    verify_calls(graph, model=model)
    if operations & _VARIABLES:
        raise _load_failed(
            f"{model}: the graph has variables, whose values are elsewhere",
            "Freeze it, or give the whole SavedModel.",
        )
    return graph


def import_graph(graph: Any, *, model: str) -> Any:
    """Returns a GraphDef as a wrapped function without inputs and outputs, to be pruned.

    Raises:
        ModelError: ``model.load_failed``.
    """
    tf = tensorflow()
    try:
        return tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph, name=""), []
        )
    except (tf.errors.OpError, ValueError, KeyError, TypeError) as err:
        reason = str(err).partition("\n")[0]
        raise _load_failed(f"{model}: the graph cannot run: {reason}") from err


def _only(candidates: Sequence[str], what: str, model: str) -> str:
    if len(candidates) == 1:
        return candidates[0]
    listed = ", ".join(candidates[:_CANDIDATES]) or "none"
    more = f" and {len(candidates) - _CANDIDATES} more" if len(candidates) > _CANDIDATES else ""
    raise _load_failed(
        f"{model}: which tensor is the {what} is not clear; it could be: {listed}{more}",
        "Name both with --signature INPUT,OUTPUT.",
    )


def _pick_names(graph: Any, asked: str | None, model: str) -> tuple[str, str]:
    if asked is not None:
        names = [name.strip() for name in asked.split(",")]
        if len(names) != 2 or not all(names):
            raise _load_failed(
                f"{model}: the signature of a frozen graph is INPUT,OUTPUT, not {asked!r}"
            )
        return names[0].removesuffix(":0"), names[1].removesuffix(":0")
    placeholders = [node.name for node in graph.node if node.op == "Placeholder"]
    used = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
    sinks = [node.name for node in graph.node if node.name not in used and node.op not in _SILENT]
    return _only(placeholders, "input", model), _only(sinks, "output", model)


def read_graph_signature(data: bytes, *, asked: str | None, model: str) -> Signature:
    """Reads what a frozen graph says of its input and output.

    Args:
        data: The serialised GraphDef.
        asked: `INPUT,OUTPUT`, or None for the only placeholder and the only end.
        model: What to call the model in messages.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    graph = parse_graph(data, model=model)
    names = _pick_names(graph, asked, model)
    imported = import_graph(graph, model=model).graph
    facts = []
    for name in names:
        try:
            tensor = imported.get_tensor_by_name(f"{name}:0")
        except (KeyError, ValueError) as err:
            raise _load_failed(f"{model}: the graph has no tensor {name!r}") from err
        shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
        facts.append(TensorFacts(name=name, dtype=tensor.dtype.name, shape=shape))
    return Signature(name=",".join(names), input=facts[0], output=facts[1])
