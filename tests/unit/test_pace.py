"""When a body is too slow, to the moment."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from birdcli.pace import Pace
from birdcli.retry import TooSlowError

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S = 0.1


class Scripted:
    """A body of which each piece comes when it is waited for, after something happened.

    Behind the last one comes nothing any more, be it more or the end, if it is `endless`.
    """

    def __init__(self, *pieces: tuple[Callable[[], object], bytes], endless: bool = False) -> None:
        self.pieces = list(pieces)
        self.endless = endless

    def read_nowait(self) -> bytes:
        return b""

    def at_eof(self) -> bool:
        return not self.pieces and not self.endless

    async def readany(self) -> bytes:
        if not self.pieces:
            await asyncio.Event().wait()
        happens, chunk = self.pieces.pop(0)
        happens()
        return chunk


class Buffering(Scripted):
    """A body that fills its buffer while the loop is held up, and wakes nobody in time."""

    buffered = b""

    def read_nowait(self) -> bytes:
        chunk, self.buffered = self.buffered, b""
        return chunk

    async def readany(self) -> bytes:
        _, self.buffered = self.pieces.pop(0)
        late()
        await asyncio.Event().wait()
        return b""


def late() -> None:
    """Holds up the whole loop until after the window."""
    time.sleep(WINDOW_S * 1.1)


def at_once() -> None:
    pass


async def test_a_byte_at_the_very_end_of_a_window_does_not_begin_another() -> None:
    content = Scripted((late, b"x"), endless=True)
    pace = Pace(1000, window_s=WINDOW_S)
    assert await pace.read(content) == b"x"
    with pytest.raises(TooSlowError):
        await asyncio.wait_for(pace.read(content), WINDOW_S / 2)


async def test_time_between_two_reads_is_not_the_servers() -> None:
    content = Scripted((at_once, b"x"), (at_once, b"y"))
    pace = Pace(1000, window_s=WINDOW_S)
    assert await pace.read(content) == b"x"
    late()
    assert [await pace.read(content) for _ in range(2)] == [b"y", b""]


async def test_what_came_while_the_process_was_busy_counts() -> None:
    content = Buffering((late, b"x" * 200))
    assert await Pace(1000, window_s=WINDOW_S).read(content) == b"x" * 200


async def test_each_window_counts_for_itself() -> None:
    content = Scripted((at_once, b"x" * 50_000), endless=True)
    pace = Pace(1000, window_s=WINDOW_S)
    assert len(await pace.read(content)) == 50_000
    with pytest.raises(TooSlowError):
        await pace.read(content)


async def test_no_lowest_rate_waits_as_long_as_it_takes() -> None:
    content = Scripted((late, b"x"), (late, b"y"))
    pace = Pace(0, window_s=WINDOW_S)
    assert [await pace.read(content) for _ in range(3)] == [b"x", b"y", b""]
