"""Servers that would hold a download for ever, fill its memory, or pass half a picture for one."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from birdcli.budget import ByteBudget
from birdcli.download_slot import DownloadSlot
from birdcli.errors import ErrorCode, FetchError
from birdcli.fetch import open_http_fetcher
from birdcli.items import FetchedImage, ImageRef, SourceKind, Timings
from birdcli.pace import Pace
from birdcli.settings import FetchSettings
from tests.image_server import ImageServer, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

SETTINGS = FetchSettings(timeout_s=5.0, deadline_s=5.0, retries=0, max_bytes=1_000_000)
SHORT = replace(SETTINGS, timeout_s=0.3)
HEAD = b"HTTP/1.1 200 OK\r\n"


async def fetch(url: str, settings: FetchSettings = SETTINGS) -> FetchedImage:
    async with open_http_fetcher(settings) as fetcher:
        ref = ImageRef(index=0, source=url, kind=SourceKind.URL)
        return await fetcher.fetch(ref, Timings(time.perf_counter()))


async def failure(url: str, settings: FetchSettings = SETTINGS) -> FetchError:
    began_s = time.perf_counter()
    with pytest.raises(FetchError) as caught:
        await fetch(url, settings)
    assert time.perf_counter() - began_s < settings.timeout_s + 1.0
    return caught.value


@asynccontextmanager
async def sending(
    *pieces: bytes, pause_s: float = 0.0, for_ever: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serves these bytes, whatever is asked; yields the URL."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            while for_ever:
                writer.write(pieces[-1])
                await writer.drain()
                await asyncio.sleep(pause_s)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.jpg"
    finally:
        server.close()


# Slow


async def test_headers_that_drip_are_a_timeout() -> None:
    async with sending(HEAD, b"X: y\r\n", pause_s=0.02, for_ever=True) as url:
        assert (await failure(url, SHORT)).code is ErrorCode.FETCH_TIMEOUT


async def test_provisional_answers_without_end_are_a_timeout() -> None:
    more = b"HTTP/1.1 100 Continue\r\n\r\n"
    async with sending(more, pause_s=0.01, for_ever=True) as url:
        assert (await failure(url, SHORT)).code is ErrorCode.FETCH_TIMEOUT


@pytest.fixture
def short_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("birdcli.http_get.Pace", partial(Pace, window_s=0.2))


@pytest.mark.usefixtures("short_window")
async def test_a_body_below_the_lowest_rate_is_a_timeout_that_says_so() -> None:
    head = HEAD + b"Content-Length: 100000\r\n\r\n"
    async with sending(head, b"x" * 10, pause_s=0.02, for_ever=True) as url:  # 500 bytes/s
        error = await failure(url)
    assert (error.code, error.retryable) == (ErrorCode.FETCH_TIMEOUT, True)
    assert error.message == "The body came at less than 1,000 bytes per second"
    assert dict(error.details) == {"min_rate": 1000}


@pytest.mark.usefixtures("short_window")
async def test_a_body_that_begins_fast_and_then_drips_is_a_timeout() -> None:
    head = HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000
    async with sending(head, b"x", pause_s=0.02, for_ever=True) as url:
        assert (await failure(url)).code is ErrorCode.FETCH_TIMEOUT


@pytest.mark.usefixtures("short_window")
async def test_a_body_above_the_lowest_rate_may_take_its_time() -> None:
    pieces = [b"x" * 100] * 30  # 5 kB/s, over three windows
    async with sending(HEAD + b"Content-Length: 3000\r\n\r\n", *pieces, pause_s=0.02) as url:
        assert (await fetch(url)).data == b"x" * 3000


@pytest.mark.usefixtures("short_window")
async def test_no_lowest_rate_leaves_it_to_the_timeout() -> None:
    pieces = [b"x"] * 30
    async with sending(HEAD + b"Content-Length: 30\r\n\r\n", *pieces, pause_s=0.02) as url:
        assert (await fetch(url, replace(SETTINGS, min_rate=0))).data == b"x" * 30


async def test_a_name_server_that_never_answers_is_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def silent(*_: object) -> list[object]:
        answered.wait(10)
        raise OSError("nobody waits for this")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        error = await failure("http://silent.example/a.jpg", SHORT)
    finally:
        answered.set()
    assert (error.code, error.retryable) == (ErrorCode.FETCH_TIMEOUT, True)


async def test_an_unknown_name_is_a_dns_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = await failure("http://unknown.example/a.jpg")
    assert (error.code, error.retryable) == (ErrorCode.FETCH_DNS, True)


@pytest.fixture
def blackhole() -> Iterator[tuple[int, str]]:
    """A port of ::1 that answers no connection, its queue being full."""
    with socket.socket(socket.AF_INET6) as hole:
        try:
            hole.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        hole.listen(0)
        address = hole.getsockname()
        fillers = [socket.socket(socket.AF_INET6) for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address[1], "::1"
        for filler in fillers:
            filler.close()


async def test_an_ipv6_address_that_swallows_everything_costs_a_quarter_of_a_second(
    blackhole: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, number = blackhole

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 4\r\n\r\nbird")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        both = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (number, port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: both)
        began_s = time.perf_counter()
        assert (await fetch(f"http://both.example:{port}/a.jpg")).data == b"bird"
        assert 0.2 < time.perf_counter() - began_s < 2.0


# Too much


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(5000)) + b"\r\n",
        HEAD + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
        HEAD + b"y" * 1_000_000 + b": x\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=["thousands", "long-value", "long-name", "long-status"],
)
async def test_a_flood_of_headers_is_a_bad_response(head: bytes) -> None:
    async with sending(head) as url:
        error = await failure(url)
    assert (error.code, error.retryable) == (ErrorCode.FETCH_BAD_RESPONSE, False)


async def test_headers_without_end_take_no_memory() -> None:
    async with sending(HEAD, b"X-%s: y\r\n" % (b"z" * 1000), for_ever=True) as url:
        tracemalloc.start()
        try:
            error = await failure(url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert error.code is ErrorCode.FETCH_BAD_RESPONSE
    assert peak < 5_000_000


async def test_an_endless_body_on_a_redirect_is_not_read() -> None:
    async with ImageServer({"/b.jpg": Reply(body=b"bird")}) as server:
        head = b"HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n" % server.url("/b.jpg").encode()
        async with sending(head, b"x" * 65_536, for_ever=True) as url:
            assert (await fetch(url)).data == b"bird"


async def test_waiting_for_memory_is_not_the_servers_fault() -> None:
    budget = ByteBudget(100_000)
    older = await budget.share()
    for _ in range(60):
        older.settle(10_000)  # pictures are small so far
    younger = await budget.share()
    await older.reach(85_000)
    slot = DownloadSlot(asyncio.Semaphore(0), younger)
    settings = replace(SETTINGS, timeout_s=0.3)
    body = b"x" * 60_000
    async with (
        ImageServer({"/a.jpg": Reply(body=body)}) as server,
        open_http_fetcher(settings) as fetcher,
    ):
        asyncio.get_running_loop().call_later(0.6, older.close)
        ref = ImageRef(index=0, source=server.url("/a.jpg"), kind=SourceKind.URL)
        image = await fetcher.fetch(ref, Timings(time.perf_counter()), slot=slot)
    assert (image.data, image.attempts) == (body, 1)
    assert image.timings.total_ms > 500


async def test_an_announced_length_takes_no_memory_from_others() -> None:
    budget = ByteBudget(1_000_000)
    first, second = await budget.share(), await budget.share()
    slot = DownloadSlot(asyncio.Semaphore(0), first)
    reply = Reply(body=b"bird", declared=900_000)
    async with ImageServer({"/a.jpg": reply}) as server, open_http_fetcher(SETTINGS) as fetcher:
        ref = ImageRef(index=0, source=server.url("/a.jpg"), kind=SourceKind.URL)
        with pytest.raises(FetchError) as caught:
            await fetcher.fetch(ref, Timings(time.perf_counter()), slot=slot)
    assert caught.value.code is ErrorCode.FETCH_TRUNCATED
    assert first.size == second.size


# Lies


async def test_more_than_the_announced_length_is_a_bad_response() -> None:
    async with sending(HEAD + b"Content-Length: 4\r\n\r\nbird" + b"more" * 100) as url:
        error = await failure(url)
    assert (error.code, error.retryable) == (ErrorCode.FETCH_BAD_RESPONSE, False)


async def test_what_comes_after_the_announced_length_is_not_part_of_the_picture() -> None:
    head = HEAD + b"Content-Length: 4\r\n\r\n"
    async with sending(head, b"bird", b"more" * 100, pause_s=0.05) as url:
        assert (await fetch(url)).data == b"bird"


async def test_what_follows_a_body_is_no_answer_to_the_next_request() -> None:
    forged = HEAD + b"Content-Length: 6\r\n\r\nforged"
    async with (
        sending(HEAD + b"Content-Length: 4\r\n\r\nbird" + forged, pause_s=0.2) as url,
        open_http_fetcher(SETTINGS) as fetcher,
    ):
        for _ in range(2):
            ref = ImageRef(index=0, source=url, kind=SourceKind.URL)
            image = await fetcher.fetch(ref, Timings(time.perf_counter()))
            assert image.data == b"bird"


@pytest.mark.parametrize(
    "body",
    [b"zz\r\nbird\r\n0\r\n\r\n", b"4\r\nbirds\r\n0\r\n\r\n", b"-4\r\nbird\r\n0\r\n\r\n"],
    ids=["no-number", "too-short", "negative"],
)
async def test_broken_chunks_are_no_picture(body: bytes) -> None:
    async with sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body) as url:
        code = (await failure(url)).code
    assert code in {ErrorCode.FETCH_BAD_RESPONSE, ErrorCode.FETCH_TRUNCATED}


async def test_the_last_chunk_must_have_come() -> None:
    async with sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbird\r\n") as url:
        error = await failure(url)
    assert (error.code, error.retryable) == (ErrorCode.FETCH_TRUNCATED, True)


# Secrets


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subprocess.run(
        [openssl, "req", "-x509", *made, *subject, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_nobody_vouches_for_is_refused_and_not_asked_again(
    self_signed: ssl.SSLContext,
) -> None:
    async with sending(HEAD + b"Content-Length: 4\r\n\r\nbird", tls=self_signed) as url:
        error = await failure(url, replace(SETTINGS, retries=3))
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_TLS, False, 1)
    assert "self-signed certificate" in error.message


@pytest.mark.parametrize(
    "reply", [Reply(status=404), Reply(status=503), Reply(raw=b"junk\r\n\r\n")]
)
async def test_signed_queries_are_in_no_error(
    reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with ImageServer({"/a.jpg": reply}) as server:
        error = await failure(server.url("/a.jpg?X-Amz-Signature=s3cret", user_info="me:s3cret"))
    assert "s3cret" not in f"{error.message} {error.details} {error.hint} {caplog.text}"
