"""Batches leave by count or age."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from birdcli.batching import iter_batches
from birdcli.channel import Channel
from birdcli.settings import BatchSettings
from tests.fakes import decoded_image

if TYPE_CHECKING:
    from birdcli.items import DecodedImage


async def collect(count: int, settings: BatchSettings) -> list[list[int]]:
    channel: Channel[DecodedImage] = Channel(count + 1)
    async with channel.sender() as sender:
        for index in range(count):
            await sender.send(decoded_image(index))
    return [
        [image.ref.index for image in batch]
        async for batch in iter_batches(channel, settings, clock=lambda: 1.0)
    ]


@given(count=st.integers(0, 40), size=st.integers(1, 9))
def test_batches_concatenate_to_their_input(count: int, size: int) -> None:
    batches = asyncio.run(collect(count, BatchSettings(max_size=size, max_age_s=9.0)))
    assert [index for batch in batches for index in batch] == list(range(count))
    assert all(len(batch) == size for batch in batches[:-1])


async def test_an_old_image_leaves_without_waiting_for_company() -> None:
    channel: Channel[DecodedImage] = Channel(4)
    sender = channel.sender()
    await sender.send(decoded_image(0, decoded_at_s=1.0))
    settings = BatchSettings(max_size=8, max_age_s=0.5)
    batches = iter_batches(channel, settings, clock=lambda: 99.0)
    batch = await asyncio.wait_for(anext(batches), 5.0)
    assert [image.ref.index for image in batch] == [0]


async def test_what_piled_up_leaves_together_even_when_old() -> None:
    channel: Channel[DecodedImage] = Channel(8)
    sender = channel.sender()
    for index in range(5):
        await sender.send(decoded_image(index, decoded_at_s=1.0))
    batches = iter_batches(channel, BatchSettings(max_size=4, max_age_s=0.0), clock=lambda: 99.0)
    assert [len(await anext(batches)), len(await anext(batches))] == [4, 1]


async def test_a_young_image_waits_for_company() -> None:
    channel: Channel[DecodedImage] = Channel(8)
    sender = channel.sender()
    await sender.send(decoded_image(0))
    batches = iter_batches(channel, BatchSettings(max_size=2, max_age_s=60.0), clock=lambda: 1.0)
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)
    assert not waiting.done()
    await sender.send(decoded_image(1))
    assert len(await asyncio.wait_for(waiting, 5.0)) == 2
