"""Encoded bytes in memory, bounded however many downloads share them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

_FIRST_GUESS_BYTES: Final = 250_000
_WEIGHT: Final = 1 / 16  # of the latest size in what is expected of the next


class ByteBudget:
    """Bytes that may be held at once.

    A share begins with the size that is usual in this run, so that few downloads are begun that
    would then have to wait with an open connection. The oldest share may always grow: whoever waits
    waits for somebody who goes on, and the bound is exceeded by one image at the most.
    """

    def __init__(self, limit: int) -> None:
        """Allows `limit` bytes at once."""
        self._limit = limit
        self._used = 0
        self._usual = min(_FIRST_GUESS_BYTES, limit)
        self._shares: dict[ByteShare, None] = {}  # the oldest first
        self._changed = asyncio.Event()

    @property
    def used(self) -> int:
        """Bytes that are held or reserved."""
        return self._used

    async def share(self) -> ByteShare:
        """Waits until an image of the usual size fits, and reserves as much."""
        while self._shares and self._used + self._usual > self._limit:
            await self._wait()
        share = ByteShare(self, self._usual)
        self._shares[share] = None
        self._used += share.size
        return share

    async def _grow(self, share: ByteShare, size: int) -> None:
        while self._used + size - share.size > self._limit and share is not self._oldest():
            await self._wait()
        self._used += size - share.size
        share.size = size

    def _settle(self, share: ByteShare, size: int) -> None:
        self._usual += int((min(size, self._limit) - self._usual) * _WEIGHT)
        self._used += size - share.size
        share.size = size
        self._tell()

    def _close(self, share: ByteShare) -> None:
        del self._shares[share]
        self._used -= share.size
        self._tell()

    def _oldest(self) -> ByteShare:
        return next(iter(self._shares))

    async def _wait(self) -> None:
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class ByteShare:
    """What one image holds of a `ByteBudget`; a context manager that gives it back.

    Attributes:
        size: Bytes reserved.
    """

    def __init__(self, budget: ByteBudget, size: int) -> None:
        """Use `ByteBudget.share`."""
        self.size = size
        self._budget = budget

    async def reach(self, size: int) -> None:
        """Waits until `size` bytes may be held, if that is more than is reserved."""
        if size > self.size:
            await self._budget._grow(self, size)

    def settle(self, size: int) -> None:
        """Says what size the image turned out to have, and gives back what it does not need."""
        self._budget._settle(self, size)

    def close(self) -> None:
        """Gives everything back."""
        self._budget._close(self)

    def __enter__(self) -> ByteShare:
        """Holds it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives everything back."""
        self.close()
