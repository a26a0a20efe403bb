"""The libraries whose version may change an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from birdcli.host import library_versions
from birdcli.model_version import ModelFormat

if TYPE_CHECKING:
    from collections.abc import Mapping


def answering_libraries(model_format: ModelFormat) -> dict[str, str]:
    """Returns the installed versions of the libraries that answer for a format.

    Another engine beside the one that runs is none of a proof's business: installing it makes no
    proof stale.
    """
    found = library_versions("tensorflow", "ai-edge-litert", "pillow", "numpy")
    other = "ai-edge-litert"
    if model_format is ModelFormat.TFLITE and other in found:
        other = "tensorflow"
    found.pop(other, None)
    return found


def answering_libraries_by_format() -> Mapping[ModelFormat, dict[str, str]]:
    """Returns `answering_libraries` of every format, for listings."""
    return {model_format: answering_libraries(model_format) for model_format in ModelFormat}
