"""Slots per host."""

from __future__ import annotations

import asyncio

import pytest

from birdcli.host_slots import HostSlots


class Holder:
    """A task that holds a slot until it is told to go."""

    def __init__(self, slots: HostSlots, host: str) -> None:
        self.has_slot = False
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._run(slots, host))

    async def _run(self, slots: HostSlots, host: str) -> None:
        async with slots.hold(host):
            self.has_slot = True
            await self._leave.wait()

    async def leave(self) -> None:
        self._leave.set()
        await self.task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_host_has_so_many_slots() -> None:
    slots = HostSlots(2)
    holders = [Holder(slots, "a") for _ in range(3)]
    await settle()
    assert [holder.has_slot for holder in holders] == [True, True, False]
    await holders[0].leave()
    await settle()
    assert holders[2].has_slot
    await asyncio.gather(holders[1].leave(), holders[2].leave())


async def test_hosts_do_not_wait_for_each_other() -> None:
    slots = HostSlots(1)
    holders = [Holder(slots, "a"), Holder(slots, "b")]
    await settle()
    assert all(holder.has_slot for holder in holders)
    await asyncio.gather(*(holder.leave() for holder in holders))


async def test_an_idle_host_is_forgotten() -> None:
    slots = HostSlots(1)
    holders = [Holder(slots, "a"), Holder(slots, "a")]
    await settle()
    assert len(slots) == 1
    await holders[0].leave()
    assert len(slots) == 1
    await holders[1].leave()
    assert len(slots) == 0


async def test_a_cancelled_waiter_leaves_nothing_behind() -> None:
    slots = HostSlots(1)
    holder, waiter = Holder(slots, "a"), Holder(slots, "a")
    await settle()
    waiter.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter.task
    await holder.leave()
    assert len(slots) == 0


async def test_an_error_gives_the_slot_back() -> None:
    slots = HostSlots(1)
    for _ in range(2):
        with pytest.raises(ValueError, match="oh"):
            async with slots.hold("a"):
                raise ValueError("oh")
    assert len(slots) == 0
