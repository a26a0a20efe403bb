"""Whose bytes an answer is: connections that spoke while nobody had asked."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from birdcli.fetch import HttpFetcher, open_http_fetcher
from birdcli.items import ImageRef, SourceKind, Timings
from birdcli.settings import FetchSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SETTINGS = FetchSettings(timeout_s=5.0, deadline_s=5.0, retries=0)
UNASKED_AFTER_S = 0.05
TAKEN_FOR_READ_AFTER_S = 0.25


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


FORGED = answer(b"forged")
SAYS_408 = answer(b"", b"408 Request Timeout")


class TalkativeServer:
    """Answers each request with its path, and then says more.

    Attributes:
        connections: How many there were.
    """

    def __init__(self, *, along: bytes = b"", unasked: bytes = b"", once: bool = False) -> None:
        """Sends `along` with each answer, and `unasked` a little later; `once`, with the first."""
        self.connections = 0
        self._along = along
        self._unasked = unasked
        self._once = once
        self._port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    @contextmanager
    def in_a_thread(self) -> Iterator[None]:
        """Serves also while the client's event loop is busy."""
        ready: Future[Callable[[], object]] = Future()

        async def serve() -> None:
            stop = asyncio.Event()
            async with self.serving():
                loop = asyncio.get_running_loop()
                ready.set_result(lambda: loop.call_soon_threadsafe(stop.set))
                await stop.wait()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        stop = ready.result(10)
        try:
            yield
        finally:
            stop()
            thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(answer(head.split(b" ")[1]) + self._along)
                if self._unasked:
                    await asyncio.sleep(UNASKED_AFTER_S)
                    writer.write(self._unasked)
                    self._unasked = b"" if self._once else self._unasked
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def body(fetcher: HttpFetcher, url: str) -> str:
    ref = ImageRef(index=0, source=url, kind=SourceKind.URL)
    return (await fetcher.fetch(ref, Timings(time.perf_counter()))).data.decode()


@pytest.mark.parametrize(
    "unasked",
    [FORGED, SAYS_408, FORGED[:12], FORGED * 1000, b"\r\n"],
    ids=["answer", "408", "half-a-line", "many-answers", "empty-line"],
)
async def test_what_comes_unasked_is_no_answer_to_the_next_request(unasked: bytes) -> None:
    server = TalkativeServer(unasked=unasked)
    async with server.serving(), open_http_fetcher(SETTINGS) as fetcher:
        for path in ("/a.jpg", "/b.jpg", "/c.jpg"):
            assert await body(fetcher, server.url(path)) == path
            await asyncio.sleep(TAKEN_FOR_READ_AFTER_S)
    assert server.connections == 3


async def test_what_came_unasked_while_the_event_loop_was_busy_is_no_answer_either() -> None:
    server = TalkativeServer(unasked=FORGED)
    with server.in_a_thread():
        async with open_http_fetcher(SETTINGS) as fetcher:
            for path in ("/a.jpg", "/b.jpg"):
                assert await body(fetcher, server.url(path)) == path
                time.sleep(TAKEN_FOR_READ_AFTER_S)  # noqa: ASYNC251 - a loop that is busy


async def test_the_second_of_two_answers_to_one_request_is_no_answer_to_the_next() -> None:
    server = TalkativeServer(along=FORGED)
    async with server.serving(), open_http_fetcher(SETTINGS) as fetcher:
        for path in ("/a.jpg", "/b.jpg", "/c.jpg"):
            assert await body(fetcher, server.url(path)) == path
    assert server.connections == 3


async def test_connections_that_were_silent_are_used_again() -> None:
    server = TalkativeServer()
    async with server.serving(), open_http_fetcher(SETTINGS) as fetcher:
        for number in range(20):
            assert await body(fetcher, server.url(f"/{number}.jpg")) == f"/{number}.jpg"
            await asyncio.sleep(0.01)
    assert server.connections == 1


async def test_no_slot_is_lost_to_a_connection_that_is_dropped() -> None:
    settings = FetchSettings(timeout_s=5.0, deadline_s=5.0, retries=0, per_host=1)
    server = TalkativeServer(unasked=FORGED, once=True)
    async with server.serving(), open_http_fetcher(settings) as fetcher:
        assert await body(fetcher, server.url("/a.jpg")) == "/a.jpg"
        await asyncio.sleep(TAKEN_FOR_READ_AFTER_S)
        paths = [f"/{number}.jpg" for number in range(4)]
        found = await asyncio.gather(*(body(fetcher, server.url(path)) for path in paths))
    assert found == paths
    assert server.connections == 2
