"""What a user says of a model is held against the model; what nobody says is demanded."""

from __future__ import annotations

import pytest

from birdcli.backends.signature import TensorFacts
from birdcli.errors import BirdError, ErrorCode, ModelError, UsageError
from birdcli.model_version import InputSpec, InputType, Layout, ModelFormat, Scale
from birdcli.models.claims import Claims, doubt_levels, settle_input


def settle(
    shape: tuple[int | None, ...] = (None, 32, 48, 3),
    dtype: str = "float32",
    found: ModelFormat = ModelFormat.SAVED_MODEL,
    **claims: object,
) -> InputSpec:
    tensor = TensorFacts(name="images", dtype=dtype, shape=shape)
    return settle_input(tensor, Claims(**claims), found=found, model="m@1")  # type: ignore[arg-type]


def test_everything_the_model_says_is_taken_from_it() -> None:
    spec = settle((None, 3, 32, 48), "int8", preprocessing="squash-bilinear@1")
    assert spec == InputSpec(
        height=32,
        width=48,
        scale=Scale.NONE,
        preprocessing="squash-bilinear@1",
        dtype=InputType.INT8,
        layout=Layout.NCHW,
    )


@pytest.mark.parametrize("scale", Scale)
def test_a_float_model_is_scaled_as_its_user_says(scale: Scale) -> None:
    assert settle(scale=scale).scale is scale


@pytest.mark.parametrize(
    "found", [ModelFormat.SAVED_MODEL, ModelFormat.TFLITE, ModelFormat.FROZEN_GRAPH]
)
def test_a_float_model_without_a_range_is_refused_with_an_explanation(found: ModelFormat) -> None:
    with pytest.raises(UsageError) as caught:
        settle(found=found)
    assert caught.value.code is ErrorCode.USAGE_BAD_FLAG
    assert "--scale is required" in caught.value.message
    for word in ("unit", "symmetric", "none", "wrong species"):
        assert word in caught.value.hint


def test_a_hub_module_follows_the_convention_of_its_hub() -> None:
    assert settle(found=ModelFormat.TF1_HUB).scale is Scale.UNIT
    assert settle(found=ModelFormat.TF1_HUB, scale=Scale.SYMMETRIC).scale is Scale.SYMMETRIC


def test_an_open_size_must_be_given() -> None:
    with pytest.raises(UsageError, match="--input-size is required"):
        settle((None, None, None, 3), scale=Scale.UNIT)
    spec = settle((None, None, None, 3), scale=Scale.UNIT, size=(32, 48))
    assert (spec.height, spec.width) == (32, 48)


def test_a_size_that_fits_may_be_repeated() -> None:
    assert settle(scale=Scale.UNIT, size=(32, 48)).width == 48


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"size": (32, 32), "scale": Scale.UNIT}, ModelError, "[?, 32, 48, 3]|32 x 32"),
        ({"dtype": "uint8", "scale": Scale.UNIT}, UsageError, "uint8|unit"),
        ({"dtype": "string"}, ModelError, "string"),
    ],
)
def test_a_contradiction_is_refused_with_both_sides(
    arguments: dict[str, object], kind: type[BirdError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        settle(**arguments)  # type: ignore[arg-type]
    for word in words.split("|"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "level_range", [None, (0.0, 0.99), (-1.0, 0.992), (0.0, 255.0), (-128.0, 127.0)]
)
def test_usual_levels_are_nobodys_worry(level_range: tuple[float, float] | None) -> None:
    assert doubt_levels(level_range, model="m") is None


@pytest.mark.parametrize("level_range", [(-2.12, 2.64), (0.0, 0.8), (0.0, 6.0)])
def test_levels_that_stand_for_unusual_numbers_are_doubted(
    level_range: tuple[float, float],
) -> None:
    doubt = doubt_levels(level_range, model="m@1")
    assert doubt is not None
    assert f"{level_range[0]:.3g} to {level_range[1]:.3g}" in doubt


@pytest.mark.parametrize(
    "shape",
    [(None, 4097, 32, 3), (None, 32, 4097, 3), (1, 0, 32, 3), (None, 3, 32, -5), (1, 2**40, 1, 3)],
)
def test_a_size_that_no_manifest_may_hold_is_refused(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ModelError) as caught:
        settle(shape, scale=Scale.UNIT)
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    assert str(shape[-1 if shape[1] == 3 else 1]) in caught.value.message
    assert "1 to 4096 pixels" in caught.value.message


def test_the_largest_size_is_taken() -> None:
    assert settle((None, 4096, 1, 3), scale=Scale.UNIT).height == 4096


def test_a_size_out_of_bounds_is_refused_where_the_other_axis_is_open() -> None:
    with pytest.raises(ModelError, match="1 to 4096 pixels"):
        settle((None, 5000, None, 3), scale=Scale.UNIT)
