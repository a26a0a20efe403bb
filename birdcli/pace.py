"""Whether a body comes fast enough."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from birdcli.retry import TooSlowError

# As long as TCP takes to send a lost packet a second time.
WINDOW_S: Final = 3.0


class Content(Protocol):
    """What a body is read from; aiohttp's `StreamReader` is one."""

    def read_nowait(self) -> bytes:
        """Returns what has come."""
        ...

    async def readany(self) -> bytes:
        """Waits for more; nothing at the end."""
        ...

    def at_eof(self) -> bool:
        """Tells whether all has been read."""
        ...


class Pace:
    """Reads a body that comes fast enough: so many bytes in every few seconds.

    Time between two reads is not the server's, and does not count.
    """

    def __init__(self, min_rate: int, *, window_s: float = WINDOW_S) -> None:
        """Begins now.

        Args:
            min_rate: Bytes per second at the least; 0 for no bound.
            window_s: Seconds over which the rate is taken.
        """
        self._min_rate = min_rate
        self._window_s = window_s
        self._wanted = max(int(min_rate * window_s), 1)
        self._received = 0
        self._left_s = window_s
        self._clock = asyncio.get_running_loop().time

    async def read(self, content: Content) -> bytes:
        """Returns what has come, waiting if need be; nothing at the end.

        Raises:
            TooSlowError: Less than the lowest rate came.
        """
        chunk = content.read_nowait()  # small pictures are there at once, and need no timer
        if not chunk and not content.at_eof():
            chunk = await self._wait(content)
        self._received += len(chunk)
        if self._received >= self._wanted:
            self._received, self._left_s = 0, self._window_s
        return chunk

    async def _wait(self, content: Content) -> bytes:
        if not self._min_rate:
            return await content.readany()
        began_s = self._clock()
        try:
            async with asyncio.timeout(self._left_s):
                return await content.readany()
        except TimeoutError as err:
            chunk = content.read_nowait()  # it may have come while this process was busy
            if self._received + len(chunk) < self._wanted and not content.at_eof():
                raise TooSlowError(self._min_rate) from err
            return chunk
        finally:
            self._left_s -= self._clock() - began_s
