"""A bounded queue that ends when its last sender closes."""

from __future__ import annotations

import asyncio
from typing import Final, Generic, Self, TypeVar

T = TypeVar("T")


class _End:
    """Travels behind the last item; every receiver that meets it hands it on to the next."""


_END: Final = _End()


class Channel(Generic[T]):
    """A queue between tasks of one event loop.

    Receivers iterate with `async for`; the iteration ends when every sender has closed and the
    queue is empty. Open all senders before the first task starts.
    """

    def __init__(self, capacity: int) -> None:
        """Makes an empty channel for `capacity` items."""
        self._queue: asyncio.Queue[T | _End] = asyncio.Queue(capacity)
        self._senders = 0

    def sender(self) -> Sender[T]:
        """Opens one more sender."""
        self._senders += 1
        return Sender(self)

    def __len__(self) -> int:
        """The number of items waiting."""
        return self._queue.qsize()

    def __aiter__(self) -> Self:
        """Receives items until the channel has ended."""
        return self

    async def __anext__(self) -> T:
        """Waits for the next item."""
        item = await self._queue.get()
        if isinstance(item, _End):
            self._queue.put_nowait(item)  # there is room: this task has just made it
            raise StopAsyncIteration
        return item

    def take_waiting(self, limit: int) -> list[T]:
        """Returns up to `limit` items that are there now, without waiting."""
        taken: list[T] = []
        while len(taken) < limit and not self._queue.empty():
            item = self._queue.get_nowait()
            if isinstance(item, _End):
                self._queue.put_nowait(item)
                break
            taken.append(item)
        return taken

    async def _send(self, item: T) -> None:
        await self._queue.put(item)

    async def _close_sender(self) -> None:
        self._senders -= 1
        if self._senders == 0:
            await self._queue.put(_END)


class Sender(Generic[T]):
    """One writing end of a channel; leaving its `async with` closes it."""

    def __init__(self, channel: Channel[T]) -> None:
        """Belongs to `channel`, which made it."""
        self._channel = channel

    async def send(self, item: T) -> None:
        """Waits for room and adds an item."""
        await self._channel._send(item)

    async def __aenter__(self) -> Self:
        """Uses the sender."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Closes this end.

        A failing or cancelled task does not announce the end: its task group stops the receivers,
        and waiting for room in a full channel that nobody empties any more would hang it.
        """
        if kind is None:
            await self._channel._close_sender()
