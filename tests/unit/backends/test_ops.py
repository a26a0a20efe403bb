"""Graphs that only compute pass; anything else is named."""

from __future__ import annotations

import pytest

from birdcli.backends.ops import verify_ops
from birdcli.errors import ErrorCode, ModelError


def test_compute_and_saver_ops_pass() -> None:
    verify_ops(["Conv2D", "Relu6", "Softmax"], ["RestoreV2", "Const"], model="m")


@pytest.mark.parametrize(
    "op", ["ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "CustomOp", "RestoreV2", "Send"]
)
def test_other_ops_on_the_way_to_the_scores_are_refused_by_name(op: str) -> None:
    with pytest.raises(ModelError) as caught:
        verify_ops(["Conv2D", op], [], model="m")
    assert caught.value.code is ErrorCode.MODEL_UNSAFE_OP
    assert op in caught.value.message


def test_other_ops_anywhere_else_are_refused_too() -> None:
    with pytest.raises(ModelError, match="WriteFile"):
        verify_ops(["Conv2D"], ["WriteFile"], model="m")
