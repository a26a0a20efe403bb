"""What kind of model a source turned out to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import ModelFormat
from birdcli.models.archive import find_model_root

if TYPE_CHECKING:
    from pathlib import Path

_TFLITE_MARK: Final = b"TFL3"
_HDF5_MARK: Final = b"\x89HDF\r\n\x1a\n"
_GRAPH_SUFFIX: Final = ".pb"
_EXPORT_HINT: Final = (
    'In Python: keras.models.load_model(FILE).export("folder"), then add the folder.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model among what a source held.

    Attributes:
        format: What it is.
        path: Its folder, or its only file.
    """

    format: ModelFormat
    path: Path


def _not_a_model(message: str, hint: str = "") -> ModelError:
    return ModelError(ErrorCode.MODEL_LOAD_FAILED, message, hint=hint)


def _is_keras(folder: Path) -> bool:
    """Tells whether this is what `model.save("x.keras")` packs into a zip."""
    return (folder / "config.json").is_file() and (folder / "model.weights.h5").is_file()


def bare_file_name(path: Path, *, called: str) -> str | None:
    """Returns what to call a file that is a model by itself; None for what must be an archive.

    Args:
        path: The file.
        called: Its name or URL: a graph is told by its suffix only.

    Raises:
        ModelError: ``model.load_failed`` for one file of a SavedModel's several.
    """
    head = _head(path)
    if head[4:8] == _TFLITE_MARK:
        return "model.tflite"
    if head.startswith(_HDF5_MARK):
        return "model.h5"
    if called.endswith("saved_model.pb"):
        raise _not_a_model(
            f"{called} is one file of a SavedModel", "Give the whole folder, or an archive of it."
        )
    return "graph.pb" if called.lower().endswith(_GRAPH_SUFFIX) else None


def recognise(folder: Path, *, source: str) -> Found:
    """Returns the model that a source held, by its content and not by anybody's word.

    Args:
        folder: What came: an unpacked archive, a copied folder, or one bare file in a folder.
        source: What to call it in messages.

    Raises:
        ModelError: ``model.load_failed`` if it is no model that can be used.
    """
    root = find_model_root(folder)
    if (root / "saved_model.pb").is_file():
        is_hub = (root / "tfhub_module.pb").is_file()
        return Found(format=ModelFormat.TF1_HUB if is_hub else ModelFormat.SAVED_MODEL, path=root)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if any(path.name == "keras_metadata.pb" for path in files) or _is_keras(folder):
        raise _not_a_model(f"{source} is a Keras file, which holds code", _EXPORT_HINT)
    heads = {path: _head(path) for path in files}
    tflite = [path for path, head in heads.items() if head[4:8] == _TFLITE_MARK]
    if len(tflite) == 1:
        return Found(format=ModelFormat.TFLITE, path=tflite[0])
    if len(tflite) > 1:
        names = ", ".join(path.name for path in tflite)
        raise _not_a_model(f"{source} holds several TFLite files: {names}", "Give one of them.")
    if any(head.startswith(_HDF5_MARK) for head in heads.values()):
        raise _not_a_model(f"{source} is a Keras or HDF5 file, no exported model", _EXPORT_HINT)
    graphs = [path for path in files if path.suffix == _GRAPH_SUFFIX]
    if len(graphs) == 1:
        return Found(format=ModelFormat.FROZEN_GRAPH, path=graphs[0])
    raise _not_a_model(
        f"{source} holds no model: neither saved_model.pb, nor a TFLite file, nor one graph in a "
        ".pb file",
        "Keras writes a SavedModel with `model.export(folder)`.",
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def demand_format(found: ModelFormat, declared: ModelFormat | None, *, source: str) -> None:
    """Raises if a source is of another format than it was said to be.

    Raises:
        ModelError: ``model.load_failed`` naming both.
    """
    if declared is not None and found is not declared:
        raise _not_a_model(
            f"{source} is of the format {found}, not {declared} as declared",
            f"Leave --format away, or give the {declared} file.",
        )
