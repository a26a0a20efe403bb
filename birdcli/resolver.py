"""Host name look-ups that hold up neither a time limit nor the end of the process."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult


@dataclass(frozen=True, slots=True)
class Address:
    """One way to a host: its number, and how to open a socket to it."""

    number: str
    family: socket.AddressFamily
    protocol: int


async def look_up(host: str, port: int, family: socket.AddressFamily) -> list[Address]:
    """Returns the addresses of a host.

    The event loop's own look-up runs in a pool that `asyncio.run` waits for: with a name server
    that does not answer, half a minute after the time limit has struck. Here nobody waits.

    Args:
        host: Name.
        port: Number.
        family: `AF_UNSPEC` for both.

    Raises:
        OSError: The name has no address.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address]] = loop.create_future()

    def deliver(found: list[Address] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def work() -> None:
        found: list[Address] | OSError
        try:
            found = [
                Address(str(address[0]), kind, protocol)
                for kind, _, protocol, _, address in socket.getaddrinfo(
                    host, port, family, socket.SOCK_STREAM
                )
            ]
        except OSError as err:
            found = err
        except UnicodeError:  # a name that IDNA cannot encode
            found = OSError(f"{host!r} is no host name")
        with suppress(RuntimeError):  # the loop is closed: nobody is waiting any more
            loop.call_soon_threadsafe(deliver, found)

    threading.Thread(target=work, name=f"look-up {host}", daemon=True).start()
    return await answer


class Resolver(AbstractResolver):
    """Name look-ups that end with their time limit."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Returns the addresses of a host; see `look_up`."""
        return [
            ResolveResult(
                hostname=host,
                host=found.number,
                port=port,
                family=found.family,
                proto=found.protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found in await look_up(host, port, family)
        ]

    async def close(self) -> None:
        """Does nothing: a look-up under way is left to itself."""
