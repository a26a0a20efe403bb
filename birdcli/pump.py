"""A blocking iterator, such as a list on stdin, as items of the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from birdcli.worker_threads import AbandonedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

T = TypeVar("T")


class Pump(Generic[T]):
    """Iterates in a thread of its own, at most `ahead` items before they are wanted.

    The thread is a daemon: one that waits on a terminal or a pipe cannot be woken, and must not
    keep the process alive.

    Attributes:
        error: What the iteration raised, or None.
    """

    def __init__(self, items: Iterable[T], *, ahead: int) -> None:
        """Prepares to read `items`; reading starts with the iteration."""
        self._source = items
        self._room = threading.Semaphore(ahead)
        self._items: deque[T] = deque()
        self.error: BaseException | None = None
        self._ended = False
        self._stopped = False
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def reading(self) -> bool:
        """Whether the iteration has not ended: it may wait for input that never comes."""
        return not self._ended

    def go_on(self) -> None:
        """Iterates anew, in another thread; the one before ends with an `AbandonedError`."""
        threading.Thread(target=self._read, name="birdcli-list", daemon=True).start()

    def _read(self) -> None:
        try:
            for item in self._source:
                self._room.acquire()
                if self._stopped:
                    break
                self._items.append(item)
                self._tell()
        except AbandonedError:
            return
        except BaseException as err:  # noqa: BLE001 - handed to the reader of this pump
            self.error = err
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        if not self._news.is_set():
            try:
                self._loop.call_soon_threadsafe(self._news.set)
            except RuntimeError:  # the loop is closed: nobody reads any more
                self._stopped = True

    async def items(self, stop: asyncio.Event) -> AsyncIterator[T]:
        """Yields the items until the iterator or `stop` ends them; `error` says if it broke."""
        self.go_on()
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda _: self._news.set())
        try:
            while not stop.is_set():
                await self._news.wait()
                self._news.clear()
                ended = self._ended  # read before the items: nothing is added after it
                while self._items and not stop.is_set():
                    yield self._items.popleft()
                    self._room.release()
                if ended:
                    return
        finally:
            self._stopped = True
            self._room.release()
            stopping.cancel()
