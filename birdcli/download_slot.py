"""What a download holds while it is under way: a place among the others, and memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from birdcli.budget import ByteShare


class DownloadSlot:
    """One of the places of `--concurrency`, and a share of the memory for encoded pictures."""

    def __init__(self, places: asyncio.Semaphore, share: ByteShare) -> None:
        """Takes over a place that was acquired, and a share."""
        self.share = share
        self._places = places
        self._held = True

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Lets another download have the place while this one only waits."""
        self.leave()
        yield
        await self._places.acquire()
        self._held = True

    def leave(self) -> None:
        """Gives the place back; again does nothing."""
        if self._held:
            self._held = False
            self._places.release()
