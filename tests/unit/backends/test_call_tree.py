"""Functions that never end, or multiply without measure, are refused before they are inlined."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from birdcli.backends.call_tree import verify_calls
from birdcli.errors import ErrorCode, ModelError


def node(op: str, *, passes: str = "") -> Any:
    function = SimpleNamespace(name=passes)
    attribute = SimpleNamespace(func=function, list=SimpleNamespace(func=[]))
    return SimpleNamespace(op=op, attr={"f": attribute})


def graph(*nodes: Any, **functions: list[Any]) -> Any:
    library = [
        SimpleNamespace(signature=SimpleNamespace(name=name), node_def=body)
        for name, body in functions.items()
    ]
    return SimpleNamespace(node=list(nodes), library=SimpleNamespace(function=library))


def test_functions_that_call_others_pass() -> None:
    verify_calls(graph(node("f"), f=[node("g"), node("Add")], g=[node("Mul")]), model="m")


@pytest.mark.parametrize(
    "functions",
    [
        {"f": [node("f")]},
        {"f": [node("PartitionedCall", passes="f")]},
        {"f": [node("g")], "g": [node("If", passes="f")]},
    ],
)
def test_a_function_that_calls_itself_is_refused_by_name(functions: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="calls itself") as caught:
        verify_calls(graph(**functions), model="m")
    assert caught.value.code is ErrorCode.MODEL_UNSAFE_OP


def test_functions_that_double_their_work_thirty_times_are_refused() -> None:
    doubling = {f"f{i}": [node(f"f{i + 1}"), node(f"f{i + 1}")] for i in range(30)}
    with pytest.raises(ModelError, match="operations, more than") as caught:
        verify_calls(graph(node("f0"), **doubling, f30=[node("Add")]), model="m")
    assert caught.value.code is ErrorCode.MODEL_UNSAFE_OP


def test_a_long_chain_of_calls_is_no_recursion_of_ours() -> None:
    chain = {f"f{i}": [node(f"f{i + 1}")] for i in range(5000)}
    verify_calls(graph(node("f0"), **chain, f5000=[node("Add")]), model="m")
