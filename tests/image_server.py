"""A web server on loopback that behaves as it is told, for tests of whatever downloads.

    async with ImageServer({"/a.jpg": Reply(body=data)}) as server:
        await fetch(server.url("/a.jpg"))

From a test that is not async, or whose client is another process:

    with serving({"/a.jpg": Reply(body=data)}) as server: ...

A route is one `Reply`, several (given in turn, the last one again and again), or a function of the
request. Paths without a route are 404.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn, Self, TypeAlias

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server does with one request.

    Attributes:
        body: The bytes of the answer.
        status: Its status.
        headers: Further headers.
        etag: Sent along; a request that names it in If-None-Match gets a 304.
        last_modified: Sent along; a request that repeats it in If-Modified-Since gets a 304.
        delay_s: Wait before the first byte.
        chunk_bytes: Send the body in chunked encoding, this many bytes at a time.
        chunk_delay_s: Wait after each of them.
        cut_after: Drop the connection after so many bytes of the body.
        declared: A Content-Length other than the truth; the connection closes after the body.
        endless: Repeat the body until the client leaves.
        hang: Never answer.
        reset: Drop the connection with a TCP reset, where `cut_after` or `raw` say.
        raw: Send exactly these bytes in place of an HTTP answer, then close.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    last_modified: str | None = None
    delay_s: float = 0.0
    chunk_bytes: int | None = None
    chunk_delay_s: float = 0.0
    cut_after: int | None = None
    declared: int | None = None
    endless: bool = False
    hang: bool = False
    reset: bool = False
    raw: bytes | None = None

    @classmethod
    def gzipped(cls, body: bytes, *, coding: str = "gzip") -> Reply:
        """The body with a gzip Content-Encoding."""
        return cls(body=gzip.compress(body), headers={"Content-Encoding": coding})

    @classmethod
    def redirect(cls, location: str, status: int = 302, *, delay_s: float = 0.0) -> Reply:
        """A redirect."""
        return cls(status=status, headers={"Location": location}, delay_s=delay_s)


Route: TypeAlias = Reply | Sequence[Reply] | Callable[[web.BaseRequest], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it arrived.

    Attributes:
        path: Path and query as on the wire.
        headers: By lowercase name.
        client_port: Tells connections apart.
    """

    path: str
    headers: Mapping[str, str]
    client_port: int


class _DroppedError(Exception):
    """The server has hung up."""


class ImageServer:
    """Serves routes on 127.0.0.1 and remembers who asked.

    Attributes:
        routes: By path without query; may be changed while serving.
        requests: All that arrived, in order.
        peak: The most requests under way at once.
        arrived: Set by the first request.
        abandoned: Set by the first client that left before the end.
    """

    def __init__(
        self,
        routes: Mapping[str, Route] | None = None,
        *,
        addresses: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        """Serves nothing before the `async with`; several addresses share one port."""
        self.addresses = addresses
        self.routes: dict[str, Route] = dict(routes or {})
        self.requests: list[Seen] = []
        self.peak = 0
        self.arrived = asyncio.Event()
        self.abandoned = asyncio.Event()
        self.port = 0
        self._under_way = 0
        self._runner: web.ServerRunner | None = None

    def url(self, path: str, *, user_info: str = "") -> str:
        """The URL of a path."""
        return f"http://{user_info}{'@' if user_info else ''}127.0.0.1:{self.port}{path}"

    def asked(self, path: str) -> int:
        """How often a path, with its query, was asked for."""
        return sum(seen.path == path for seen in self.requests)

    async def __aenter__(self) -> Self:
        """Starts to serve."""
        # Without an application: proxies are asked for paths that no router takes.
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        for address in self.addresses:
            await web.TCPSite(self._runner, address, self.port, backlog=512).start()
            self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops, whoever is still waiting."""
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        self.requests.append(
            Seen(
                path=request.raw_path,
                headers={name.lower(): value for name, value in request.headers.items()},
                client_port=request.transport.get_extra_info("peername")[1],
            )
        )
        self.arrived.set()
        self._under_way += 1
        self.peak = max(self.peak, self._under_way)
        try:
            return await self._answer(request, self._reply_to(request))
        except _DroppedError:
            return web.Response()  # nobody is there to read it
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned.set()
            raise
        finally:
            self._under_way -= 1

    def _reply_to(self, request: web.BaseRequest) -> Reply:
        # A proxy is asked for whole URLs; its routes are named by them.
        path = request.raw_path.split("?")[0]
        route = self.routes.get(path, Reply(status=404, body=b"no such picture"))
        if isinstance(route, Reply):
            return route
        if callable(route):
            return route(request)
        first, *rest = route
        if rest:
            self.routes[path] = rest
        return first

    async def _answer(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        await asyncio.sleep(reply.delay_s)
        if reply.hang:
            await asyncio.Event().wait()
        if reply.raw is not None:
            await self._drop(request, reply.raw, reset=reply.reset)
        headers = dict(reply.headers)
        if reply.etag is not None:
            headers["ETag"] = reply.etag
        if reply.last_modified is not None:
            headers["Last-Modified"] = reply.last_modified
        if _is_known(request, reply):
            return web.Response(status=304, headers=headers)
        if reply.chunk_bytes is not None or reply.endless:
            return await self._stream(request, reply, headers)
        if reply.cut_after is not None or reply.declared is not None:
            length = len(reply.body) if reply.declared is None else reply.declared
            headers["Content-Length"] = str(length)
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"HTTP/1.1 {reply.status} Whatever\r\n{lines}\r\n".encode()
            await self._drop(request, head + reply.body[: reply.cut_after], reset=reply.reset)
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    async def _stream(
        self, request: web.BaseRequest, reply: Reply, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        sent = 0
        while True:
            step = reply.chunk_bytes or len(reply.body)
            for start in range(0, len(reply.body), step):
                if reply.cut_after is not None and sent >= reply.cut_after:
                    await self._drop(request, b"", reset=reply.reset)
                await response.write(reply.body[start : start + step])
                sent += step
                await asyncio.sleep(reply.chunk_delay_s)
            if not reply.endless:
                return response

    async def _drop(self, request: web.BaseRequest, raw: bytes, *, reset: bool) -> NoReturn:
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        transport.write(raw)
        if reset:
            await asyncio.sleep(0.05)  # a reset overtakes what the client has not read yet
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        raise _DroppedError


def _is_known(request: web.BaseRequest, reply: Reply) -> bool:
    if reply.etag is not None:
        return request.headers.get("If-None-Match") == reply.etag
    if reply.last_modified is not None:
        return request.headers.get("If-Modified-Since") == reply.last_modified
    return False


@contextmanager
def serving(routes: Mapping[str, Route] | None = None) -> Iterator[ImageServer]:
    """Serves from a thread of its own."""
    server = ImageServer(routes)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="image-server")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
