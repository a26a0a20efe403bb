"""A TFLite file read and held against the rules, before any engine sees it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

from birdcli.backends.signature import Signature, TensorFacts
from birdcli.errors import ErrorCode, ModelError

IDENTIFIER: Final = b"TFL3"
"""At byte 4 of every TFLite file."""

# fmt: off
_COMPUTE_OPS: Final = frozenset({
    "ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "ATAN2", "AVERAGE_POOL_2D", "BATCH_MATMUL",
    "BATCH_TO_SPACE_ND", "BROADCAST_ARGS", "BROADCAST_TO", "CAST", "CEIL", "CONCATENATION",
    "CONV_2D", "CONV_3D", "COS", "CUMSUM", "DENSIFY", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE",
    "DEQUANTIZE", "DIV", "ELU", "EQUAL", "EXP", "EXPAND_DIMS", "FAKE_QUANT", "FILL", "FLOOR",
    "FLOOR_DIV", "FLOOR_MOD", "FULLY_CONNECTED", "GATHER", "GATHER_ND", "GELU", "GREATER",
    "GREATER_EQUAL", "HARD_SWISH", "L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU", "LESS",
    "LESS_EQUAL", "LOCAL_RESPONSE_NORMALIZATION", "LOG", "LOGICAL_AND", "LOGICAL_NOT",
    "LOGICAL_OR", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM",
    "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "ONE_HOT", "PACK", "PAD", "PADV2", "POW", "PRELU",
    "QUANTIZE", "RANGE", "RANK", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN",
    "REDUCE_PROD", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT", "SELECT_V2", "SHAPE",
    "SIGN", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V",
    "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH",
    "TILE", "TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK", "WHERE", "ZEROS_LIKE",
})
"""What an image classifier computes with: no state, no loops, no chance, no code from elsewhere."""
_REPACKING: Final = frozenset({"DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE"})
# fmt: on
_SOFTMAX_STEP: Final = 1 / 256
_MOST_ENTRIES: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteFacts:
    """What a TFLite file says of itself.

    Attributes:
        signature: Its input and output; the name is empty.
        last_op: The operation that makes the scores, such as `SOFTMAX`.
        eight_bit: Whether the scores are probabilities in steps of 1/256.
        level_range: The numbers that levels 0 and 255 of an integer input stand for, or None.
    """

    signature: Signature
    last_op: str
    eight_bit: bool
    level_range: tuple[float, float] | None


def _schema() -> Any:
    """The library's own reader of the format, from whichever engine is installed."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        from birdcli.backends.tensorflow_runtime import tensorflow

        tensorflow()
        from tensorflow.lite.python import schema_py_generated as schema
    return schema


def _load_failed(model: str, message: str) -> ModelError:
    return ModelError(ErrorCode.MODEL_LOAD_FAILED, f"{model} {message}")


def read_tflite(data: bytes, *, model: str) -> TfliteFacts:
    """Reads what a TFLite file says of itself, its operations held against the list.

    Args:
        data: The file.
        model: What to call the model in messages.

    Raises:
        ModelError: ``model.load_failed`` for a broken file or one of several inputs or outputs,
            ``model.unsafe_op``, ``model.runtime_missing``.
    """
    if data[4:8] != IDENTIFIER:
        raise _load_failed(model, "is no TFLite file")
    schema = _schema()
    try:
        return _read(schema, data, model)
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError) as err:
        raise _load_failed(model, f"is a broken TFLite file: {err}") from err


def _read(schema: Any, data: bytes, model: str) -> TfliteFacts:
    root = schema.Model.GetRootAs(data, 0)
    operations = _operation_names(schema, root)
    _verify_operations(operations, model)
    graph = root.Subgraphs(0)
    if graph is None:
        raise _load_failed(model, "holds no graph")
    if (graph.InputsLength(), graph.OutputsLength()) != (1, 1):
        raise _load_failed(
            model,
            f"takes {graph.InputsLength()} inputs and gives {graph.OutputsLength()} outputs; one "
            "each is expected",
        )
    input_tensor, output_tensor = graph.Tensors(graph.Inputs(0)), graph.Tensors(graph.Outputs(0))
    result = _tensor_facts(schema, output_tensor)
    return TfliteFacts(
        signature=Signature(name="", input=_tensor_facts(schema, input_tensor), output=result),
        last_op=_last_operation(graph, operations),
        eight_bit=result.dtype in ("int8", "uint8")
        and _scale_and_zero(output_tensor)[0] == _SOFTMAX_STEP,
        level_range=_level_range(schema, input_tensor),
    )


def _bounded(length: int) -> int:
    """Returns the length of a list; a flipped bit must not send us round four billion times."""
    if length > _MOST_ENTRIES:
        raise ValueError(f"a list of {length} entries")
    return length


def _operation_names(schema: Any, root: Any) -> list[str]:
    """Returns the name of each operator code; custom ones by the name they go by."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    operations = []
    for index in range(_bounded(root.OperatorCodesLength())):
        code = root.OperatorCodes(index)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = names.get(builtin, f"number {builtin}")
        if name == "CUSTOM":
            name = f"CUSTOM {(code.CustomCode() or b'?').decode(errors='replace')[:64]}"
        operations.append(name)
    return operations


def _verify_operations(operations: list[str], model: str) -> None:
    refused = sorted(set(operations) - _COMPUTE_OPS)
    if refused:
        raise ModelError(
            ErrorCode.MODEL_UNSAFE_OP,
            f"{model} holds the operation {refused[0]}, which is not on the list of operations "
            "that only compute",
            hint="Convert it with TFLite's built-in operations only: no custom or Flex operations, "
            "no loops, no variables.",
            op=refused[0],
        )


def _scale_and_zero(tensor: Any) -> tuple[float, int]:
    """Returns the scale and zero point of a tensor, 0 and 0 if it has none."""
    quantization = tensor.Quantization()
    if quantization is None or not quantization.ScaleLength():
        return 0.0, 0
    zero = quantization.ZeroPoint(0) if quantization.ZeroPointLength() else 0
    return float(quantization.Scale(0)), int(zero)


def _tensor_facts(schema: Any, tensor: Any) -> TensorFacts:
    types = {code: name.lower() for name, code in vars(schema.TensorType).items() if name.isupper()}
    known = [tensor.Shape(axis) for axis in range(_bounded(tensor.ShapeLength()))]
    signed = [
        tensor.ShapeSignature(axis) for axis in range(_bounded(tensor.ShapeSignatureLength()))
    ]
    lengths = signed if len(signed) == len(known) else known
    return TensorFacts(
        name=(tensor.Name() or b"").decode(errors="replace"),
        dtype=types.get(tensor.Type(), f"type {tensor.Type()}"),
        shape=tuple(length if length >= 0 else None for length in lengths),
    )


def _level_range(schema: Any, tensor: Any) -> tuple[float, float] | None:
    scale, zero = _scale_and_zero(tensor)
    lowest = {schema.TensorType.UINT8: 0, schema.TensorType.INT8: -128}.get(tensor.Type())
    if lowest is None or not scale:
        return None
    return scale * (lowest - zero), scale * (lowest + 255 - zero)


def _last_operation(graph: Any, operations: list[str]) -> str:
    """Returns what makes the scores, whatever repacks them afterwards."""
    makers = {}
    for index in range(_bounded(graph.OperatorsLength())):
        operator = graph.Operators(index)
        for position in range(_bounded(operator.OutputsLength())):
            makers[operator.Outputs(position)] = operator
    tensor, name = graph.Outputs(0), ""
    for _ in range(len(makers)):
        operator = makers.get(tensor)
        if operator is None:
            break
        name = operations[operator.OpcodeIndex()]
        if name not in _REPACKING or not operator.InputsLength():
            break
        tensor = operator.Inputs(0)
    return name
