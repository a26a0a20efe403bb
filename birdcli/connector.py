"""Connections that are used again only if nothing came on them meanwhile."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from asyncio import Transport

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_CAN_POLL: Final = hasattr(select, "poll")


class SilentConnector(aiohttp.TCPConnector):
    """Drops a connection on which a server has spoken unasked.

    aiohttp takes an answer that came on an idle connection, such as the 408 that proxies send
    before they close it, for that to the next request: the picture of another URL.

    What comes after a request was sent counts as its answer; nobody can tell whether the server
    had seen the request by then.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (found := await super()._get(key, traces)) is not None:
            if _was_silent(found.protocol):
                return found
            found.close()
        return None

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        super()._release(key, protocol, should_close=should_close)
        # Without a parser all that comes is kept as bytes, a bounded number of them. The next
        # request brings its own parser.
        protocol._parser = None


def _was_silent(protocol: ResponseHandler | None) -> bool:
    if protocol is None or protocol.should_close or protocol.transport is None:
        return False
    return not _has_unread(protocol.transport)


def _has_unread(transport: Transport) -> bool:
    """Tells whether there is something that a busy event loop has not come to read yet."""
    connection = transport.get_extra_info("socket")
    if connection is None or not _CAN_POLL:
        return False
    poll = select.poll()  # `select` refuses descriptors above 1023
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
