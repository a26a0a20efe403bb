"""How many batches run at once."""

from __future__ import annotations

import pytest

from birdcli.backends.streams import streams_for


@pytest.mark.parametrize(
    ("threads", "streams"), [(0, 1), (1, 1), (2, 2), (8, 8), (16, 16), (17, 16), (256, 16)]
)
def test_every_cpu_has_a_batch_of_its_own_up_to_a_limit(threads: int, streams: int) -> None:
    assert streams_for(threads) == streams
