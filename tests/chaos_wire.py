"""What a hostile web server sends, byte by byte, and what it was asked."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_DRIP_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request, as it arrived.

    Attributes:
        at_s: When, by `time.monotonic`.
        address: The address it was sent to, which stands for a host.
        target: Path and query.
        headers: Names in lower case.
    """

    at_s: float
    address: str
    target: str
    headers: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        """The query's values, the last of each name."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def parts(self) -> list[str]:
        """What the path holds between its slashes."""
        return urlsplit(self.target).path.strip("/").split("/")

    def number(self, place: int, default: float = 0) -> float:
        """Returns the number at a place of the path."""
        return float(self.parts[place]) if len(self.parts) > place else default


class Connection:
    """What a fault does to its client."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        """Wraps the server's end."""
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Sends a whole, honest response."""
        await self.send(head(status, len(body), headers) + body)

    async def drip(self, data: bytes, *, every_s: float = _DRIP_S) -> None:
        """Sends one byte after another."""
        for place in range(len(data)):
            await self.send(data[place : place + 1])
            await asyncio.sleep(every_s)

    async def reset(self) -> None:
        """Ends the connection as a crash of the machine would."""
        await asyncio.sleep(0.05)  # a reset overtakes what the client has not read yet
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def head(status: int, length: int | None, headers: Mapping[str, str] | None = None) -> bytes:
    """Returns a status line and headers; no Content-Length if `length` is None."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in (headers or {}).items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def picture(number: int, *, side: int = 8) -> bytes:
    """Returns a valid PNG of `side` x `side` pixels, different for each number below 2**24."""
    row = b"\0" + (number & 0xFFFFFF).to_bytes(3, "big") * side
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * side, 1)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
