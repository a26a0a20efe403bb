"""Versions whose bytes stand for a model: for what the registry does before anybody loads one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from birdcli.hashing import sha256_of_bytes
from birdcli.model_version import Evidence, FileEntry, LabelsSpec, ModelFormat, ModelVersion
from birdcli.registry import Registry, load_builtin_manifest

if TYPE_CHECKING:
    from pathlib import Path

EVIDENCE = Evidence(
    host="x86_64", backend="tensorflow/float32", libraries={}, deviation=0.0, at="2026-01-01"
)
WHO = "prover"


def open_registry(home: Path, *, lock_timeout_s: float = 60.0) -> Registry:
    """Returns the registry of a home."""
    return Registry(home, load_builtin_manifest(), lock_timeout_s=lock_timeout_s)


def stage(
    staged: Path, name: str = "birds", version: str = "1", *, weights: bytes = b"weights"
) -> ModelVersion:
    """Writes the files of a version and returns its entry."""
    contents = {
        "module/saved_model.pb": b"graph",
        "module/variables/variables.data": weights,
        "prepared/graph.pb": b"prepared",
        "golden.npz": b"golden",
        "labels.csv": b"id,name\n0,Pica pica\n",
    }
    entries = {}
    for path, data in contents.items():
        (staged / path).parent.mkdir(parents=True, exist_ok=True)
        (staged / path).write_bytes(data)
        entries[path] = FileEntry(path=path, bytes=len(data), sha256=sha256_of_bytes(data))
    return ModelVersion(
        name=name,
        version=version,
        format=ModelFormat.SAVED_MODEL,
        labels=LabelsSpec(path="labels.csv", sha256=entries["labels.csv"].sha256),
        files=(entries["module/saved_model.pb"], entries["module/variables/variables.data"]),
        prepared=(entries["prepared/graph.pb"],),
        golden=entries["golden.npz"],
    )


def install(
    registry: Registry, name: str = "birds", version: str = "1", *, weights: bytes = b"weights"
) -> str:
    """Installs such a version and returns its id."""
    with registry.staging() as staged:
        model = stage(staged, name, version, weights=weights)
        registry.install(model, staged, who=WHO)
    return model.id
