"""The operations that a model's graph may hold: a model is a program, and ours only computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

# fmt: off
COMPUTE_OPS: Final = frozenset({
    "Abs", "Acos", "Acosh", "Add", "AddN", "AddV2", "AdjustContrastv2", "AdjustHue",
    "AdjustSaturation", "All", "Any", "ArgMax", "ArgMin", "Asin", "Asinh", "Assert", "Assign",
    "AssignVariableOp", "Atan", "Atan2", "Atanh", "AvgPool", "AvgPool3D", "BatchMatMul",
    "BatchMatMulV2", "BatchMatMulV3", "BatchToSpaceND", "BiasAdd", "Bitcast", "BroadcastArgs",
    "BroadcastTo", "Case", "Cast", "Ceil", "CheckNumerics", "ClipByValue", "Concat", "ConcatOffset",
    "ConcatV2", "Const", "Conv2D", "Conv3D", "Cos", "Cosh", "CropAndResize", "Cumprod", "Cumsum",
    "DepthToSpace", "DepthwiseConv2dNative", "Dequantize", "DisableCopyOnRead", "Div", "DivNoNan",
    "Einsum", "Elu", "EnsureShape", "Equal", "Erf", "Erfc", "Erfinv", "Exp", "ExpandDims", "Expm1",
    "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel",
    "Fill", "Floor", "FloorDiv", "FloorMod", "FusedBatchNorm", "FusedBatchNormV2",
    "FusedBatchNormV3", "GatherNd", "GatherV2", "Greater", "GreaterEqual", "HSVToRGB", "Identity",
    "IdentityN", "If", "InvertPermutation", "IsFinite", "IsInf", "IsNan", "IsVariableInitialized",
    "L2Loss", "LRN", "LeakyRelu", "Less", "LessEqual", "LinSpace", "Log", "Log1p", "LogSoftmax",
    "LogicalAnd", "LogicalNot", "LogicalOr", "MatMul", "MatrixBandPart", "Max", "MaxPool",
    "MaxPool3D", "MaxPoolV2", "Maximum", "Mean", "Merge", "Min", "Minimum", "MirrorPad", "Mod",
    "Mul", "MulNoNan", "Neg", "NoOp", "NotEqual", "OneHot", "OnesLike", "Pack", "Pad", "PadV2",
    "PartitionedCall", "Placeholder", "PlaceholderWithDefault", "Pow", "PreventGradient", "Prod",
    "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4", "QuantizeV2",
    "RGBToHSV", "RandomStandardNormal", "RandomUniform", "Range", "Rank", "ReadVariableOp",
    "RealDiv", "Reciprocal", "Relu", "Relu6", "Reshape", "ResizeArea", "ResizeBicubic",
    "ResizeBilinear", "ResizeNearestNeighbor", "ResourceGather", "ReverseV2", "Rint", "Roll",
    "Round", "Rsqrt", "ScaleAndTranslate", "ScatterNd", "Select", "SelectV2", "Selu", "Shape",
    "ShapeN", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus", "Softsign",
    "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Sqrt", "Square", "SquaredDifference",
    "Squeeze", "StatefulPartitionedCall", "StatelessCase", "StatelessIf", "StopGradient",
    "StridedSlice", "Sub", "Sum", "Switch", "Tan", "Tanh", "TensorScatterUpdate", "Tile", "TopK",
    "TopKV2", "Transpose", "TruncateMod", "TruncatedNormal", "Unpack", "UnsortedSegmentSum",
    "VarHandleOp", "VarIsInitializedOp", "Variable", "VariableV2", "Where", "Xdivy", "Xlogy",
    "ZerosLike",
})
_LOOPS: Final = frozenset({
    "Enter", "LoopCond", "NextIteration", "ParallelFor", "RefEnter", "StatelessWhile", "While",
})
RESTORE_OPS: Final = COMPUTE_OPS | {"RestoreV2"}
"""Reading the variables from their files is TensorFlow's part of loading."""
SAVE_OPS: Final = RESTORE_OPS | {
    "MergeV2Checkpoints", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin",
}
"""Every SavedModel with variables holds these; nothing here ever runs them."""
# fmt: on


def verify_ops(
    running: Iterable[str], restoring: Iterable[str], saving: Iterable[str], *, model: str
) -> None:
    """Raises unless a graph only computes.

    Args:
        running: Operations that run when the model is loaded, initialised or asked.
        restoring: Operations that run when its variables are read.
        saving: Operations that only saving would run.
        model: What to call the model in the message.

    Raises:
        ModelError: ``model.unsafe_op`` naming the operation.
    """
    refused = sorted({op for op in running if op not in COMPUTE_OPS})
    refused += sorted({op for op in restoring if op not in RESTORE_OPS})
    refused += sorted({op for op in saving if op not in SAVE_OPS})
    if refused:
        op = refused[0]
        if op in _LOOPS:
            reason, hint = (
                f"loops ({op}), and nothing tells whether a loop ends",
                "Export it without the loop: tf.map_fn over the pictures of a batch, for one, is "
                "not needed where the layers take whole batches.",
            )
        else:
            reason, hint = (
                f"holds the operation {op}, which is not on the list of operations that only "
                "compute",
                "A model is a program. Do not use this one unless you know who made it.",
            )
        raise ModelError(ErrorCode.MODEL_UNSAFE_OP, f"{model} {reason}", hint=hint, op=op)
