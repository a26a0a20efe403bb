"""Graphs derived from a model, which engines load and run faster: found, or made anew.

The name of each holds what it depends on: the library that made it, and a digest of its parents.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes, verify_digest
from birdcli.model_version import FileEntry, InputSpec, OutputKind
from birdcli.models.engines import EngineName
from birdcli.models.files import MODULE_FOLDER, read_verified
from birdcli.registry.integrity import PREPARED_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from birdcli.backends.tensorflow import GraphSpec
    from birdcli.model_version import ModelVersion
    from birdcli.models.engines import Machine

_REVISION: Final = 1
"""Of the way graphs are prepared: a change of it makes all of them anew."""
_GRAPH: Final = re.compile(rf"{PREPARED_FOLDER}/tensorflow-[^/]+-float32-[0-9a-f]{{12}}\.pb")


def parents_key(version: ModelVersion) -> str:
    """Returns a digest of all that a prepared graph is made of, 12 hex digits."""
    defaults = InputSpec()
    parts = {
        "revision": _REVISION,
        "files": {entry.path: entry.sha256 for entry in version.files or ()},
        "input": {
            name: value
            for name in InputSpec.__struct_fields__
            if (value := getattr(version.input, name)) != getattr(defaults, name)
        },
        "signature": version.signature,
        "output": version.output,
    }
    return sha256_of_bytes(json.dumps(parts, sort_keys=True).encode())[:12]


def is_prepared(version: ModelVersion) -> bool:
    """Tells whether a version has graphs that were made of it in the way they are made now."""
    ending = f"-{parents_key(version)}."
    return any(ending in entry.path for entry in version.prepared)


def graph_spec(version: ModelVersion) -> GraphSpec:
    """Returns what TensorFlow must know of a version."""
    from birdcli.backends.tensorflow import GraphSpec

    return GraphSpec(
        model=version.id,
        input=version.input,
        signature=version.signature,
        output=version.output or OutputKind.PROBABILITIES,
    )


class Preparation:
    """The prepared graphs of one installed or staged version.

    Attributes:
        made: What had to be made: path below the version's folder, and content.
    """

    def __init__(
        self,
        folder: Path,
        version: ModelVersion,
        machine: Machine,
        *,
        reproduces: Callable[[bytes], bool],
        warn: Callable[[str], None],
    ) -> None:
        """Looks up what is wanted when it is wanted.

        Args:
            folder: The version's folder.
            version: The version.
            machine: Which libraries there are.
            reproduces: Whether a frozen graph reproduces the golden outputs.
            warn: Tells people what is slower than it could be.
        """
        self.made: dict[str, bytes] = {}
        self._folder = folder
        self._version = version
        self._machine = machine
        self._reproduces = reproduces
        self._warn = warn
        self._key = parents_key(version)

    def graph(self) -> bytes:
        """Returns the frozen graph of the installed TensorFlow.

        Raises:
            ModelError: ``model.load_failed``, ``model.unsafe_op``, ``model.sha256_mismatch``,
                ``model.runtime_missing``.
        """
        path = self._path(EngineName.TENSORFLOW, "float32", "pb")
        return self._find(path) or self._keep(path, self._freeze())

    def bfloat16_graph(self) -> bytes:
        """Returns the same graph in bfloat16.

        Raises:
            ModelError: As `graph`.
        """
        from birdcli.backends.freeze import to_bfloat16

        path = self._path(EngineName.TENSORFLOW, "bfloat16", "pb")
        return self._find(path) or self._keep(
            path, to_bfloat16(self.graph(), model=self._version.id)
        )

    def ir(self) -> tuple[bytes, bytes]:
        """Returns the graph as OpenVINO reads it: description and weights.

        Raises:
            ModelError: As `graph`.
        """
        from birdcli.backends.openvino import convert_graph

        names = [self._path(EngineName.OPENVINO, "float32", end) for end in ("xml", "bin")]
        description, weights = (self._find(name) for name in names)
        if description is None or weights is None:
            description, weights = convert_graph(self._any_graph(), model=self._version.id)
            for name, data in zip(names, (description, weights), strict=True):
                self._keep(name, data)
        return description, weights

    def verify_module(self) -> None:
        """Raises unless the untouched model is still what it was: engines read it by themselves.

        Raises:
            ModelError: ``model.sha256_mismatch``.
        """
        for entry in self._version.files or ():
            verify_digest(self._folder / entry.path, entry.sha256)

    def _path(self, engine: EngineName, precision: str, ending: str) -> str:
        library = self._machine.versions.get(engine, "none")
        return f"{PREPARED_FOLDER}/{engine}-{library}-{precision}-{self._key}.{ending}"

    def _find(self, path: str) -> bytes | None:
        if path in self.made:
            return self.made[path]
        entries = (entry for entry in self._version.prepared if entry.path == path)
        entry = next(entries, None)
        if entry is None or not (self._folder / path).exists():
            return None
        return read_verified(self._folder, entry)

    def _keep(self, path: str, data: bytes) -> bytes:
        self.made[path] = data
        return data

    def _any_graph(self) -> bytes:
        """Returns the graph of whichever TensorFlow made one: OpenVINO needs no other."""
        ending = f"-{self._key}.pb"
        for entry in self._version.prepared:
            if _GRAPH.fullmatch(entry.path) and entry.path.endswith(ending):
                found = self._find(entry.path)
                if found is not None:
                    return found
        return self.graph()

    def _freeze(self) -> bytes:
        from birdcli.backends.freeze import freeze

        self.verify_module()
        module, spec = self._folder / MODULE_FOLDER, graph_spec(self._version)
        graph = freeze(module, spec, fold=True)
        if graph.folded and not self._reproduces(graph.data):
            self._warn(
                f"{self._version.id} does not keep its answers without its fake quantisation; it "
                "runs with it, at half the speed"
            )
            graph = freeze(module, spec, fold=False)
        return graph.data


def prepared_entries(files: Iterable[tuple[str, bytes]]) -> tuple[FileEntry, ...]:
    """Returns prepared graphs as a manifest lists them."""
    return tuple(
        FileEntry(path=path, bytes=len(data), sha256=sha256_of_bytes(data)) for path, data in files
    )


def unfit(err: ModelError) -> bool:
    """Tells whether an error is a reason to try the next variant, and not one of the machine."""
    if err.code is ErrorCode.MODEL_GOLDEN_MISMATCH:
        return dict(err.details).get("part") == "scores"
    return err.code in (ErrorCode.MODEL_LOAD_FAILED, ErrorCode.MODEL_RUNTIME_MISSING)
