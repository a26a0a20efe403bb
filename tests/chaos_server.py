"""A web server that plays every fault of a hostile internet, byte by byte.

    python -m tests.chaos_server --port-file PORTS.json [--addresses 64]

It speaks HTTP/1.1 over bare sockets, as a library would refuse to send most of this. `ROUTES` says
which path plays which fault. Different addresses of 127.0.0.0/8 stand for different hosts.
"""

from __future__ import annotations

import argparse
import asyncio
import email.utils
import gzip
import json
import random
import signal
import socket
import ssl
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.chaos_wire import Connection, Seen, head, picture

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from types import TracebackType

LAST_MODIFIED: Final = "Mon, 02 Nov 2026 08:00:00 GMT"
CERTIFICATE: Final = Path(__file__).with_name("self_signed_test_only.pem")
LOG_LENGTH: Final = 300_000
_MAX_REQUEST_BYTES: Final = 65_536


_PHOTO: Final = picture(0x336699, side=1000)


class ChaosServer:
    """The server; use as an async context manager, or through `chaos`.

    Attributes:
        seen: The last `LOG_LENGTH` requests, in order.
    """

    def __init__(self, *, addresses: int = 1) -> None:
        """Binds nothing yet.

        Args:
            addresses: How many hosts to play, 1 to 250.
        """
        self.seen: deque[Seen] = deque(maxlen=LOG_LENGTH)
        self.addresses = tuple(f"127.0.0.{number + 1}" for number in range(addresses))
        self._failures: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.Task[None]] = set()
        self._full: list[socket.socket] = []
        self._stopped = asyncio.Event()

    async def __aenter__(self) -> ChaosServer:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(CERTIFICATE)
        self.port = await self._listen(self.addresses[0], 0)
        for address in self.addresses[1:]:
            await self._listen(address, self.port)
        self.tls_port = await self._listen(self.addresses[0], 0, tls)
        self.full_port = self._listen_without_accepting()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for server in self._servers:
            server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for taken in self._full:
            taken.close()

    def url(self, target: str, *, host: int = 0) -> str:
        """Returns a URL of this server, at one of its addresses."""
        return f"http://{self.addresses[host % len(self.addresses)]}:{self.port}{target}"

    @property
    def tls_url(self) -> str:
        """A picture behind a certificate that nobody signed."""
        return f"https://{self.addresses[0]}:{self.tls_port}/ok/0"

    @property
    def never_accepts_url(self) -> str:
        """A port whose queue of connections is full: connecting takes until the client gives up."""
        return f"http://{self.addresses[0]}:{self.full_port}/ok/0"

    def requests_of(self, target: str) -> list[Seen]:
        """Returns the requests for one target, in order."""
        return [seen for seen in self.seen if seen.target == target]

    async def _listen(self, address: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        server = await asyncio.start_server(
            self._serve, address, port, ssl=tls, limit=_MAX_REQUEST_BYTES, backlog=1024
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _listen_without_accepting(self) -> int:
        listening = socket.socket()
        listening.bind((self.addresses[0], 0))
        listening.listen(0)
        self._full.append(listening)
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(listening.getsockname())
            self._full.append(client)
        return int(listening.getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client went away, as it may
        except asyncio.CancelledError:
            pass  # the server ends; asyncio would report a cancelled handler as an error
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; returns whether another one may follow."""
        raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw.rstrip("\r\n").split("\r\n")
        fields = (line.partition(":") for line in lines)
        seen = Seen(
            at_s=time.monotonic(),
            address=writer.get_extra_info("sockname")[0],
            target=first.split(" ")[1],
            headers={name.strip().lower(): value.strip() for name, _, value in fields},
        )
        if seen.parts[0] == "log":  # not a request to be polite about
            text = "\n".join(json.dumps([s.at_s, s.address, s.target]) for s in self.seen)
            await Connection(writer).answer(200, text.encode())
            return True
        self.seen.append(seen)
        play = ROUTES.get(seen.parts[0])
        if play is None:
            await Connection(writer).answer(404)
            return True
        return await play(self, seen, Connection(writer))

    async def _ok(self, seen: Seen, client: Connection) -> bool:
        await self._picture(seen, client, int(seen.number(1)))
        return True

    async def _photo(self, seen: Seen, client: Connection) -> bool:
        number = int(seen.number(1))
        body = _PHOTO + number.to_bytes(8, "big")  # what follows a PNG's end is ignored
        await self._picture(seen, client, number, body)
        return True

    async def _picture(
        self, seen: Seen, client: Connection, number: int, body: bytes | None = None
    ) -> None:
        etag = f'"picture-{number}"'
        headers = {"ETag": etag, "Last_Modified": LAST_MODIFIED}
        known = seen.headers.get("if-none-match")
        if known == etag or (
            known is None and seen.headers.get("if-modified-since") == LAST_MODIFIED
        ):
            await client.send(head(304, None, headers))
        else:
            body = picture(number) if body is None else body
            await client.answer(200, body, Content_Type="image/png", **headers)

    async def _delay(self, seen: Seen, client: Connection) -> bool:
        await asyncio.sleep(seen.number(1, 1))
        await self._picture(seen, client, int(seen.number(2)))
        return True

    async def _drip_body(self, seen: Seen, client: Connection) -> bool:
        body = picture(1, side=64)
        await client.send(head(200, len(body)))
        await client.drip(body)
        return False

    async def _drip_headers(self, seen: Seen, client: Connection) -> bool:
        await client.drip(head(200, 8, {"X_Long": "x" * 10_000}))
        return False

    async def _endless_body(self, seen: Seen, client: Connection) -> bool:
        await client.send(head(200, None, {"Transfer_Encoding": "chunked"}))
        chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
        while True:
            await client.send(chunk)

    async def _never_answers(self, seen: Seen, client: Connection) -> bool:
        await self._stopped.wait()
        return False

    async def _redirect_loop(self, seen: Seen, client: Connection) -> bool:
        await client.answer(302, Location=seen.target)
        return True

    async def _redirect(self, seen: Seen, client: Connection) -> bool:
        left = int(seen.number(1))
        await client.answer(302, Location=f"/redirect/{left - 1}" if left > 1 else "/ok/0")
        return True

    async def _redirect_to(self, seen: Seen, client: Connection) -> bool:
        await client.answer(302, Location=seen.query["u"])
        return True

    async def _gzip_bomb(self, seen: Seen, client: Connection) -> bool:
        await client.answer(200, gzip.compress(bytes(200_000_000), 1), Content_Encoding="gzip")
        return True

    async def _huge_header(self, seen: Seen, client: Connection) -> bool:
        await client.answer(200, picture(0), X_Huge="x" * 1_000_000)
        return False

    async def _many_headers(self, seen: Seen, client: Connection) -> bool:
        await client.answer(200, picture(0), **{f"X_{number}": "x" for number in range(10_000)})
        return False

    async def _short(self, seen: Seen, client: Connection) -> bool:
        body = picture(0)
        await client.send(head(200, len(body) + 100) + body)
        return False

    async def _long(self, seen: Seen, client: Connection) -> bool:
        body = picture(0)
        await client.send(head(200, len(body)) + body + b"x" * 100)
        return False

    async def _reset_middle(self, seen: Seen, client: Connection) -> bool:
        body = picture(0)
        await client.send(head(200, len(body)) + body[:40])
        await client.reset()
        return False

    async def _status(self, seen: Seen, client: Connection) -> bool:
        await client.answer(int(seen.number(1, 500)))
        return True

    async def _rate_limited(self, seen: Seen, client: Connection) -> bool:
        after_s, query = float(seen.query.get("after", 1)), seen.query
        if "times" in query and self._failures[seen.target] >= int(query["times"]):
            await self._picture(seen, client, 0)
            return True
        self._failures[seen.target] += 1
        date = email.utils.formatdate(time.time() + after_s, usegmt=True)
        await client.answer(429, Retry_After=date if "date" in query else f"{after_s:g}")
        return True

    async def _flaky(self, seen: Seen, client: Connection) -> bool:
        self._failures[seen.target] += 1
        if self._failures[seen.target] <= int(seen.number(1)):
            await client.answer(503)
        else:
            await self._picture(seen, client, int(seen.number(2)))
        return True

    async def _empty(self, seen: Seen, client: Connection) -> bool:
        await client.answer(200, Content_Type="image/jpeg")
        return True

    async def _text_as_jpeg(self, seen: Seen, client: Connection) -> bool:
        await client.answer(200, b"<html>Please sign in</html>", Content_Type="image/jpeg")
        return True

    async def _chunked_broken(self, seen: Seen, client: Connection) -> bool:
        await client.send(head(200, None, {"Transfer_Encoding": "chunked"}))
        await client.send(b"40\r\n" + picture(0)[:64] + b"\r\nno number\r\n")
        return False

    async def _closes(self, seen: Seen, client: Connection) -> bool:
        return False

    async def _cookie(self, seen: Seen, client: Connection) -> bool:
        await client.answer(200, picture(0), Set_Cookie=f"session={random.randbytes(8).hex()}")
        return True


ROUTES: Final[Mapping[str, Callable[[ChaosServer, Seen, Connection], Awaitable[bool]]]] = {
    "ok": ChaosServer._ok,  # /ok/N: picture N, with validators
    "photo": ChaosServer._photo,  # /photo/N: a megapixel, of other bytes for each N
    "delay": ChaosServer._delay,  # /delay/S/N: picture N after S seconds
    "drip-body": ChaosServer._drip_body,
    "drip-headers": ChaosServer._drip_headers,
    "endless-body": ChaosServer._endless_body,
    "never-answers": ChaosServer._never_answers,
    "closes": ChaosServer._closes,  # without a byte
    "redirect-loop": ChaosServer._redirect_loop,
    "redirect": ChaosServer._redirect,  # /redirect/N: N times, then a picture
    "redirect-to": ChaosServer._redirect_to,  # ?u=URL
    "gzip-bomb": ChaosServer._gzip_bomb,  # 200 MB in 200 KB
    "huge-header": ChaosServer._huge_header,  # 1 MB
    "many-headers": ChaosServer._many_headers,  # 10,000
    "short": ChaosServer._short,  # 100 bytes fewer than announced
    "long": ChaosServer._long,  # 100 bytes more than announced
    "reset-middle": ChaosServer._reset_middle,
    "status": ChaosServer._status,  # /status/N
    "429": ChaosServer._rate_limited,  # ?after=S [&date] [&times=N: a picture after N refusals]
    "flaky": ChaosServer._flaky,  # /flaky/N/K: 503 N times, then picture K
    "empty": ChaosServer._empty,
    "text-as-jpeg": ChaosServer._text_as_jpeg,
    "chunked-broken": ChaosServer._chunked_broken,
    "cookie": ChaosServer._cookie,
}


@contextmanager
def chaos(*, addresses: int = 1) -> Iterator[ChaosServer]:
    """Runs the server in a thread of its own."""
    server = ChaosServer(addresses=addresses)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="chaos-server")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with ChaosServer(addresses=options.addresses) as server:
        ports = {
            "port": server.port,
            "tls_port": server.tls_port,
            "full_port": server.full_port,
            "addresses": server.addresses,
        }
        beside = options.port_file.with_suffix(".part")
        beside.write_text(json.dumps(ports))
        beside.replace(options.port_file)
        await stop.wait()


def main() -> None:
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True, help="where to write the ports")
    parser.add_argument("--addresses", type=int, default=1, help="how many hosts to play")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
