"""States of a version, host by host."""

from __future__ import annotations

import pytest

from birdcli.manifest import Manifest
from birdcli.states import State, state_of
from tests.unit.test_manifest import a_version


@pytest.mark.parametrize(
    ("files", "aliases", "proven", "state"),
    [
        (None, {}, True, State.DECLARED),
        ((), {}, False, State.INSTALLED),
        ((), {}, True, State.VALIDATED),
        ((), {"production": "birds@2"}, True, State.PROMOTED),
        ((), {"production": "birds@2"}, False, State.PROMOTED),
        ((), {"production": "other@2"}, False, State.INSTALLED),
    ],
)
def test_the_state_is_what_holds_on_this_host(
    files: tuple[()] | None, aliases: dict[str, str], proven: bool, state: State
) -> None:
    version = a_version(files=files)
    manifest = Manifest(versions=(version,), aliases=aliases)
    assert state_of(version, manifest, proven=proven) is state
