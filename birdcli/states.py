"""How far a version has come on this kind of host."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from birdcli.manifest import Manifest
    from birdcli.model_version import ModelVersion


class State(StrEnum):
    """The states of a version, each one including those before it."""

    DECLARED = "declared"
    INSTALLED = "installed"
    VALIDATED = "validated"
    PROMOTED = "promoted"


def state_of(version: ModelVersion, manifest: Manifest, *, proven: bool) -> State:
    """Returns the state of a version.

    Args:
        version: The version.
        manifest: For the aliases that may point to it.
        proven: Whether this kind of host has reproduced its golden outputs, with these libraries.
    """
    if not version.installed:
        return State.DECLARED
    if manifest.aliases_of(version.id):
        return State.PROMOTED
    return State.VALIDATED if proven else State.INSTALLED
