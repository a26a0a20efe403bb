"""What a model's tensors say is read; what is no picture classifier is refused by name."""

from __future__ import annotations

import pytest

from birdcli.backends.signature import (
    PictureInput,
    Signature,
    TensorFacts,
    check_input,
    count_classes,
    pick_signature,
    picture_input,
)
from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import InputSpec, InputType, Layout


def tensor(*shape: int | None, dtype: str = "float32") -> TensorFacts:
    return TensorFacts(name="x", dtype=dtype, shape=shape)


@pytest.mark.parametrize(
    ("facts", "height", "width", "layout"),
    [
        (tensor(None, 224, 192, 3), 224, 192, Layout.NHWC),
        (tensor(1, 3, 224, 192, dtype="uint8"), 224, 192, Layout.NCHW),
        (tensor(None, None, None, 3, dtype="int8"), None, None, Layout.NHWC),
        (tensor(None, 3, None, None), None, None, Layout.NCHW),
    ],
)
def test_size_type_and_layout_are_read(
    facts: TensorFacts, height: int | None, width: int | None, layout: Layout
) -> None:
    assert picture_input(facts, model="m") == PictureInput(
        height=height, width=width, dtype=InputType(facts.dtype), layout=layout
    )


@pytest.mark.parametrize(
    "facts",
    [
        tensor(None, 224, 224, 1),
        tensor(None, 224, 224, 4),
        tensor(None, 3, 3, 3),
        tensor(None, 224, 224),
        tensor(8, 224, 224, 3),
        tensor(None, 224, 224, 3, dtype="string"),
        TensorFacts(name="x", dtype="float32", shape=None),
    ],
    ids=str,
)
def test_what_takes_no_batch_of_rgb_pictures_is_refused(facts: TensorFacts) -> None:
    with pytest.raises(ModelError) as caught:
        picture_input(facts, model="m@1")
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    assert str(facts) in caught.value.message


def test_classes_are_counted() -> None:
    assert count_classes(tensor(None, 965), model="m") == 965


@pytest.mark.parametrize(
    "facts",
    [tensor(None, 0), tensor(None, 100_001), tensor(None, None),
     tensor(None, 7, 7, 965), tensor(965), tensor(None, 965, dtype="int64"),
     TensorFacts(name="x", dtype="float32", shape=None)],
    ids=str,
)  # fmt: skip
def test_what_gives_no_row_of_scores_is_refused(facts: TensorFacts) -> None:
    with pytest.raises(ModelError, match="gives"):
        count_classes(facts, model="m")


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(height=100, width=224),
        InputSpec(height=224, width=100),
        InputSpec(dtype=InputType.UINT8),
        InputSpec(layout=Layout.NCHW),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused_with_both(spec: InputSpec) -> None:
    check_input(tensor(None, 224, 224, 3), InputSpec(), model="m")
    with pytest.raises(ModelError) as caught:
        check_input(tensor(None, 224, 224, 3), spec, model="m")
    assert "float32 [?, 224, 224, 3]" in caught.value.message
    assert f"{spec.dtype} {spec.layout} of {spec.height} x {spec.width}" in caught.value.message


@pytest.mark.parametrize(
    ("names", "asked", "is_hub", "picked"),
    [
        (["image_classifier", "default"], None, True, "default"),
        (["serve", "serving_default"], None, False, "serving_default"),
        (["predict"], None, False, "predict"),
        (["a", "b"], "b", False, "b"),
    ],
)
def test_the_usual_or_only_signature_is_picked(
    names: list[str], asked: str | None, is_hub: bool, picked: str
) -> None:
    assert pick_signature(names, asked=asked, is_hub=is_hub, model="m") == picked


@pytest.mark.parametrize(
    ("names", "asked", "words"),
    [
        (["b", "a"], None, "several signatures: a, b"),
        ([], None, "no signature"),
        (["a"], "b", "no signature 'b', only a"),
        ([], "b", "none at all"),
    ],
)
def test_a_doubtful_signature_is_refused_with_those_that_are_there(
    names: list[str], asked: str | None, words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        pick_signature(names, asked=asked, is_hub=False, model="m")


def test_a_model_may_take_one_picture_at_a_time() -> None:
    def signature(batch: int | None) -> Signature:
        return Signature(name="", input=tensor(batch, 8, 8, 3), output=tensor(batch, 5))

    assert signature(1).one_at_a_time
    assert not signature(None).one_at_a_time
