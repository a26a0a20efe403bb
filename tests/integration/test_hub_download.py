from __future__ import annotations

import asyncio
import errno
import gzip
import http.server
import io
import os
import socket
import stat
import tarfile
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.credentials import Credential, Credentials, load_credentials
from birdcli.errors import ErrorCode, ModelError
from birdcli.models.archive import unpack_archive
from birdcli.models.download import DownloadSettings, download_first
from tests.hub_server import HUB_PATH, KAGGLE_PATH, SIGNATURE, STORAGE_PATH, Answer, HubServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_mock import MockerFixture

ARCHIVE = os.urandom(200_000)
IMPATIENT = DownloadSettings(stall_timeout_s=0.2, total_timeout_s=30.0)
TOKEN = ("ann", "hunter2-key")


class Pauses:
    """A sleep that takes no time and remembers."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def fetch(tmp_path: Path, pauses: Pauses) -> Callable[..., bytes]:
    """Downloads and returns the file; a failure must leave nothing behind."""

    def run(*sources: str, settings: DownloadSettings | None = None, **options: Any) -> bytes:
        target = tmp_path / "model"
        try:
            download_first(sources, target, settings, sleep=pauses, **options)
        except ModelError:
            assert list(tmp_path.iterdir()) == []
            raise
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
        return target.read_bytes()

    return run


def failure_of(fetch: Callable[..., bytes], *sources: str, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        fetch(*sources, **options)
    assert caught.value.code == ErrorCode.MODEL_DOWNLOAD_FAILED
    return caught.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_hub_is_followed_over_its_redirects(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE) as hub:
        assert fetch(hub.url) == ARCHIVE
        assert hub.paths == [HUB_PATH, KAGGLE_PATH, STORAGE_PATH]


def test_the_signature_arrives_as_it_was_signed(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE) as hub:
        fetch(hub.url)
        assert hub.requests[-1].target.endswith(f"X-Goog-Signature={SIGNATURE}")


def test_a_signature_may_be_longer_than_usual_headers(fetch: Callable[..., bytes]) -> None:
    with HubServer(b"", files={"/model": b"signed"}) as hub:
        location = f"{hub.base}/model?X-Goog-Signature={'0' * 16_000}"
        with raw_server(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()) as source:
            assert fetch(source) == b"signed"


def test_a_direct_address_works_too(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE) as hub:
        assert fetch(hub.kaggle_url) == ARCHIVE


def test_the_request_says_who_asks(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE) as hub:
        fetch(hub.url)
        agents = {seen.headers["User-Agent"] for seen in hub.requests}
    assert len(agents) == 1
    assert agents.pop().startswith("birdcli/")


def test_the_source_that_delivered_is_returned(tmp_path: Path) -> None:
    with HubServer(ARCHIVE) as hub:
        missing = f"{hub.base}/missing"
        assert download_first([missing, hub.url], tmp_path / "model") == hub.url


def test_the_file_can_be_unpacked(fetch: Callable[..., bytes], tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("saved_model.pb")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"graph"))
    with HubServer(gzip.compress(out.getvalue())) as hub:
        fetch(hub.url)
    unpack_archive(tmp_path / "model", tmp_path / "module")
    assert (tmp_path / "module" / "saved_model.pb").read_bytes() == b"graph"


def test_other_files_of_a_hub_can_be_fetched(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE, files={"/labels.csv": b"id,name\n"}) as hub:
        assert fetch(f"{hub.base}/labels.csv") == b"id,name\n"


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"old")
    with HubServer(ARCHIVE) as hub:
        download_first([hub.url], tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == ARCHIVE


def test_an_older_file_survives_a_failure(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"old")
    with HubServer(ARCHIVE, script=[Answer.NOT_FOUND]) as hub, pytest.raises(ModelError):
        download_first([hub.url], tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("answer", "lengths"), [(Answer.ARCHIVE, {len(ARCHIVE)}), (Answer.CHUNKED, {None})]
)
def test_progress_is_told(
    answer: Answer, lengths: set[int | None], fetch: Callable[..., bytes]
) -> None:
    told: list[tuple[int, int | None]] = []
    with HubServer(ARCHIVE, script=[answer]) as hub:
        fetch(hub.url, progress=lambda count, length: told.append((count, length)))
    counts = [count for count, _ in told]
    assert counts == sorted(counts)
    assert counts[-1] == len(ARCHIVE)
    assert {length for _, length in told} == lengths


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer.NOT_FOUND, "HTTP 404 Not Found"),
        (Answer.HTML, "HTML page"),
        (Answer.EMPTY, "The file is empty"),
        (Answer.LOOP, "more than 10 redirects"),
    ],
)
def test_what_will_not_get_better_is_asked_for_once(
    answer: Answer, reason: str, fetch: Callable[..., bytes], pauses: Pauses
) -> None:
    with HubServer(ARCHIVE, script=[answer]) as hub:
        error = failure_of(fetch, hub.url)
        assert hub.paths.count(HUB_PATH) == 1
    assert reason in error.message
    assert pauses.slept_s == []
    assert dict(error.details)["unreachable"] is False


@pytest.mark.parametrize(
    ("answer", "reason", "pauses_s"),
    [
        (Answer.SERVER_ERROR, "HTTP 500 Internal Server Error", [1.0, 2.0]),
        (Answer.RATE_LIMITED, "HTTP 429 Too Many Requests", [7.0, 7.0]),
        (Answer.CUT, "cut off", [1.0, 2.0]),
        (Answer.STALL, "fell silent", [1.0, 2.0]),
    ],
)
def test_passing_troubles_are_retried_twice(
    answer: Answer,
    reason: str,
    pauses_s: list[float],
    fetch: Callable[..., bytes],
    pauses: Pauses,
) -> None:
    with HubServer(ARCHIVE, script=[answer]) as hub:
        error = failure_of(fetch, hub.url, settings=IMPATIENT)
        assert hub.paths.count(STORAGE_PATH) == 3
    assert reason in error.message
    assert pauses.slept_s == pauses_s
    assert dict(error.details)["unreachable"] is False


@pytest.mark.parametrize("trouble", [Answer.SERVER_ERROR, Answer.CUT, Answer.STALL])
def test_a_retry_brings_the_whole_file_with_a_new_signature(
    trouble: Answer, fetch: Callable[..., bytes]
) -> None:
    settings = DownloadSettings(stall_timeout_s=0.5, total_timeout_s=30.0)
    with HubServer(ARCHIVE, script=[trouble, Answer.ARCHIVE]) as hub:
        assert fetch(hub.url, settings=settings) == ARCHIVE
        assert hub.paths == [HUB_PATH, KAGGLE_PATH, STORAGE_PATH] * 2


def test_the_next_source_is_tried_when_one_fails(fetch: Callable[..., bytes]) -> None:
    dead = f"http://127.0.0.1:{free_port()}/"
    with HubServer(ARCHIVE) as hub:
        assert fetch(dead, f"{hub.base}/missing", "ftp://x/", hub.url) == ARCHIVE


def test_nothing_of_a_failed_source_stays_in_the_file(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE, script=[Answer.CUT]) as bad, HubServer(b"short") as good:
        assert fetch(bad.url, good.url) == b"short"


def test_every_failed_source_is_told(fetch: Callable[..., bytes]) -> None:
    port = free_port()
    with HubServer(ARCHIVE, script=[Answer.NOT_FOUND]) as hub:
        error = failure_of(fetch, f"http://127.0.0.1:{port}/", hub.url)
    assert f"http://127.0.0.1:{port}/: The host cannot be reached" in error.message
    assert "HTTP 404 Not Found" in error.message
    assert dict(error.details) == {"unreachable": False, "status": 404}


def test_a_refused_connection_is_unreachable(fetch: Callable[..., bytes], pauses: Pauses) -> None:
    error = failure_of(fetch, f"http://127.0.0.1:{free_port()}/", name="aiy-birds-v1")
    assert dict(error.details) == {"unreachable": True, "status": None}
    assert "birdcli registry pull aiy-birds-v1 --from FILE" in error.hint
    assert pauses.slept_s == [1.0, 2.0]


def test_an_unknown_name_is_unreachable(fetch: Callable[..., bytes], mocker: MockerFixture) -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    mocker.patch("socket.getaddrinfo", side_effect=unknown)
    error = failure_of(fetch, "http://hub.example/x")
    assert "The host has no address" in error.message
    assert dict(error.details)["unreachable"] is True


def test_a_silent_name_server_is_unreachable_within_the_limit(
    fetch: Callable[..., bytes], mocker: MockerFixture
) -> None:
    never = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any) -> Any:
        if host == "hub.example":
            never.wait(60)
        return real(host, *rest)

    mocker.patch("socket.getaddrinfo", getaddrinfo)
    settings = DownloadSettings(connect_timeout_s=0.1)
    started_s = time.monotonic()
    error = failure_of(fetch, "http://hub.example/x", settings=settings)
    assert time.monotonic() - started_s < 30
    never.set()
    assert "The host does not answer" in error.message
    assert dict(error.details)["unreachable"] is True


def test_an_unreachable_host_is_given_up_when_the_time_for_a_fallback_has_come(
    fetch: Callable[..., bytes], pauses: Pauses
) -> None:
    now_s = iter([0.0, 3.0, 4.5])
    failure_of(fetch, f"http://127.0.0.1:{free_port()}/", clock=lambda: next(now_s))
    assert pauses.slept_s == [1.0]


def test_a_file_has_a_total_time_limit(fetch: Callable[..., bytes]) -> None:
    settings = DownloadSettings(total_timeout_s=0.2)
    with HubServer(ARCHIVE, script=[Answer.STALL]) as hub:
        error = failure_of(fetch, hub.url, settings=settings)
    assert "did not come within 0.2 s" in error.message
    assert dict(error.details)["unreachable"] is False


@pytest.mark.parametrize("answer", [Answer.ARCHIVE, Answer.CHUNKED])
def test_a_file_that_is_too_large_is_refused(answer: Answer, fetch: Callable[..., bytes]) -> None:
    settings = DownloadSettings(max_bytes=len(ARCHIVE) - 1)
    with HubServer(ARCHIVE, script=[answer]) as hub:
        error = failure_of(fetch, hub.url, settings=settings)
        assert hub.paths.count(STORAGE_PATH) == 1
    assert "larger than 199,999 bytes" in error.message


def test_a_file_of_the_largest_size_is_fine(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE) as hub:
        assert fetch(hub.url, settings=DownloadSettings(max_bytes=len(ARCHIVE))) == ARCHIVE


def test_a_refusal_without_a_token_says_what_helps(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE, token=TOKEN) as hub:
        error = failure_of(fetch, hub.url, name="aiy-birds-v1")
        assert len(hub.requests) == 2
    assert "HTTP 403 Forbidden (redirected to localhost)" in error.message
    for part in ("~/.netrc", "KAGGLE_USERNAME", "KAGGLE_KEY", "pull aiy-birds-v1 --from FILE"):
        assert part in error.hint
    assert dict(error.details) == {"unreachable": False, "status": 403}


def test_a_token_from_the_netrc_file_opens_the_hub(
    fetch: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text(f"machine localhost login {TOKEN[0]} password {TOKEN[1]}\n")
    with HubServer(ARCHIVE, token=TOKEN) as hub:
        assert fetch(hub.url, credentials=load_credentials(netrc=str(netrc))) == ARCHIVE


def test_a_token_goes_to_its_own_host_only(fetch: Callable[..., bytes]) -> None:
    kaggle = Credential(host="localhost", username=TOKEN[0], password=TOKEN[1])
    with HubServer(ARCHIVE, token=TOKEN) as hub:
        assert fetch(hub.url, credentials=Credentials((kaggle,))) == ARCHIVE
        sent = [(seen.path, "Authorization" in seen.headers) for seen in hub.requests]
    assert sent == [(HUB_PATH, False), (KAGGLE_PATH, True), (STORAGE_PATH, False)]


def test_a_netrc_file_of_the_user_is_not_read_behind_our_back(
    fetch: Callable[..., bytes],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("default login ann password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with HubServer(ARCHIVE) as hub:
        assert fetch(hub.url) == ARCHIVE
        assert not any("Authorization" in seen.headers for seen in hub.requests)


def test_user_info_of_a_source_stays_with_its_host(fetch: Callable[..., bytes]) -> None:
    with HubServer(ARCHIVE, token=TOKEN) as hub:
        source = hub.kaggle_url.replace("http://", f"http://{TOKEN[0]}:{TOKEN[1]}@")
        assert fetch(source) == ARCHIVE
        sent = [(seen.path, "Authorization" in seen.headers) for seen in hub.requests]
    assert sent == [(KAGGLE_PATH, True), (STORAGE_PATH, False)]


@pytest.mark.parametrize("answer", [Answer.CUT, Answer.STALL, Answer.NOT_FOUND, Answer.HTML])
def test_no_message_or_traceback_holds_a_secret(
    answer: Answer, fetch: Callable[..., bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with HubServer(ARCHIVE, script=[answer], token=TOKEN) as hub:
        source = hub.kaggle_url.replace("http://", f"http://{TOKEN[0]}:{TOKEN[1]}@")
        error = failure_of(fetch, source + "?token=5ecret", settings=IMPATIENT)
    told = "".join(traceback.format_exception(error)) + error.hint + caplog.text
    for secret in (TOKEN[1], SIGNATURE, "5ecret"):
        assert secret not in told


def test_a_proxy_of_the_environment_is_used_with_its_login(
    fetch: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(b"", files={"/model": b"through the proxy"}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base.replace("http://", "http://ann:hunter2@"))
        assert fetch("http://hub.example/model") == b"through the proxy"
        seen = proxy.requests[0]
    assert seen.target == "http://hub.example/model"
    assert "Proxy-Authorization" in seen.headers
    assert "Authorization" not in seen.headers


def test_no_proxy_is_honoured(fetch: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    with HubServer(ARCHIVE) as hub:
        assert fetch(hub.url) == ARCHIVE


def test_a_dead_proxy_is_unreachable(
    fetch: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    error = failure_of(fetch, "http://hub.example/model")
    assert "The proxy cannot be reached" in error.message
    assert dict(error.details)["unreachable"] is True


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("step", ["write", "fsync", "truncate"])
def test_a_full_disk_is_told_and_not_taken_for_the_network(
    step: str, keeps: bool, tmp_path: Path, mocker: MockerFixture, pauses: Pauses
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    if step == "fsync":
        mocker.patch("os.fsync", side_effect=full)
    else:

        def fail(*_: object) -> None:
            raise full

        mocker.patch("io.FileIO", type("FullFile", (io.FileIO,), {step: fail}))
    partials = tmp_path / "partials"
    with HubServer(ARCHIVE, etag='"1"') as hub, pytest.raises(ModelError) as caught:
        download_first(
            [hub.url], tmp_path / "model", partials=partials if keeps else None, sleep=pauses
        )
    assert caught.value.code == ErrorCode.MODEL_UNWRITABLE
    assert "No space left on device" in caught.value.message
    assert [path for path in tmp_path.rglob("*") if path != partials] == []
    assert pauses.slept_s == []


def test_the_file_is_private_until_it_is_placed(tmp_path: Path) -> None:
    with HubServer(ARCHIVE) as hub:
        download_first([hub.url], tmp_path / "model")
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) & 0o077 == 0


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Serves bytes that no HTTP library would send."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(answer)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/model"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "does not speak HTTP"),
        (b"", "The connection broke"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "leads nowhere"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "no http:// or https://"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", "no URL"),
        (b"HTTP/1.1 200 \x1b[2J\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "cut off"),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\nab", "HTTP 206"),
    ],
)
def test_answers_that_break_the_rules_fail(
    answer: bytes, reason: str, fetch: Callable[..., bytes]
) -> None:
    with raw_server(answer) as source:
        error = failure_of(fetch, source)
    assert reason in error.message
    assert error.message.isprintable()


def test_a_server_that_is_no_tls_server_is_no_reason_to_fall_back(
    fetch: Callable[..., bytes],
) -> None:
    with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as source:
        error = failure_of(fetch, source.replace("http:", "https:"))
    assert "TLS" in error.message
    assert dict(error.details)["unreachable"] is False


def gzip_coded(body: bytes) -> bytes:
    coded = gzip.compress(body)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(coded)}\r\n\r\n"
    return head.encode() + coded


def test_a_coded_body_is_decoded(fetch: Callable[..., bytes]) -> None:
    with raw_server(gzip_coded(bytes(500_000))) as source:
        assert fetch(source) == bytes(500_000)


def test_the_bytes_of_a_coded_body_are_counted_decoded(fetch: Callable[..., bytes]) -> None:
    with raw_server(gzip_coded(bytes(500_000))) as source:
        error = failure_of(fetch, source, settings=DownloadSettings(max_bytes=400_000))
    assert "larger than 400,000 bytes" in error.message
