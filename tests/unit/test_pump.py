"""A blocking list never blocks the loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from birdcli.pump import Pump
from birdcli.worker_threads import AbandonedError

if TYPE_CHECKING:
    from collections.abc import Iterator


async def test_all_items_come_in_order() -> None:
    pump = Pump(iter(range(1000)), ahead=3)
    assert [item async for item in pump.items(asyncio.Event())] == list(range(1000))
    assert not pump.reading


async def test_the_first_item_comes_while_the_list_is_still_open() -> None:
    more = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        more.wait(10.0)
        yield 2

    items = Pump(slow(), ahead=4).items(asyncio.Event())
    assert await anext(items) == 1
    more.set()
    assert [item async for item in items] == [2]


async def test_it_reads_no_further_ahead_than_allowed() -> None:
    read: list[int] = []

    def watched() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    items = Pump(watched(), ahead=2).items(asyncio.Event())
    assert await anext(items) == 0
    assert len(read) <= 5
    await items.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_an_error_of_the_list_is_kept_for_after_its_items() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the list broke")

    pump = Pump(broken(), ahead=4)
    assert [item async for item in pump.items(asyncio.Event())] == [1]
    assert isinstance(pump.error, OSError)


async def test_another_thread_goes_on_where_one_is_stuck() -> None:
    given_up, stuck = threading.Event(), threading.Event()

    class Numbers:
        left = iter(range(5))

        def __iter__(self) -> Iterator[int]:
            for number in self.left:
                if number == 2:
                    stuck.set()
                    given_up.wait(10.0)
                    raise AbandonedError
                yield number

    pump = Pump(Numbers(), ahead=8)
    items = pump.items(asyncio.Event())
    assert [await anext(items), await anext(items)] == [0, 1]
    assert await asyncio.to_thread(stuck.wait, 10.0)
    pump.go_on()
    assert [await anext(items), await anext(items)] == [3, 4]
    given_up.set()
    assert [item async for item in items] == []
    assert pump.error is None
    assert not pump.reading


async def test_stop_ends_it_while_the_list_waits() -> None:
    never = threading.Event()

    def stuck() -> Iterator[int]:
        yield 1
        never.wait(10.0)

    stop = asyncio.Event()
    pump = Pump(stuck(), ahead=4)
    items = pump.items(stop)
    assert await anext(items) == 1
    stop.set()
    assert [item async for item in items] == []
    assert pump.reading
    never.set()
