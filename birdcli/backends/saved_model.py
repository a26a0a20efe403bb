"""SavedModels and TF1 Hub modules: read, held against the rules, loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from birdcli.backends.call_tree import verify_calls
from birdcli.backends.graph_walk import walk_operations
from birdcli.backends.ops import verify_ops
from birdcli.backends.signature import Signature, TensorFacts, pick_signature
from birdcli.backends.tensorflow_runtime import tensorflow, tensorflow_hub
from birdcli.errors import ErrorCode, ModelError

if TYPE_CHECKING:
    from pathlib import Path

HUB_MARK: Final = "tfhub_module.pb"
_SERVING: Final = "serve"
_INTERNAL: Final = ("__saved_model_init_op", "__saved_model_train_op")


def _load_failed(message: str) -> ModelError:
    return ModelError(ErrorCode.MODEL_LOAD_FAILED, message)


def _read_verified(folder: Path, model: str) -> Any:
    """Returns the SavedModel message, its operations and calls held against the rules."""
    tensorflow()
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString((folder / "saved_model.pb").read_bytes())
    except Exception as err:  # protobuf's exceptions depend on which of its engines is installed
        raise _load_failed(f"{model}: saved_model.pb is no SavedModel: {err}") from err
    if len(proto.meta_graphs) == 0:
        raise _load_failed(f"{model}: the SavedModel holds no graph")
    for meta in proto.meta_graphs:
        found = walk_operations(meta)
        verify_ops(found.running, found.restoring, found.saving, model=model)
        verify_calls(meta.graph_def, model=model)
    return proto


def verify_saved_model(folder: Path, *, model: str) -> None:
    """Holds a SavedModel against the rules, before TensorFlow loads it.

    Raises:
        ModelError: ``model.unsafe_op``, ``model.load_failed``.
    """
    _read_verified(folder, model)


def _serving_graph(proto: Any, model: str) -> Any:
    graphs = list(proto.meta_graphs)
    if len(graphs) > 1:
        graphs = [meta for meta in graphs if list(meta.meta_info_def.tags) == [_SERVING]]
    if len(graphs) != 1:
        raise _load_failed(f"{model} holds several graphs, and not one of them is for serving")
    return graphs[0]


def _tensor_facts(tf: Any, name: str, info: Any) -> TensorFacts:
    shape: tuple[int | None, ...] | None = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(axis.size if axis.size >= 0 else None for axis in info.tensor_shape.dim)
    return TensorFacts(name=name, dtype=tf.as_dtype(info.dtype).name, shape=shape)


def read_signature(folder: Path, *, asked: str | None, model: str) -> Signature:
    """Reads what a SavedModel says of its input and output, without running any of it.

    Args:
        folder: The folder with `saved_model.pb`.
        asked: Name of the signature, or None for the usual or only one.
        model: What to call the model in messages.

    Raises:
        ModelError: ``model.unsafe_op``, ``model.load_failed``, ``model.runtime_missing``.
    """
    tf = tensorflow()
    meta = _serving_graph(_read_verified(folder, model), model)
    definitions = {
        name: definition for name, definition in meta.signature_def.items() if name not in _INTERNAL
    }
    is_hub = (folder / HUB_MARK).is_file()
    name = pick_signature(list(definitions), asked=asked, is_hub=is_hub, model=model)
    inputs, outputs = definitions[name].inputs, definitions[name].outputs
    output = "default" if "default" in outputs else next(iter(outputs), "")
    if len(inputs) != 1 or (len(outputs) != 1 and output != "default"):
        raise _load_failed(
            f"signature {name!r} of {model} takes {len(inputs)} inputs "
            f"({', '.join(sorted(inputs)) or 'none'}) and gives {len(outputs)} outputs "
            f"({', '.join(sorted(outputs)) or 'none'}); one each is expected, or an output "
            "called 'default'"
        )
    input_name = next(iter(inputs))
    try:
        return Signature(
            name=name,
            input=_tensor_facts(tf, input_name, inputs[input_name]),
            output=_tensor_facts(tf, output, outputs[output]),
        )
    except TypeError as err:  # a number that stands for no type
        raise _load_failed(f"signature {name!r} of {model} is broken: {err}") from err


def load_module(folder: Path, signature: str, *, model: str) -> tuple[Any, Any]:
    """Loads a verified SavedModel.

    Returns:
        The module, which keeps the variables alive, and the function of the signature.

    Raises:
        ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.runtime_missing``.
    """
    tf = tensorflow()
    proto = _read_verified(folder, model)
    hub = tensorflow_hub()
    tags = [_SERVING] if len(proto.meta_graphs) > 1 else None
    try:
        module = hub.load(str(folder), tags=tags)
        function = module.signatures[signature]
    except (tf.errors.OpError, ValueError, TypeError, OSError, LookupError, AttributeError) as err:
        reason = str(err).partition("\n")[0] or type(err).__name__
        raise _load_failed(f"{model} cannot be loaded: {reason}") from err
    return module, function
