"""Downloads from a real server on loopback, friendly and hostile."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import random
import socket
import time
import zlib
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from birdcli import __version__
from birdcli.errors import ErrorCode, FetchError, ItemError, SourceError
from birdcli.fetch import HttpFetcher, Surroundings, open_http_fetcher
from birdcli.hosts import Hosts
from birdcli.items import FetchedImage, ImageRef, SourceKind, Stage, Timings, Validators
from birdcli.proxies import Proxies, resolve_proxies
from birdcli.settings import FetchSettings
from tests.image_server import ImageServer, Reply, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PICTURE = random.Random(5).randbytes(200_000)
DIGEST = hashlib.sha256(PICTURE).hexdigest()
QUICK = FetchSettings(timeout_s=5.0, deadline_s=10.0, retries=2, max_bytes=1_000_000)
BOMB = gzip.compress(bytes(20_000_000))


class Pauses:
    """A sleep that only remembers."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, pause_s: float) -> None:
        self.taken.append(pause_s)


class NoJitter(random.Random):
    """Always the shortest pause."""

    def uniform(self, a: float, b: float) -> float:
        return a


def ref(url: str) -> ImageRef:
    return ImageRef(index=0, source=url, kind=SourceKind.URL)


def started() -> Timings:
    return Timings(time.perf_counter())


@asynccontextmanager
async def fetching(
    settings: FetchSettings = QUICK,
    *,
    pauses: Pauses | None = None,
    proxies: Proxies | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> AsyncIterator[HttpFetcher]:
    pauses = pauses or Pauses()
    surroundings = Surroundings(sleep=pauses, rng=random.Random(7), wall_clock=wall_clock)
    hosts: Hosts[None] = Hosts(per_host=settings.per_host, clock=lambda: sum(pauses.taken))
    async with open_http_fetcher(
        settings, hosts=hosts, proxies=proxies, surroundings=surroundings
    ) as fetcher:
        yield fetcher


async def fetch_one(
    url: str, settings: FetchSettings = QUICK, *, pauses: Pauses | None = None
) -> FetchedImage:
    async with fetching(settings, pauses=pauses) as fetcher:
        return await fetcher.fetch(ref(url), started())


async def failure(
    url: str, settings: FetchSettings = QUICK, *, pauses: Pauses | None = None
) -> ItemError:
    with pytest.raises(ItemError) as caught:
        await fetch_one(url, settings, pauses=pauses)
    return caught.value


async def failure_of(reply: Reply, settings: FetchSettings = QUICK) -> ItemError:
    async with ImageServer({"/a.jpg": reply}) as server:
        return await failure(server.url("/a.jpg"), settings)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# The friendly cases


async def test_a_picture_arrives_whole_with_its_digest() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE)}) as server:
        image = await fetch_one(server.url("/a.jpg"))
    assert (image.data, image.sha256, image.attempts) == (PICTURE, DIGEST, 1)
    assert not image.unchanged


async def test_a_small_picture_has_its_digest_too() -> None:
    async with ImageServer({"/a.jpg": Reply(body=b"tiny")}) as server:
        image = await fetch_one(server.url("/a.jpg"))
    assert image.sha256 == hashlib.sha256(b"tiny").hexdigest()


async def test_queue_and_fetch_are_marked_in_order() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE, delay_s=0.05)}) as server:
        image = await fetch_one(server.url("/a.jpg"))
    assert [stage for stage, _ in image.timings.marks] == [Stage.QUEUE, Stage.FETCH]
    assert image.timings.stages_ms()[Stage.FETCH] >= 45


async def test_requests_say_who_asks_and_for_what() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE)}) as server:
        await fetch_one(server.url("/a.jpg"))
        headers = server.requests[0].headers
    assert headers["user-agent"] == f"birdcli/{__version__} (+https://github.com/birdcli/birdcli)"
    assert headers["accept"].startswith("image/")
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers
    assert "if-none-match" not in headers


async def test_a_connection_is_used_again() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE)}) as server, fetching() as fetcher:
        for _ in range(3):
            await fetcher.fetch(ref(server.url("/a.jpg")), started())
        assert len({seen.client_port for seen in server.requests}) == 1


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("/a%7Eb.jpg?sig=a%2Bb%2f+c", "/a%7Eb.jpg?sig=a%2Bb%2f+c"),
        ("/a b/ä.jpg", "/a%20b/%C3%A4.jpg"),
        ("/\udcff.jpg", "/%FF.jpg"),
        ("/a.jpg#part", "/a.jpg"),
        ("", "/"),
    ],
)
async def test_a_url_is_sent_as_it_was_typed(typed: str, sent: str) -> None:
    async with ImageServer() as server:
        await failure(server.url(typed))
        assert [seen.path for seen in server.requests] == [sent]


async def test_a_body_in_chunks_arrives_whole() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE, chunk_bytes=30_000)}) as server:
        assert (await fetch_one(server.url("/a.jpg"))).data == PICTURE


async def test_a_body_that_ends_with_the_connection_arrives_whole() -> None:
    raw = b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE
    async with ImageServer({"/a.jpg": Reply(raw=raw)}) as server:
        assert (await fetch_one(server.url("/a.jpg"))).data == PICTURE


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(PICTURE)),
        ("deflate", zlib.compress(PICTURE)),
        ("identity", PICTURE),
        ("utf-8", PICTURE),
    ],
)
async def test_content_codings_are_undone(coding: str, body: bytes) -> None:
    reply = Reply(body=body, headers={"Content-Encoding": coding})
    async with ImageServer({"/a.jpg": reply}) as server:
        assert (await fetch_one(server.url("/a.jpg"))).data == PICTURE


async def test_203_is_as_good_as_200() -> None:
    async with ImageServer({"/a.jpg": Reply(status=203, body=PICTURE)}) as server:
        assert (await fetch_one(server.url("/a.jpg"))).data == PICTURE


async def test_headers_longer_than_aiohttp_likes_are_read() -> None:
    reply = Reply(body=PICTURE, headers={"Content-Security-Policy": "x" * 20_000})
    async with ImageServer({"/a.jpg": reply}) as server:
        assert (await fetch_one(server.url("/a.jpg"))).data == PICTURE


async def test_cookies_are_not_kept() -> None:
    reply = Reply(body=PICTURE, headers={"Set-Cookie": "track=1"})
    async with ImageServer({"/a.jpg": reply}) as server, fetching() as fetcher:
        # Cookies of bare addresses are never kept, those of names would be.
        url = server.url("/a.jpg").replace("127.0.0.1", "localhost")
        for _ in range(2):
            await fetcher.fetch(ref(url), started())
        assert "cookie" not in server.requests[1].headers


# Statuses and retries


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 416, 451, 501, 505, 206, 304])
async def test_a_final_status_is_asked_for_once(status: int) -> None:
    async with ImageServer({"/a.jpg": Reply(status=status)}) as server:
        error = await failure(server.url("/a.jpg"))
        assert server.asked("/a.jpg") == 1
    assert error.code == ErrorCode.FETCH_HTTP_STATUS
    assert dict(error.details)["status"] == status
    assert not error.retryable
    assert error.attempts == 1


async def test_the_message_of_a_status_is_ours_not_the_servers() -> None:
    raw = b"HTTP/1.1 404 \x1b[31mhttp://u:p@h/\r\nContent-Length: 0\r\n\r\n"
    error = await failure_of(Reply(raw=raw))
    assert error.message == "HTTP 404 Not Found"


async def test_an_unknown_status_is_reported() -> None:
    error = await failure_of(Reply(raw=b"HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n"))
    assert (error.code, error.message) == (ErrorCode.FETCH_HTTP_STATUS, "HTTP 799")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_passing_status_is_asked_for_again(status: int) -> None:
    async with ImageServer({"/a.jpg": [Reply(status=status), Reply(body=PICTURE)]}) as server:
        image = await fetch_one(server.url("/a.jpg"))
    assert (image.data, image.attempts) == (PICTURE, 2)


async def test_retries_end() -> None:
    pauses = Pauses()
    async with ImageServer({"/a.jpg": Reply(status=503)}) as server:
        error = await failure(server.url("/a.jpg"), pauses=pauses)
        assert server.asked("/a.jpg") == 3
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_HTTP_STATUS, True, 3)
    assert len(pauses.taken) == 2


async def test_429_has_a_code_of_its_own() -> None:
    error = await failure_of(Reply(status=429))
    assert (error.code, error.retryable) == (ErrorCode.FETCH_RATE_LIMITED, True)


async def test_retry_after_in_seconds_is_waited_for() -> None:
    pauses = Pauses()
    replies = [Reply(status=429, headers={"Retry-After": "7"}), Reply(body=PICTURE)]
    async with ImageServer({"/a.jpg": replies}) as server:
        await fetch_one(server.url("/a.jpg"), pauses=pauses)
    assert pauses.taken == [7.0]


async def test_retry_after_as_a_date_is_waited_for() -> None:
    pauses = Pauses()
    date = formatdate(1_000_008, usegmt=True)
    replies = [Reply(status=503, headers={"Retry-After": date}), Reply(body=PICTURE)]
    async with (
        ImageServer({"/a.jpg": replies}) as server,
        fetching(pauses=pauses, wall_clock=lambda: 1_000_000.0) as fetcher,
    ):
        await fetcher.fetch(ref(server.url("/a.jpg")), started())
    assert pauses.taken == [8.0]


async def test_a_retry_after_past_the_deadline_fails_at_once() -> None:
    pauses = Pauses()
    async with ImageServer(
        {"/a.jpg": Reply(status=429, headers={"Retry-After": "3600"})}
    ) as server:
        error = await failure(server.url("/a.jpg"), pauses=pauses)
        assert server.asked("/a.jpg") == 1
    assert (error.code, error.retryable) == (ErrorCode.FETCH_RATE_LIMITED, True)
    assert dict(error.details) == {"status": 429, "retry_after_s": 3600.0}
    assert pauses.taken == []


# Connections


async def test_a_dead_port_is_a_connect_error_with_its_reason() -> None:
    error = await failure(f"http://127.0.0.1:{unused_port()}/a.jpg", replace(QUICK, retries=1))
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_CONNECT, True, 2)
    assert error.message == "Could not connect: Connection refused"
    assert dict(error.details) == {"host": "127.0.0.1"}


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_closed_without_an_answer_is_a_connect_error(reset: bool) -> None:
    error = await failure_of(Reply(raw=b"", reset=reset))
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_CONNECT, True, 3)


async def test_a_server_without_tls_is_a_tls_error_and_not_retried() -> None:
    async def answer_in_clear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer_in_clear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(f"https://127.0.0.1:{port}/a.jpg")
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_TLS, False, 1)


async def test_garbage_is_a_bad_response_and_not_retried() -> None:
    error = await failure_of(Reply(raw=b"220 smtp.example.org ESMTP\r\n\r\n"))
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_BAD_RESPONSE, False, 1)


async def test_contradicting_lengths_are_a_bad_response() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"
    assert (await failure_of(Reply(raw=raw))).code == ErrorCode.FETCH_BAD_RESPONSE


# Time limits


async def test_a_server_that_never_answers_is_a_timeout() -> None:
    error = await failure_of(Reply(hang=True), replace(QUICK, timeout_s=0.1, retries=1))
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_TIMEOUT, True, 2)


async def test_a_body_that_drips_is_a_timeout() -> None:
    drip = Reply(body=bytes(1000), chunk_bytes=1, chunk_delay_s=0.02)
    error = await failure_of(drip, replace(QUICK, timeout_s=0.2, retries=0))
    assert error.code == ErrorCode.FETCH_TIMEOUT


async def test_redirects_share_the_time_of_one_attempt() -> None:
    routes = {f"/{n}": replace(Reply.redirect(f"/{n + 1}"), delay_s=0.1) for n in range(5)}
    async with ImageServer(routes) as server:
        error = await failure(server.url("/0"), replace(QUICK, timeout_s=0.25, retries=0))
    assert error.code == ErrorCode.FETCH_TIMEOUT


async def test_the_deadline_ends_all_attempts() -> None:
    settings = replace(QUICK, timeout_s=0.1, deadline_s=0.35, retries=50)
    at_once = Surroundings(rng=NoJitter())
    async with (
        ImageServer({"/a.jpg": Reply(hang=True)}) as server,
        open_http_fetcher(settings, surroundings=at_once) as fetcher,
    ):
        with pytest.raises(FetchError) as caught:
            await fetcher.fetch(ref(server.url("/a.jpg")), started())
    error = caught.value
    assert (error.code, error.retryable) == (ErrorCode.FETCH_DEADLINE, True)
    assert 2 <= error.attempts <= 4
    assert dict(error.details) == {"last_code": "fetch.timeout"}


async def test_the_deadline_ends_the_first_attempt_too() -> None:
    async with ImageServer({"/a.jpg": Reply(hang=True)}) as server:
        error = await failure(server.url("/a.jpg"), replace(QUICK, deadline_s=0.1))
    assert (error.code, error.attempts, error.details) == (ErrorCode.FETCH_DEADLINE, 1, ())


async def test_a_cancelled_download_leaves_its_slot() -> None:
    settings = replace(QUICK, per_host=1)
    routes = {"/slow": Reply(hang=True), "/a.jpg": Reply(body=PICTURE)}
    async with ImageServer(routes) as server, fetching(settings) as fetcher:
        task = asyncio.create_task(fetcher.fetch(ref(server.url("/slow")), started()))
        await server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        image = await fetcher.fetch(ref(server.url("/a.jpg")), started())
    assert image.data == PICTURE


# Bodies


async def test_a_body_shorter_than_its_length_is_truncated_and_asked_for_again() -> None:
    replies = [Reply(body=PICTURE, cut_after=1000), Reply(body=PICTURE)]
    async with ImageServer({"/a.jpg": replies}) as server:
        image = await fetch_one(server.url("/a.jpg"))
    assert (image.data, image.attempts) == (PICTURE, 2)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=PICTURE, cut_after=1000),
        Reply(body=PICTURE, cut_after=1000, reset=True),
        Reply(body=PICTURE, declared=len(PICTURE) + 1),
        Reply(body=PICTURE, chunk_bytes=50_000, cut_after=100_000),
        Reply(body=PICTURE, chunk_bytes=50_000, cut_after=100_000, reset=True),
        Reply(
            raw=b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(PICTURE)[:-20]
        ),
        Reply(body=gzip.compress(PICTURE)[:-20], headers={"Content-Encoding": "gzip"}),
    ],
    ids=["cut", "reset", "length", "chunks", "chunks-reset", "gzip-eof", "gzip-length"],
)
async def test_half_a_body_is_never_taken_for_a_whole_one(reply: Reply) -> None:
    error = await failure_of(reply)
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_TRUNCATED, True, 3)


async def test_an_empty_body_is_empty() -> None:
    error = await failure_of(Reply())
    assert (error.code, error.retryable) == (ErrorCode.FETCH_EMPTY, False)


async def test_204_is_empty() -> None:
    error = await failure_of(Reply(status=204))
    assert (error.code, dict(error.details)) == (ErrorCode.FETCH_EMPTY, {"status": 204})


async def test_a_declared_length_over_the_cap_is_refused_before_reading() -> None:
    never_ending = Reply(body=bytes(10), declared=10_000_000)
    async with ImageServer({"/a.jpg": never_ending}) as server:
        error = await failure(server.url("/a.jpg"))
        assert server.asked("/a.jpg") == 1
    assert (error.code, error.retryable) == (ErrorCode.FETCH_TOO_LARGE, False)
    assert dict(error.details) == {"max_bytes": 1_000_000}


async def test_a_body_of_exactly_the_cap_is_taken() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE)}) as server:
        image = await fetch_one(server.url("/a.jpg"), replace(QUICK, max_bytes=len(PICTURE)))
    assert image.data == PICTURE


async def test_an_endless_body_stops_at_the_cap_and_its_connection_is_closed() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE, endless=True)}) as server:
        error = await failure(server.url("/a.jpg"))
        async with asyncio.timeout(5):
            await server.abandoned.wait()
    assert error.code == ErrorCode.FETCH_TOO_LARGE


async def test_a_gzip_bomb_stops_at_the_cap_of_decoded_bytes() -> None:
    bomb = Reply(body=BOMB, headers={"Content-Encoding": "gzip"})
    assert len(BOMB) < QUICK.max_bytes
    assert (await failure_of(bomb)).code == ErrorCode.FETCH_TOO_LARGE


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_body_that_is_not_what_its_coding_says_is_a_bad_encoding(coding: str) -> None:
    # Byte 0xFF starts neither a gzip member nor a zlib stream, and is no deflate block.
    reply = Reply(body=b"\xff\xd8\xff" + PICTURE, headers={"Content-Encoding": coding})
    error = await failure_of(reply)
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_BAD_ENCODING, False, 1)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
async def test_a_coding_nobody_asked_for_is_a_bad_encoding(coding: str) -> None:
    error = await failure_of(Reply(body=PICTURE, headers={"Content-Encoding": coding}))
    assert error.code == ErrorCode.FETCH_BAD_ENCODING
    assert dict(error.details) == {"coding": coding}


# Redirects and credentials


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(status: int) -> None:
    routes = {"/old": Reply.redirect("/dir/../a.jpg", status), "/a.jpg": Reply(body=PICTURE)}
    async with ImageServer(routes) as server:
        image = await fetch_one(server.url("/old"))
    assert (image.data, image.attempts) == (PICTURE, 1)


async def test_as_many_redirects_as_allowed_are_followed() -> None:
    routes = {f"/{n}": Reply.redirect(f"/{n + 1}") for n in range(5)}
    async with ImageServer({**routes, "/5": Reply(body=PICTURE)}) as server:
        assert (await fetch_one(server.url("/0"))).data == PICTURE


async def test_a_redirect_loop_ends() -> None:
    async with ImageServer({"/a": Reply.redirect("/b"), "/b": Reply.redirect("/a")}) as server:
        error = await failure(server.url("/a"))
        assert len(server.requests) == 6
    assert (error.code, error.retryable, error.attempts) == (ErrorCode.FETCH_REDIRECT, False, 1)


async def test_no_redirect_may_be_allowed() -> None:
    async with ImageServer({"/a": Reply.redirect("/b")}) as server:
        error = await failure(server.url("/a"), replace(QUICK, max_redirects=0))
        assert len(server.requests) == 1
    assert error.code == ErrorCode.FETCH_REDIRECT


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://h/a.jpg", "javascript:0", "http://[::1", "data:,x"]
)
async def test_a_redirect_leads_to_http_only(location: str) -> None:
    error = await failure_of(Reply.redirect(location))
    assert (error.code, error.attempts) == (ErrorCode.FETCH_REDIRECT, 1)
    assert "passwd" not in error.message


async def test_a_redirect_without_a_location_is_a_redirect_error() -> None:
    assert (await failure_of(Reply(status=302))).code == ErrorCode.FETCH_REDIRECT


async def test_a_redirect_in_bytes_that_are_no_utf8_is_followed() -> None:
    raw = b"HTTP/1.1 302 Found\r\nLocation: /\xe9.jpg\r\nContent-Length: 0\r\n\r\n"
    async with ImageServer({"/a": Reply(raw=raw), "/%E9.jpg": Reply(body=PICTURE)}) as server:
        assert (await fetch_one(server.url("/a"))).data == PICTURE


async def test_user_info_becomes_basic_auth() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE)}) as server:
        await fetch_one(server.url("/a.jpg", user_info="me:s%20cret"))
        header = server.requests[0].headers["authorization"]
    assert base64.b64decode(header.removeprefix("Basic ")) == b"me:s cret"


async def test_credentials_stay_with_their_origin() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE)}) as other, ImageServer() as server:
        server.routes["/a"] = Reply.redirect("/b")
        server.routes["/b"] = Reply.redirect(other.url("/a.jpg"))
        await fetch_one(server.url("/a", user_info="me:secret"))
        assert ["authorization" in seen.headers for seen in server.requests] == [True, True]
        assert "authorization" not in other.requests[0].headers


async def test_a_redirect_cannot_bring_credentials_of_its_own() -> None:
    async with ImageServer({"/a.jpg": Reply(body=PICTURE)}) as other:
        location = other.url("/a.jpg", user_info="their:secret")
        async with ImageServer({"/a": Reply.redirect(location)}) as server:
            await fetch_one(server.url("/a"))
        assert "authorization" not in other.requests[0].headers


async def test_credentials_are_in_no_error() -> None:
    port = unused_port()
    error = await failure(f"http://me:s3cret@127.0.0.1:{port}/a.jpg?token=s3cret")
    shown = f"{error.message} {error.details} {error.hint}"
    assert "s3cret" not in shown
    assert isinstance(error, FetchError)


# What is no URL to download


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://", ErrorCode.SOURCE_INVALID_URL),
        ("http://[::1/a", ErrorCode.SOURCE_INVALID_URL),
        ("http://h:99999/", ErrorCode.SOURCE_INVALID_URL),
        ("http://a..b/a.jpg", ErrorCode.SOURCE_INVALID_URL),
        ("ftp://h/a.jpg", ErrorCode.SOURCE_BAD_SCHEME),
    ],
)
async def test_what_is_no_web_url_is_never_tried(url: str, code: ErrorCode) -> None:
    with pytest.raises(SourceError) as caught:
        await fetch_one(url)
    assert (caught.value.code, caught.value.attempts) == (code, 0)


# Many at once


async def test_requests_to_one_host_are_bounded() -> None:
    settings = replace(QUICK, per_host=3)
    routes = {"/a.jpg": Reply(body=b"bird", delay_s=0.02)}
    async with ImageServer(routes) as server, fetching(settings) as fetcher:
        await asyncio.gather(
            *(fetcher.fetch(ref(server.url("/a.jpg")), started()) for _ in range(20))
        )
        assert server.peak == 3


async def test_redirects_to_one_host_are_bounded() -> None:
    settings = replace(QUICK, per_host=2)
    async with ImageServer({"/a.jpg": Reply(body=b"bird", delay_s=0.02)}) as target:
        routes = {"/a": Reply.redirect(target.url("/a.jpg"))}
        async with ImageServer(routes) as server, fetching(settings) as fetcher:
            # Two names of one machine: two hosts with slots of their own.
            urls = [server.url("/a"), server.url("/a").replace("127.0.0.1", "localhost")]
            await asyncio.gather(*(fetcher.fetch(ref(urls[n % 2]), started()) for n in range(12)))
        assert target.peak == 2


# Asking whether a picture has changed


async def test_validators_of_a_whole_answer_come_with_it() -> None:
    routes = {"/a.jpg": Reply(body=PICTURE, etag='"v1"', last_modified="yesterday")}
    async with ImageServer(routes) as server, fetching() as fetcher:
        image = await fetcher.fetch(ref(server.url("/a.jpg")), started())
    assert image.offered == Validators(sha256=DIGEST, etag='"v1"', last_modified="yesterday")


@pytest.mark.parametrize(
    "known", [Reply(body=PICTURE, etag='"v1"'), Reply(body=PICTURE, last_modified="yesterday")]
)
async def test_an_unchanged_picture_is_not_sent_again(known: Reply) -> None:
    async with ImageServer({"/a.jpg": known}) as server, fetching() as fetcher:
        url = server.url("/a.jpg")
        first = await fetcher.fetch(ref(url), started())
        again = await fetcher.fetch(ref(url), started(), known=first.offered)
    assert (again.data, again.sha256, again.unchanged) == (b"", DIGEST, True)
    assert again.offered == first.offered
    assert [stage for stage, _ in again.timings.marks] == [Stage.QUEUE, Stage.FETCH]


async def test_a_changed_picture_is_sent() -> None:
    replies = [Reply(body=PICTURE, etag='"v1"'), Reply(body=b"new", etag='"v2"')]
    async with ImageServer({"/a.jpg": replies}) as server, fetching() as fetcher:
        url = server.url("/a.jpg")
        first = await fetcher.fetch(ref(url), started())
        again = await fetcher.fetch(ref(url), started(), known=first.offered)
        assert server.requests[1].headers["if-none-match"] == '"v1"'
    assert (again.data, again.unchanged) == (b"new", False)
    assert again.offered is not None
    assert again.offered.etag == '"v2"'


async def test_who_knows_nothing_gets_the_bytes() -> None:
    routes = {"/a.jpg": Reply(body=PICTURE, etag='"v1"')}
    async with ImageServer(routes) as server, fetching() as fetcher:
        for _ in range(2):
            image = await fetcher.fetch(ref(server.url("/a.jpg")), started())
            assert image.data == PICTURE
        assert "if-none-match" not in server.requests[1].headers


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"abc"),
        Reply(raw=b'HTTP/1.1 200 OK\r\nETag: "\xff"\r\nContent-Length: 3\r\n\r\nabc'),
    ],
    ids=["none", "no-text"],
)
async def test_without_validators_the_digest_alone_is_offered(reply: Reply) -> None:
    async with ImageServer({"/a.jpg": reply}) as server, fetching() as fetcher:
        image = await fetcher.fetch(ref(server.url("/a.jpg")), started())
    assert image.offered == Validators(sha256=hashlib.sha256(b"abc").hexdigest())


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=PICTURE, etag='"v1"', headers={"Cache-Control": "private, No-Store"}),
        Reply(body=PICTURE, etag='"v1"', cut_after=1000),
        Reply(body=PICTURE, etag='"v1"', status=404),
    ],
    ids=["no-store", "cut", "404"],
)
async def test_validators_that_are_worth_nothing_are_not_offered(reply: Reply) -> None:
    offered = None
    async with (
        ImageServer({"/a.jpg": reply}) as server,
        fetching(replace(QUICK, retries=0)) as fetcher,
    ):
        with suppress(FetchError):
            offered = (await fetcher.fetch(ref(server.url("/a.jpg")), started())).offered
        assert len(server.requests) == 1
    assert offered is None


# Proxies


async def test_a_proxy_is_asked_with_its_own_credentials() -> None:
    routes = {"http://birds.invalid/a.jpg": Reply(body=PICTURE)}
    async with ImageServer(routes) as proxy:
        named = {"http": proxy.url("", user_info="me:secret")}
        async with fetching(proxies=resolve_proxies(named, lambda _: False)) as fetcher:
            image = await fetcher.fetch(ref("http://birds.invalid/a.jpg"), started())
        headers = proxy.requests[0].headers
    assert image.data == PICTURE
    assert base64.b64decode(headers["proxy-authorization"].removeprefix("Basic ")) == b"me:secret"
    assert "authorization" not in headers


async def test_a_host_without_proxy_is_asked_directly() -> None:
    proxies = resolve_proxies({"http": "http://127.0.0.1:1"}, lambda host: host == "127.0.0.1")
    async with (
        ImageServer({"/a.jpg": Reply(body=PICTURE)}) as server,
        fetching(proxies=proxies) as fetcher,
    ):
        image = await fetcher.fetch(ref(server.url("/a.jpg")), started())
    assert image.data == PICTURE


async def test_proxy_variables_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ImageServer({"http://birds.invalid/a.jpg": Reply(body=PICTURE)}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        image = await fetch_one("http://birds.invalid/a.jpg")
    assert image.data == PICTURE


async def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with ImageServer({"/a.jpg": Reply(body=PICTURE)}) as server:
        assert (await fetch_one(server.url("/a.jpg"))).data == PICTURE


async def test_a_dead_proxy_is_a_connect_error() -> None:
    named = {"http": f"http://me:s3cret@127.0.0.1:{unused_port()}"}
    async with fetching(proxies=resolve_proxies(named, lambda _: False)) as fetcher:
        with pytest.raises(FetchError) as caught:
            await fetcher.fetch(ref("http://birds.invalid/a.jpg"), started())
    assert caught.value.code == ErrorCode.FETCH_CONNECT
    assert "proxy" in caught.value.message
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(("status", "retryable"), [(407, False), (503, True)])
async def test_a_proxy_that_refuses_is_a_connect_error(status: int, retryable: bool) -> None:
    async with ImageServer({"birds.invalid:443": Reply(status=status)}) as proxy:
        proxies = resolve_proxies({"https": proxy.url("")}, lambda _: False)
        async with fetching(proxies=proxies) as fetcher:
            with pytest.raises(FetchError) as caught:
                await fetcher.fetch(ref("https://birds.invalid/a.jpg"), started())
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.FETCH_CONNECT, retryable)
    assert dict(caught.value.details)["status"] == status


# The server of these tests


def test_the_server_serves_from_a_thread_too() -> None:
    with serving({"/a.jpg": Reply(body=PICTURE)}) as server:
        image = asyncio.run(fetch_one(server.url("/a.jpg")))
        assert server.asked("/a.jpg") == 1
    assert image.data == PICTURE


async def test_the_server_may_decide_by_request() -> None:
    def reply(request: object) -> Reply:
        return Reply.gzipped(PICTURE)

    async with ImageServer({"/a.jpg": reply}) as server:
        assert (await fetch_one(server.url("/a.jpg"))).data == PICTURE
