"""Levels reach a model in its type, its range and its order of axes."""

from __future__ import annotations

import numpy as np
import pytest

from birdcli.backends.feed import arranged, scaled
from birdcli.model_version import InputSpec, InputType, Layout, Scale

PIXELS = np.random.RandomState(2).randint(0, 256, (2, 4, 5, 3)).astype(np.uint8)


def test_int8_is_the_level_minus_128() -> None:
    fed = arranged(PIXELS, InputSpec(dtype=InputType.INT8))
    assert fed.dtype == np.int8
    np.testing.assert_array_equal(fed, PIXELS.astype(np.int16) - 128)


def test_uint8_is_the_level_itself() -> None:
    np.testing.assert_array_equal(arranged(PIXELS, InputSpec(dtype=InputType.UINT8)), PIXELS)


def test_channels_come_first_where_the_model_wants_it() -> None:
    fed = arranged(PIXELS, InputSpec(layout=Layout.NCHW))
    assert fed.shape == (2, 3, 4, 5)
    np.testing.assert_array_equal(fed[:, 2], PIXELS[..., 2])


@pytest.mark.parametrize(
    ("scale", "ends"), [(Scale.UNIT, (0, 1)), (Scale.SYMMETRIC, (-1, 1)), (Scale.NONE, (0, 255))]
)
def test_levels_are_scaled_in_float32(scale: Scale, ends: tuple[float, float]) -> None:
    numbers = scaled(np.array([0, 255], np.float32), scale)
    assert numbers.dtype == np.float32
    assert tuple(numbers) == ends
