"""How far a version has come on this kind of host."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from birdcli.manifest import Manifest
    from birdcli.model_version import ModelVersion


class State(StrEnum):
    """The states of a version, each one including those before it."""

    DECLARED = "declared"
    INSTALLED = "installed"
    VALIDATED = "validated"
    PROMOTED = "promoted"


def state_of(
    version: ModelVersion, manifest: Manifest, *, host: str, libraries: Mapping[str, str]
) -> State:
    """Returns the state of a version.

    Args:
        version: The version.
        manifest: For the aliases that may point to it.
        host: This host's CPU features: a proof of another kind of host does not count here.
        libraries: This host's library versions; likewise.
    """
    if not version.installed:
        return State.DECLARED
    if manifest.aliases_of(version.id):
        return State.PROMOTED
    proven = is_validated(version, host=host, libraries=libraries)
    return State.VALIDATED if proven else State.INSTALLED


def is_validated(version: ModelVersion, *, host: str, libraries: Mapping[str, str]) -> bool:
    """Tells whether a host of this kind has reproduced the golden outputs of a version.

    Args:
        version: The version.
        host: CPU features.
        libraries: Library versions by name.
    """
    return any(
        evidence.host == host and evidence.libraries == libraries for evidence in version.evidence
    )
