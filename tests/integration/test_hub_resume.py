"""Downloads that break off and are continued, against a real server that may lie."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.download import DownloadSettings, download_first
from birdcli.models.partial_folder import open_partial, sweep_partials
from tests.hub_server import HUB_PATH, KAGGLE_PATH, STORAGE_PATH, Answer, HubServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OLD = os.urandom(200_000)
NEW = os.urandom(200_000)
HALF = len(OLD) // 2
ONCE = DownloadSettings(retries=0, stall_timeout_s=0.2)
SETTLED = {"Last-Modified": "Tue, 14 Nov 2023 22:13:40 GMT"}


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


class Downloads:
    """Downloads with one folder of partial files."""

    def __init__(self, folder: Path) -> None:
        self.partials = folder / "partials"
        self.model = folder / "model"

    def __call__(self, *sources: str, **options: Any) -> bytes:
        download_first(
            sources, self.model, **{"partials": self.partials, "sleep": no_pause, **options}
        )
        assert self.kept() == []
        return self.model.read_bytes()

    def breaks_off(self, hub: HubServer, source: str | None = None) -> None:
        """Downloads half of the file and fails."""
        with pytest.raises(ModelError) as caught:
            self(source or hub.url, settings=ONCE)
        assert caught.value.code == ErrorCode.MODEL_DOWNLOAD_FAILED
        assert not self.model.exists()

    def kept(self) -> list[str]:
        """What is in the folder."""
        return sorted(path.name for path in self.partials.iterdir())


@pytest.fixture
def download(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path)


def rest(start: int = HALF) -> str:
    return f"bytes={start}-"


@pytest.mark.parametrize("trouble", [Answer.CUT, Answer.STALL])
def test_the_next_download_continues_where_the_last_broke_off(
    trouble: Answer, download: Downloads
) -> None:
    with HubServer(OLD, script=[trouble, Answer.ARCHIVE], etag='"1"') as hub:
        download.breaks_off(hub)
        assert download(hub.url) == OLD
        assert hub.ranges == [None, rest()]
        assert hub.requests[-1].headers["If-Range"] == '"1"'
        assert hub.paths == [HUB_PATH, KAGGLE_PATH, STORAGE_PATH] * 2


def test_a_retry_continues_without_a_folder_for_partial_files(tmp_path: Path) -> None:
    script = [Answer.CUT, Answer.CUT, Answer.ARCHIVE]
    with HubServer(OLD, script=script, etag='"1"') as hub:
        download_first([hub.url], tmp_path / "model", sleep=no_pause)
        assert hub.ranges == [None, rest(), rest(HALF + HALF // 2)]
    assert (tmp_path / "model").read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_of_unknown_length_is_continued(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CHUNKED, Answer.ARCHIVE], etag='"1"') as hub:
        with pytest.raises(KeyboardInterrupt):
            download(hub.url, progress=interrupt)
        assert download(hub.url) == OLD
        assert hub.ranges[-1] != rest(0)
        assert hub.ranges[-1] is not None


def interrupt(count: int, _length: int | None) -> None:
    if count > HALF:
        raise KeyboardInterrupt


def test_an_interrupted_download_is_continued(download: Downloads) -> None:
    with HubServer(OLD, etag='"1"') as hub:
        with pytest.raises(KeyboardInterrupt):
            download(hub.url, progress=interrupt)
        stopped_at = next(download.partials.glob("*.part")).stat().st_size
        assert stopped_at > HALF
        assert download(hub.url) == OLD
        assert hub.ranges == [None, rest(stopped_at)]


def test_a_download_over_its_time_limit_is_continued(download: Downloads) -> None:
    hurried = DownloadSettings(total_timeout_s=0.3)
    with HubServer(OLD, script=[Answer.STALL, Answer.ARCHIVE], etag='"1"') as hub:
        with pytest.raises(ModelError, match="did not come within"):
            download(hub.url, settings=hurried)
        assert download(hub.url) == OLD
        assert hub.ranges == [None, rest()]


def test_the_date_of_a_file_is_enough_to_continue(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE]) as hub:
        hub.validators = SETTLED
        download.breaks_off(hub)
        assert download(hub.url) == OLD
        assert hub.ranges == [None, rest()]
        assert hub.requests[-1].headers["If-Range"] == SETTLED["Last-Modified"]


@pytest.mark.parametrize("validators", [{}, {"ETag": 'W/"1"'}, {"ETag": 'W/"1"', **SETTLED}])
def test_without_a_strong_validator_nothing_is_kept(
    validators: dict[str, str], download: Downloads
) -> None:
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE]) as hub:
        hub.validators = validators
        download.breaks_off(hub)
        assert download.kept() == []
        assert download(hub.url) == OLD
        assert hub.ranges == [None, None]


@pytest.mark.parametrize(
    ("answer", "etag"),
    [
        (Answer.ARCHIVE, '"2"'),  # an honest server answers 200
        (Answer.WHOLE, '"2"'),
        (Answer.WHOLE, '"1"'),  # not even a validator that was forgotten makes a mixture
    ],
)
def test_a_whole_answer_replaces_what_was_there(
    answer: Answer, etag: str, download: Downloads
) -> None:
    with HubServer(OLD, script=[Answer.CUT, answer], etag='"1"') as hub:
        download.breaks_off(hub)
        hub.archive, hub.validators = NEW, {"ETag": etag}
        assert download(hub.url) == NEW
        assert hub.ranges == [None, rest()]


@pytest.mark.parametrize(
    ("answer", "validators"),
    [
        (Answer.CURRENT, {"ETag": '"2"'}),
        (Answer.CURRENT, {"ETag": 'W/"1"'}),
        (Answer.CURRENT, SETTLED),
        (Answer.EARLIER, {"ETag": '"1"'}),
        (Answer.SHORT, {"ETag": '"1"'}),
        (Answer.ANONYMOUS, {"ETag": '"1"'}),
        (Answer.CODED, {"ETag": '"1"'}),
        (Answer.NO_RANGE, {"ETag": '"1"'}),
    ],
)
def test_an_answer_that_is_not_the_rest_starts_over_once(
    answer: Answer, validators: dict[str, str], download: Downloads
) -> None:
    with HubServer(OLD, script=[Answer.CUT, answer], etag='"1"') as hub:
        download.breaks_off(hub)
        hub.archive, hub.validators = NEW, validators
        if answer is Answer.SHORT:  # without a range it is a file of its own
            assert download(hub.url) == NEW[:-1]
        else:
            assert download(hub.url) == NEW
        assert hub.ranges == [None, rest(), None]


def test_a_file_of_another_length_is_not_continued(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as hub:
        download.breaks_off(hub)
        hub.archive = NEW + b"more"
        assert download(hub.url) == NEW + b"more"


def test_more_bytes_than_announced_are_refused_and_not_kept(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CUT, Answer.LONG], etag='"1"') as hub:
        download.breaks_off(hub)
        with pytest.raises(ModelError, match="More bytes came than were announced"):
            download(hub.url)
    assert download.kept() == []


def test_fewer_bytes_than_announced_are_a_cut(download: Downloads) -> None:
    script = [Answer.CUT, Answer.LACKING, Answer.ARCHIVE]
    with HubServer(OLD, script=script, etag='"1"') as hub:
        assert download(hub.url) == OLD
        assert hub.ranges == [None, rest(), rest(len(OLD) - 1)]


def test_the_size_limit_holds_over_the_sum(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as hub:
        download.breaks_off(hub)
        with pytest.raises(ModelError, match="larger than 150,000 bytes"):
            download(hub.url, settings=DownloadSettings(max_bytes=150_000))


@pytest.mark.parametrize("answer", [Answer.SERVER_ERROR, Answer.NOT_FOUND, Answer.HTML])
def test_an_answer_without_bytes_keeps_what_was_there(answer: Answer, download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CUT, answer, Answer.ARCHIVE], etag='"1"') as hub:
        download.breaks_off(hub)
        download.breaks_off(hub)
        assert download(hub.url) == OLD
        assert hub.ranges == [None, rest(), rest()]


def test_a_redirect_to_another_file_is_not_continued(download: Downloads) -> None:
    with (
        HubServer(OLD, script=[Answer.CUT], etag='"1"') as old,
        HubServer(NEW, etag='"1"') as new,
        HubServer(b"", script=[Answer.MOVED]) as front,
    ):
        front.moved_to = old.kaggle_url
        download.breaks_off(front)
        front.moved_to = new.kaggle_url
        assert download(front.url) == NEW
        assert new.ranges == [rest(), None]


def test_every_source_has_its_own_bytes(download: Downloads) -> None:
    with (
        HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as first,
        HubServer(NEW, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as second,
    ):
        download.breaks_off(first)
        download.breaks_off(second)
        download_first([second.url], download.model, partials=download.partials)
        assert download.model.read_bytes() == NEW
        assert download(first.url) == OLD
        assert first.ranges == second.ranges == [None, rest()]


def test_a_continued_source_that_fails_gives_way_to_the_next(download: Downloads) -> None:
    with (
        HubServer(OLD, script=[Answer.CUT], etag='"1"') as bad,
        HubServer(NEW, etag='"1"') as good,
    ):
        download.breaks_off(bad)
        download_first(
            [bad.url, good.url], download.model, ONCE, partials=download.partials, sleep=no_pause
        )
        assert bad.ranges == [None, rest()]
        assert good.ranges == [None]
    assert download.model.read_bytes() == NEW


def test_all_reasons_are_told_when_every_source_breaks_off(download: Downloads) -> None:
    with (
        HubServer(OLD, script=[Answer.CUT], etag='"1"') as first,
        HubServer(OLD, script=[Answer.STALL], etag='"1"') as second,
        pytest.raises(ModelError) as caught,
    ):
        download(first.url, second.url, settings=ONCE)
    assert "The file was cut off" in caught.value.message
    assert "The server fell silent" in caught.value.message


def test_a_file_that_was_complete_but_not_placed_costs_one_byte(download: Downloads) -> None:
    with HubServer(OLD, etag='"1"') as hub:
        with pytest.raises(KeyboardInterrupt):
            download(hub.url, progress=interrupt_at_the_end)
        assert download(hub.url) == OLD
        assert hub.ranges == [None, rest(len(OLD) - 1)]


def interrupt_at_the_end(count: int, length: int | None) -> None:
    if count == length:
        raise KeyboardInterrupt


def test_progress_goes_on_where_it_stopped(download: Downloads) -> None:
    told: list[tuple[int, int | None]] = []
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as hub:
        download.breaks_off(hub)
        download(hub.url, progress=lambda count, length: told.append((count, length)))
    assert told[0][0] > HALF
    assert told[-1] == (len(OLD), len(OLD))


def test_two_at_once_both_end_right_and_only_one_continues(
    download: Downloads, tmp_path: Path
) -> None:
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as hub:
        download.breaks_off(hub)
        with open_partial(hub.url, tmp_path / "other", download.partials) as held:
            assert held.count == HALF
            download_first([hub.url], download.model, partials=download.partials)
            assert download.model.read_bytes() == OLD
            assert hub.ranges == [None, None]
        assert download(hub.url) == OLD
        assert hub.ranges == [None, None, rest()]


def test_many_at_once_all_end_right(tmp_path: Path) -> None:
    found: dict[int, bytes] = {}

    def run(number: int) -> None:
        target = tmp_path / f"model{number}"
        download_first([hub.url], target, partials=tmp_path / "partials", sleep=no_pause)
        found[number] = target.read_bytes()

    script = [Answer.CUT, Answer.ARCHIVE, Answer.CUT, Answer.ARCHIVE]
    with HubServer(OLD, script=script, etag='"1"') as hub:
        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert found == dict.fromkeys(range(4), OLD)
    assert list((tmp_path / "partials").iterdir()) == []


def test_a_broken_side_file_starts_over(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as hub:
        download.breaks_off(hub)
        next(download.partials.glob("*.json")).write_text("{")
        assert download(hub.url) == OLD
        assert hub.ranges == [None, None]


def test_a_folder_that_cannot_be_used_costs_nothing_but_the_rest(download: Downloads) -> None:
    download.partials.write_text("a file in its place")
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as hub:
        download_first([hub.url], download.model, partials=download.partials, sleep=no_pause)
        assert hub.ranges == [None, rest()]
    assert download.model.read_bytes() == OLD


def test_no_secret_of_a_source_is_kept(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CUT], token=("ann", "hunter2"), etag='"1"') as hub:
        source = hub.kaggle_url.replace("http://", "http://ann:hunter2@")
        download.breaks_off(hub, source + "?token=5ecret")
    kept = next(download.partials.glob("*.json")).read_text() + " ".join(download.kept())
    for secret in ("hunter2", "5ecret", "Signature", "localhost"):
        assert secret not in kept


def test_forgotten_downloads_can_be_swept(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CUT], etag='"1"') as hub:
        download.breaks_off(hub)
    freed = sweep_partials(download.partials, older_than_s=0.0, now_s=1e12)
    assert HALF < freed < HALF + 1000
    assert download.kept() == []


def space(free: int) -> Callable[[Path], int]:
    return lambda _folder: free


@pytest.mark.parametrize(("missing", "fits"), [(0, True), (1, False)])
def test_a_file_has_to_fit_with_what_it_unpacks_to(
    missing: int, fits: bool, download: Downloads
) -> None:
    settings = DownloadSettings(unpack_factor=2.0)
    free = 3 * len(OLD) - missing
    with HubServer(OLD, etag='"1"') as hub:
        if fits:
            assert download(hub.url, settings=settings, free_bytes=space(free)) == OLD
            return
        with pytest.raises(ModelError) as caught:
            download(hub.url, hub.kaggle_url, settings=settings, free_bytes=space(free))
        assert hub.paths.count(STORAGE_PATH) == 1
    assert caught.value.code == ErrorCode.MODEL_UNWRITABLE
    assert dict(caught.value.details) == {"needed_bytes": 600_000, "free_bytes": 599_999}
    assert "needs 0.6 MB" in caught.value.message
    assert download.kept() == []
    assert not download.model.exists()


def test_only_the_bytes_to_come_have_to_fit(download: Downloads) -> None:
    settings = DownloadSettings(unpack_factor=0.0)
    with HubServer(OLD, script=[Answer.CUT, Answer.ARCHIVE], etag='"1"') as hub:
        download.breaks_off(hub)
        with pytest.raises(ModelError, match=r"needs 0\.1 MB"):
            download(hub.url, settings=settings, free_bytes=space(HALF - 1))
        assert download(hub.url, settings=settings, free_bytes=space(HALF)) == OLD


def test_space_that_cannot_be_told_is_not_the_network_s_fault(download: Downloads) -> None:
    def fail(_folder: Path) -> int:
        raise OSError(5, "Input/output error")

    with HubServer(OLD) as hub, pytest.raises(ModelError) as caught:
        download(hub.url, free_bytes=fail)
    assert caught.value.code == ErrorCode.MODEL_UNWRITABLE
    assert "Input/output error" in caught.value.message


def test_a_file_of_unknown_length_is_not_held_against_the_disk(download: Downloads) -> None:
    with HubServer(OLD, script=[Answer.CHUNKED]) as hub:
        assert download(hub.url, free_bytes=space(0)) == OLD


@pytest.mark.parametrize("planted", ["part", "json", "lock"])
def test_a_planted_link_is_replaced_and_not_followed(
    planted: str, download: Downloads, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    with HubServer(OLD, etag='"1"') as hub:
        key = hashlib.sha256(hub.url.encode()).hexdigest()
        download.partials.mkdir()
        (download.partials / f"{key}.{planted}").symlink_to(precious)
        assert download(hub.url) == OLD
    assert precious.read_bytes() == b"precious"
    assert not download.model.is_symlink()
