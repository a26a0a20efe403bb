"""States of a version, host by host."""

from __future__ import annotations

import msgspec
import pytest

from birdcli.manifest import Manifest
from birdcli.model_version import Evidence
from birdcli.states import State, state_of
from tests.unit.test_manifest import a_version

PROOF = Evidence(host="here", backend="b", libraries={"tf": "1"}, deviation=0.0, at="2026")


@pytest.mark.parametrize(
    ("version", "aliases", "state"),
    [
        (a_version(files=None), {}, State.DECLARED),
        (a_version(), {}, State.INSTALLED),
        (a_version(evidence=(PROOF,)), {}, State.VALIDATED),
        (a_version(evidence=(msgspec.structs.replace(PROOF, host="x"),)), {}, State.INSTALLED),
        (a_version(evidence=(msgspec.structs.replace(PROOF, libraries={}),)), {}, State.INSTALLED),
        (a_version(evidence=(PROOF,)), {"production": "birds@2"}, State.PROMOTED),
        (a_version(), {"production": "other@2"}, State.INSTALLED),
    ],
)
def test_the_state_is_what_holds_on_this_host(
    version: object, aliases: dict[str, str], state: State
) -> None:
    manifest = Manifest(versions=(version,), aliases=aliases)  # type: ignore[arg-type]
    assert state_of(version, manifest, host="here", libraries={"tf": "1"}) is state  # type: ignore[arg-type]
