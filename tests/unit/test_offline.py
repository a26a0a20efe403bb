"""URLs without a network."""

from __future__ import annotations

import pytest

from birdcli.errors import ErrorCode, FetchError
from birdcli.items import SourceKind, Stage, Timings, Validators
from birdcli.offline import OfflineFetcher
from tests.fakes import FakeClock, image_ref

URL = image_ref(0, "http://h/a.jpg", SourceKind.URL)
KNOWN = Validators(sha256="a" * 64)


async def test_what_is_known_is_unchanged() -> None:
    image = await OfflineFetcher(FakeClock()).fetch(URL, Timings(0.0), known=KNOWN)
    assert (image.sha256, image.data, image.unchanged) == (KNOWN.sha256, b"", True)
    assert [stage for stage, _ in image.timings.marks] == [Stage.QUEUE, Stage.FETCH]


async def test_what_is_not_known_is_not_asked_for() -> None:
    with pytest.raises(FetchError) as caught:
        await OfflineFetcher(FakeClock()).fetch(URL, Timings(0.0))
    assert caught.value.code is ErrorCode.FETCH_NOT_CACHED
    assert (caught.value.attempts, caught.value.retryable) == (0, False)
