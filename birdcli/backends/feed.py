"""Levels of pictures as the numbers that a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from birdcli.model_version import InputType, Layout, Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from birdcli.items import RgbBatch
    from birdcli.model_version import InputSpec


def scaled(levels: Any, scale: Scale) -> Any:
    """Returns float32 levels, of NumPy or of TensorFlow, in the range that a model wants."""
    match scale:
        case Scale.UNIT:
            return levels / 255.0
        case Scale.SYMMETRIC:
            return levels / 127.5 - 1.0
        case Scale.NONE:
            return levels


def arranged(pixels: RgbBatch, spec: InputSpec) -> NDArray[np.uint8] | NDArray[np.int8]:
    """Returns a batch in a model's layout; int8 for models that take it, else still uint8.

    Args:
        pixels: uint8 [N, H, W, 3].
        spec: What the model is fed.

    Returns:
        [N, H, W, 3] or [N, 3, H, W], contiguous.
    """
    if spec.layout is Layout.NCHW:
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    if spec.dtype is InputType.INT8:
        return (pixels ^ 0x80).view(np.int8)  # minus 128, without leaving the byte
    return pixels
