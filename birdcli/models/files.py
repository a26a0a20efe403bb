"""Where the files of a version are, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.model_version import FileEntry

MODULE_FOLDER: Final = "module"
TFLITE_FILE: Final = f"{MODULE_FOLDER}/model.tflite"
FROZEN_GRAPH_FILE: Final = f"{MODULE_FOLDER}/graph.pb"
GOLDEN_FILE: Final = "golden.npz"


def read_verified(folder: Path, entry: FileEntry) -> bytes:
    """Returns the bytes of a file, the very ones that were hashed.

    Args:
        folder: The version's folder.
        entry: The file.

    Raises:
        ModelError: ``model.sha256_mismatch``.
    """
    try:
        data = (folder / entry.path).read_bytes()
    except OSError as err:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH,
            f"{folder / entry.path} was taken away just now: {err.strerror or err}",
            hint="Another process removed or replaced the version; try again.",
        ) from err
    if sha256_of_bytes(data) != entry.sha256:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH, f"{folder / entry.path} was changed just now"
        )
    return data
