"""Channels end by closing."""

from __future__ import annotations

import asyncio

import pytest

from birdcli.channel import Channel, Sender


async def test_items_arrive_in_order_and_the_iteration_ends_with_the_last_sender() -> None:
    channel: Channel[int] = Channel(2)
    senders = [channel.sender(), channel.sender()]

    async def produce(sender: Sender[int], items: range) -> None:
        async with sender:
            for item in items:
                await sender.send(item)

    async def consume() -> list[int]:
        return [item async for item in channel]

    consumer = asyncio.create_task(consume())
    await produce(senders[0], range(5))
    assert not consumer.done()
    await produce(senders[1], range(5, 8))
    assert await consumer == list(range(8))


async def test_every_receiver_sees_the_end() -> None:
    channel: Channel[int] = Channel(1)
    sender = channel.sender()

    async def consume() -> list[int]:
        return [item async for item in channel]

    consumers = [asyncio.create_task(consume()) for _ in range(3)]
    async with sender:
        await sender.send(7)
    received = await asyncio.gather(*consumers)
    assert sorted(len(items) for items in received) == [0, 0, 1]


async def test_a_full_channel_holds_the_sender_back() -> None:
    channel: Channel[int] = Channel(1)
    sender = channel.sender()
    await sender.send(1)
    second = asyncio.create_task(sender.send(2))
    await asyncio.sleep(0)
    assert not second.done()
    assert len(channel) == 1
    assert await anext(channel) == 1
    await second
    assert await anext(channel) == 2


async def test_take_waiting_stops_at_the_limit_and_before_the_end() -> None:
    channel: Channel[int] = Channel(9)
    async with channel.sender() as sender:
        for item in range(4):
            await sender.send(item)
    assert channel.take_waiting(3) == [0, 1, 2]
    assert channel.take_waiting(9) == [3]
    assert channel.take_waiting(9) == []
    with pytest.raises(StopAsyncIteration):
        await anext(channel)


async def test_a_cancelled_sender_does_not_wait_for_room() -> None:
    channel: Channel[int] = Channel(1)
    sender = channel.sender()
    await sender.send(1)

    async def produce() -> None:
        async with sender:
            await sender.send(2)

    task = asyncio.create_task(produce())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5.0)
