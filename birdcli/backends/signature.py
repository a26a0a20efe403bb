"""What a model says of its own input and output, read and never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import InputType, Layout

if TYPE_CHECKING:
    from birdcli.model_version import InputSpec

CHANNELS: Final = 3
MOST_CLASSES: Final = 100_000
"""More than there are species of animals with a backbone."""
_FLOATS: Final = frozenset({"bfloat16", "float16", "float32", "float64"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFacts:
    """One tensor of a model.

    Attributes:
        name: Its name, as the engine wants it.
        dtype: Type of its numbers, as NumPy calls it.
        shape: Length of each axis, None where it is open; None if not even their number is known.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """Type and shape, such as `float32 [?, 224, 224, 3]`."""
        if self.shape is None:
            return f"{self.dtype} of unknown shape"
        lengths = ", ".join("?" if length is None else str(length) for length in self.shape)
        return f"{self.dtype} [{lengths}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The way into a model and out of it.

    Attributes:
        name: What the manifest calls it; empty where a format has one only.
        input: The pictures.
        output: The scores.
    """

    name: str
    input: TensorFacts
    output: TensorFacts

    @property
    def one_at_a_time(self) -> bool:
        """Whether the model takes a single picture only."""
        return self.input.shape is not None and self.input.shape[0] == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInput:
    """An input that takes pictures.

    Attributes:
        height: Pixels, or None where the model takes any.
        width: Pixels, or None where the model takes any.
        dtype: Type of the numbers.
        layout: Order of the axes.
    """

    height: int | None
    width: int | None
    dtype: InputType
    layout: Layout


def _unfit(model: str, message: str, hint: str = "") -> ModelError:
    return ModelError(ErrorCode.MODEL_LOAD_FAILED, f"{model} {message}", hint=hint)


def picture_input(tensor: TensorFacts, *, model: str) -> PictureInput:
    """Returns what an input tensor says of the pictures it takes.

    Args:
        tensor: The input.
        model: What to call the model in the message.

    Raises:
        ModelError: ``model.load_failed`` if it takes no batch of RGB pictures.
    """
    if tensor.dtype not in list(InputType):
        raise _unfit(model, f"takes {tensor}; float32, uint8 or int8 pictures are expected")
    shape = tensor.shape
    if shape is None or len(shape) != 4 or shape[0] not in (None, 1):
        raise _unfit(
            model,
            f"takes {tensor}; pictures of four axes are expected, any number or one at a time",
        )
    _, first, middle, last = shape
    if last == CHANNELS and first != CHANNELS:
        height, width, layout = first, middle, Layout.NHWC
    elif first == CHANNELS and last != CHANNELS:
        height, width, layout = middle, last, Layout.NCHW
    else:
        raise _unfit(
            model,
            f"takes {tensor}; one axis of {CHANNELS} channels is expected, first or last, "
            "for red, green and blue",
        )
    return PictureInput(height=height, width=width, dtype=InputType(tensor.dtype), layout=layout)


def count_classes(tensor: TensorFacts, *, model: str, types: frozenset[str] = _FLOATS) -> int:
    """Returns the number of scores per picture.

    Args:
        tensor: The output.
        model: What to call the model in the message.
        types: The types that scores may have.

    Raises:
        ModelError: ``model.load_failed`` if the output is no row of scores per picture, or of more
            classes than `MOST_CLASSES`.
    """
    shape = tensor.shape
    if tensor.dtype not in types:
        raise _unfit(model, f"gives {tensor}; scores are {', '.join(sorted(types))}")
    if shape is None or len(shape) != 2 or shape[1] is None:
        raise _unfit(model, f"gives {tensor}, not one row of scores per picture, [N, classes]")
    if not 1 <= shape[1] <= MOST_CLASSES:
        raise _unfit(model, f"gives {tensor}; 1 to {MOST_CLASSES:,} classes are expected")
    return shape[1]


def check_input(tensor: TensorFacts, spec: InputSpec, *, model: str) -> None:
    """Raises unless a model takes what the manifest says it is fed.

    Raises:
        ModelError: ``model.load_failed`` naming both.
    """
    found = picture_input(tensor, model=model)
    fits = (
        found.height in (None, spec.height)
        and found.width in (None, spec.width)
        and (found.dtype, found.layout) == (spec.dtype, spec.layout)
    )
    if not fits:
        raise _unfit(
            model,
            f"takes {tensor}, the manifest says {spec.dtype} {spec.layout} of {spec.height} x "
            f"{spec.width} pixels",
        )


def pick_signature(names: list[str], *, asked: str | None, is_hub: bool, model: str) -> str:
    """Returns the name of the signature to use.

    Args:
        names: Those that the model has.
        asked: The one that was asked for, or None.
        is_hub: Whether it is a TF1 Hub module, whose signatures have a convention of their own.
        model: What to call the model in the message.

    Raises:
        ModelError: ``model.load_failed`` listing them.
    """
    usual = "default" if is_hub else "serving_default"
    if asked is not None:
        if asked in names:
            return asked
        raise _unfit(
            model, f"has no signature {asked!r}, only {', '.join(sorted(names)) or 'none at all'}"
        )
    if usual in names:
        return usual
    if len(names) == 1:
        return names[0]
    if not names:
        raise _unfit(
            model,
            "has no signature, so nothing says what goes in and what comes out",
            hint="Keras writes one with `model.export(folder)`; else pass signatures=… to "
            "tf.saved_model.save.",
        )
    raise _unfit(
        model,
        f"has several signatures: {', '.join(sorted(names))}",
        hint="Say which one with --signature.",
    )
