"""The parts of a run."""

from __future__ import annotations

import pytest

from birdcli.cli.wiring import patience_s
from birdcli.settings import DecodeSettings, FetchSettings


@pytest.mark.parametrize("deadline_s", [0.1, 15.0, 45.0])
def test_a_picture_that_waits_for_slow_ones_is_not_taken_for_stuck(deadline_s: float) -> None:
    decode = DecodeSettings(timeout_s=20.0)
    busy_until_s, own_tries_s = decode.timeout_s, 2 * decode.timeout_s
    limit_s = patience_s(FetchSettings(deadline_s=deadline_s), decode, workers=2)
    others_alone_s = 2 * decode.timeout_s
    assert limit_s > busy_until_s + others_alone_s + own_tries_s + others_alone_s
