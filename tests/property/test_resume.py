"""Whatever servers do while a download is continued, the file is one edition from end to end."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from birdcli.errors import ModelError
from birdcli.models.download import DownloadSettings, download_first
from tests.hub_server import Answer, HubServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Two of one length, so that only the validator tells them apart.
EDITIONS = (os.urandom(20_000), os.urandom(20_000), os.urandom(30_000))
EDITION = st.integers(0, len(EDITIONS) - 1)
ANSWERS = st.sampled_from(
    [
        *(Answer.ARCHIVE, Answer.CHUNKED, Answer.CUT, Answer.WHOLE, Answer.CURRENT, Answer.EARLIER),
        *(Answer.ANONYMOUS, Answer.CODED, Answer.NO_RANGE, Answer.SERVER_ERROR),
    ]
)
STEPS = st.lists(
    st.tuples(EDITION, EDITION, st.lists(ANSWERS, min_size=1, max_size=3)), min_size=1, max_size=4
)


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with HubServer(b"") as server:
        yield server


async def no_pause(_seconds: float) -> None:
    pass


@given(steps=STEPS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_file_is_a_mixture_of_editions(
    steps: list[tuple[int, int, list[Answer]]], hub: HubServer, tmp_path: Path
) -> None:
    def download(edition: int, script: list[Answer], *, retries: int) -> bool:
        hub.archive, hub.validators = EDITIONS[edition], {"ETag": f'"{edition}"'}
        hub.script = list(script)
        limits = DownloadSettings(retries=retries)
        partials = tmp_path / "partials"
        try:
            download_first(
                [hub.kaggle_url], tmp_path / "model", limits, partials=partials, sleep=no_pause
            )
        except ModelError:
            return False
        return True

    shutil.rmtree(tmp_path / "partials", ignore_errors=True)
    for before, after, script in steps:
        assert not download(before, [Answer.CUT], retries=0)
        if download(after, script, retries=2):
            assert (tmp_path / "model").read_bytes() == EDITIONS[after]
