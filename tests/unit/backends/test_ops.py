"""Graphs that only compute pass; anything else is named."""

from __future__ import annotations

import pytest

from birdcli.backends.ops import verify_ops
from birdcli.errors import ErrorCode, ModelError


def test_computing_restoring_and_saving_pass_each_in_its_place() -> None:
    verify_ops(["Conv2D", "Relu6"], ["RestoreV2", "Const"], ["SaveV2", "StringJoin"], model="m")


@pytest.mark.parametrize(
    "op",
    ["ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "CustomOp", "RestoreV2", "SaveV2",
     "MergeV2Checkpoints", "Send"],
)  # fmt: skip
def test_an_operation_that_does_more_is_refused_by_name(op: str) -> None:
    with pytest.raises(ModelError) as caught:
        verify_ops(["Conv2D", op], [], [], model="m")
    assert caught.value.code is ErrorCode.MODEL_UNSAFE_OP
    assert op in caught.value.message


@pytest.mark.parametrize("op", ["WriteFile", "SaveV2", "MergeV2Checkpoints"])
def test_restoring_only_restores(op: str) -> None:
    with pytest.raises(ModelError, match=op):
        verify_ops([], [op], [], model="m")


def test_saving_only_saves() -> None:
    with pytest.raises(ModelError, match="WriteFile"):
        verify_ops([], [], ["WriteFile"], model="m")


@pytest.mark.parametrize("op", ["While", "StatelessWhile", "LoopCond"])
def test_a_loop_is_refused_because_it_may_never_end(op: str) -> None:
    with pytest.raises(ModelError, match=rf"loops \({op}\)") as caught:
        verify_ops([op], [], [], model="m")
    assert caught.value.code is ErrorCode.MODEL_UNSAFE_OP
