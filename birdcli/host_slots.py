"""How many requests are under way to one host at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _Host:
    """The slots of one host, and how many tasks hold one or wait for one."""

    def __init__(self, slots: int) -> None:
        self.free = asyncio.Semaphore(slots)
        self.users = 0


class HostSlots:
    """A bound per host, first come, first served; a host nobody asks is forgotten."""

    def __init__(self, per_host: int) -> None:
        """Allows `per_host` holders of every host."""
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}

    def __len__(self) -> int:
        """The number of hosts with a holder or a waiter."""
        return len(self._hosts)

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Waits for a slot of the host, and holds it inside the `async with`."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(self._per_host)
        host.users += 1
        try:
            async with host.free:
                yield
        finally:
            host.users -= 1
            if not host.users:
                del self._hosts[name]
