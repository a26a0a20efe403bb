"""Calls between the functions of a graph: they must end, and soon enough."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from birdcli.backends.graph_walk import called_names
from birdcli.errors import ErrorCode, ModelError

_MOST_OPERATIONS: Final = 5_000_000
"""A hundred times more than the largest image models have."""


def verify_calls(graph_def: Any, *, model: str) -> None:
    """Raises if a function calls itself, or if functions multiply the work beyond measure.

    TensorFlow copies the body of a function to where it is called, before anything runs.

    Args:
        graph_def: A GraphDef with its library of functions.
        model: What to call the model in the message.

    Raises:
        ModelError: ``model.unsafe_op``.
    """
    bodies = {f.signature.name: f.node_def for f in graph_def.library.function}
    calls = {
        name: [called for node in body for called in called_names(node) & bodies.keys()]
        for name, body in bodies.items()
    }
    try:
        order = list(TopologicalSorter(calls).static_order())  # callees first
    except CycleError as err:
        name = str(err.args[1][0])
        raise ModelError(
            ErrorCode.MODEL_UNSAFE_OP,
            f"the function {name!r} of {model} calls itself, which never ends",
            hint="A model is a program. Do not use this one unless you know who made it.",
            op=name,
        ) from err
    operations: dict[str, int] = {}
    for name in order:
        operations[name] = len(bodies[name]) + sum(operations[called] for called in calls[name])
    total = len(graph_def.node) + sum(
        operations[called]
        for node in graph_def.node
        for called in called_names(node) & bodies.keys()
    )
    largest = max([total, *operations.values()])
    if largest > _MOST_OPERATIONS:
        raise ModelError(
            ErrorCode.MODEL_UNSAFE_OP,
            f"the functions of {model} call each other until they come to {largest:.1e} "
            f"operations, more than {_MOST_OPERATIONS:.0e}",
            hint="A model is a program. Do not use this one unless you know who made it.",
        )
