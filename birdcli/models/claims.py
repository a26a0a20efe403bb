"""What the user says of a model, held against what the model says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.backends.signature import picture_input
from birdcli.errors import ErrorCode, ModelError, UsageError
from birdcli.manifest import LARGEST_INPUT
from birdcli.model_version import InputSpec, InputType, ModelFormat, Scale

if TYPE_CHECKING:
    from birdcli.backends.signature import TensorFacts

_RANGE_HINT: Final = (
    "What did the training code feed it? unit: 0..1 (x / 255); symmetric: -1..1 (x / 127.5 - 1); "
    "none: 0..255 (the model scales by itself, as Keras' EfficientNet, ConvNeXt and MobileNetV3 "
    "do). A wrong range gives wrong species with full confidence."
)
_USUAL_RANGES: Final = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-128.0, 127.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the user says of a model; None leaves it to the model.

    Attributes:
        format: Its format.
        signature: Name of the signature, or `INPUT,OUTPUT` of a frozen graph.
        size: Height and width of the input, pixels.
        scale: Levels to numbers.
        preprocessing: Name of the recipe from a picture to pixels.
    """

    format: ModelFormat | None = None
    signature: str | None = None
    size: tuple[int, int] | None = None
    scale: Scale | None = None
    preprocessing: str = InputSpec().preprocessing


def settle_input(
    tensor: TensorFacts, claims: Claims, *, found: ModelFormat, model: str
) -> InputSpec:
    """Returns what a model is fed.

    Args:
        tensor: The model's input.
        claims: What the user says of it.
        found: The model's format.
        model: What to call the model in messages.

    Raises:
        ModelError: ``model.load_failed`` if the model takes no pictures, or others than claimed.
        UsageError: ``usage.bad_flag`` for what only the user can know and did not say.
    """
    picture = picture_input(tensor, model=model)
    size = _settle_size((picture.height, picture.width), claims.size, tensor, model)
    return InputSpec(
        height=size[0],
        width=size[1],
        scale=_settle_scale(picture.dtype, claims.scale, found, model),
        preprocessing=claims.preprocessing,
        dtype=picture.dtype,
        layout=picture.layout,
    )


def _settle_size(
    found: tuple[int | None, int | None],
    claimed: tuple[int, int] | None,
    tensor: TensorFacts,
    model: str,
) -> tuple[int, int]:
    height, width = found
    for length in found:
        if length is not None and not 1 <= length <= LARGEST_INPUT:
            raise ModelError(
                ErrorCode.MODEL_LOAD_FAILED,
                f"{model} takes {tensor}; 1 to {LARGEST_INPUT} pixels are expected, not {length}",
                pixels=length,
            )
    if claimed is None:
        if height is None or width is None:
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG,
                f"{model} takes pictures of any size, {tensor}: --input-size is required",
                hint="Give the size it was trained with, such as 224, or 192x256 for height and "
                "width.",
            )
        return height, width
    if height not in (None, claimed[0]) or width not in (None, claimed[1]):
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{model} takes {tensor}, --input-size says {claimed[0]} x {claimed[1]} pixels",
            hint="Leave --input-size away: the model says it by itself.",
        )
    return claimed


def _settle_scale(dtype: InputType, claimed: Scale | None, found: ModelFormat, model: str) -> Scale:
    if dtype is not InputType.FLOAT32:
        if claimed not in (None, Scale.NONE):
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG,
                f"{model} takes {dtype} levels as they are, --scale says {claimed}",
                hint="Leave --scale away.",
            )
        return Scale.NONE
    if claimed is not None:
        return claimed
    if found is ModelFormat.TF1_HUB:
        return Scale.UNIT  # the hub's convention for images
    raise UsageError(
        ErrorCode.USAGE_BAD_FLAG,
        f"{model} takes float32 pictures, and no model says in which range: --scale is required",
        hint=_RANGE_HINT,
    )


def doubt_levels(level_range: tuple[float, float] | None, *, model: str) -> str | None:
    """Returns a warning where the levels of an integer input stand for unusual numbers, or None.

    They are fed as they are, which is right if the levels 0 and 255 became the ends of the range
    in training; with a mean and a deviation for each channel, for one, it is wrong.

    Args:
        level_range: What the levels 0 and 255 stand for, or None if nothing says it.
        model: What to call the model.
    """
    if level_range is None:
        return None
    low, high = level_range
    for usual_low, usual_high in _USUAL_RANGES:
        slack = 0.05 * (usual_high - usual_low)
        if abs(low - usual_low) <= slack and abs(high - usual_high) <= slack:
            return None
    return (
        f"the levels 0 to 255 that {model} takes stand for {low:.3g} to {high:.3g}, not for 0..1, "
        "-1..1 or 0..255: check its answers on photos before you promote it"
    )
