"""Installed versions on any engine, and which one answers on this machine."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from birdcli.models.engines import EngineName, this_machine
from birdcli.models.load import ModelLoader, load_labels
from birdcli.models.precision import Precision
from birdcli.models.variants import plan_variants

if TYPE_CHECKING:
    from birdcli.model_version import ModelVersion
    from birdcli.models.load import LoadedModel
    from birdcli.registry import Registry

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


def fastest_backend() -> str:
    """Engine and precision that answer here for a model that is a graph."""
    machine = this_machine()
    engine = EngineName.OPENVINO if machine.has(EngineName.OPENVINO) else EngineName.TENSORFLOW
    return f"{engine}/{'bfloat16' if machine.bfloat16 else 'float32'}"


def load(
    registry: Registry,
    version: ModelVersion,
    *,
    engine: EngineName | None = None,
    precision: Precision = Precision.AUTO,
    threads: int = 2,
    warnings: list[str] | None = None,
) -> LoadedModel:
    """Loads a version as a run does; what people are warned of goes to `warnings`."""
    told: list[str] = []
    folder = registry.version_folder(version)
    machine = this_machine()
    loader = ModelLoader(
        folder,
        version,
        load_labels(folder, version),
        machine,
        threads=threads,
        warn=(told if warnings is None else warnings).append,
    )
    loaded = loader.load(plan_variants(version, machine, engine=engine, precision=precision))
    assert not told, "a warning that nobody expects"
    return loaded
