"""Which operations of a SavedModel run, and on what occasion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op", "main_op")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasions:
    """Names of the operations of one graph, by what makes them run.

    Attributes:
        running: Runs when the model is loaded, initialised or asked, or belongs to nothing known.
        restoring: Runs when the variables are read from their files.
        saving: Would run if the model were saved, which never happens here.
    """

    running: frozenset[str]
    restoring: frozenset[str]
    saving: frozenset[str]


def called_names(node: Any) -> set[str]:
    """Returns the names of the functions that a node calls; its operation's own is among them."""
    names = {node.op}
    for attribute in node.attr.values():
        names.add(attribute.func.name)
        names.update(function.name for function in attribute.list.func)
    return names


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").split(":")[0]


class _Graph:
    """The nodes and functions of a MetaGraphDef, with what each one leads to."""

    def __init__(self, meta: Any) -> None:
        self.nodes = {node.name: node for node in meta.graph_def.node}
        self.functions = {f.signature.name: f for f in meta.graph_def.library.function}

    def _called(self, node: Any) -> set[str]:
        return called_names(node) & self.functions.keys()

    def ancestors(self, roots: Iterable[str]) -> set[str]:
        """Names of the nodes that these depend on, themselves included."""
        reached: set[str] = set()
        waiting = [_node_name(root) for root in roots]
        while waiting:
            name = waiting.pop()
            if name in self.nodes and name not in reached:
                reached.add(name)
                waiting.extend(_node_name(tensor) for tensor in self.nodes[name].input)
        return reached

    def reached_functions(self, nodes: Iterable[Any], names: Iterable[str] = ()) -> set[str]:
        """Names of the functions that these nodes, or these functions, call in the end."""
        reached: set[str] = set()
        waiting = [name for node in nodes for name in self._called(node)]
        waiting += [name for name in names if name in self.functions]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                for node in self.functions[name].node_def:
                    waiting.extend(self._called(node))
        return reached

    def operations(self, nodes: set[str], functions: set[str]) -> frozenset[str]:
        """Names of the operations of nodes and functions; calls of functions are none."""
        ops = {self.nodes[name].op for name in nodes}
        for function in functions:
            ops.update(node.op for node in self.functions[function].node_def)
        return frozenset(ops - self.functions.keys())

    def occasion(self, roots: Iterable[str]) -> tuple[set[str], set[str]]:
        """The nodes and functions that run for these roots."""
        nodes = self.ancestors(roots)
        return nodes, self.reached_functions(self.nodes[name] for name in nodes)


def _initialisers(meta: Any) -> list[str]:
    roots: list[str] = []
    for key in _INIT_COLLECTIONS:
        roots += meta.collection_def[key].node_list.value if key in meta.collection_def else []
    return roots


def _signatures(meta: Any) -> list[str]:
    return [
        tensor.name
        for definition in meta.signature_def.values()
        for tensor in (*definition.outputs.values(), *definition.inputs.values())
    ]


def graph_operations(graph_def: Any) -> frozenset[str]:
    """Returns the names of all operations of a GraphDef and of its functions."""
    functions = {function.signature.name for function in graph_def.library.function}
    ops = {node.op for node in graph_def.node}
    for function in graph_def.library.function:
        ops.update(node.op for node in function.node_def)
    return frozenset(ops - functions)


def walk_operations(meta: Any) -> Occasions:
    """Sorts the operations of a graph by what makes them run.

    Args:
        meta: A MetaGraphDef.
    """
    graph = _Graph(meta)
    objects = list(meta.object_graph_def.concrete_functions)
    run_nodes = graph.ancestors([*_signatures(meta), *_initialisers(meta)])
    run_functions = graph.reached_functions((graph.nodes[name] for name in run_nodes), objects)
    restore_nodes, restore_functions = graph.occasion([meta.saver_def.restore_op_name])
    save_nodes, save_functions = graph.occasion([meta.saver_def.save_tensor_name])
    # The tensor that names the files is shared, and what nobody reaches counts as running.
    unreached_nodes = graph.nodes.keys() - run_nodes - restore_nodes - save_nodes
    unreached = graph.functions.keys() - run_functions - restore_functions - save_functions
    return Occasions(
        running=graph.operations(run_nodes | unreached_nodes, run_functions | unreached),
        restoring=graph.operations(restore_nodes, restore_functions),
        saving=graph.operations(save_nodes, save_functions),
    )
