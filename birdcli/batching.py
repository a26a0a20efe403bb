"""Decoded images grouped by count or age, whichever comes first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from birdcli.channel import Channel
    from birdcli.items import DecodedImage
    from birdcli.settings import BatchSettings


async def iter_batches(
    images: Channel[DecodedImage], settings: BatchSettings, *, clock: Callable[[], float]
) -> AsyncIterator[list[DecodedImage]]:
    """Yields batches in order of arrival until the channel ends.

    Args:
        images: Where decoded images come from.
        settings: Largest size, and how long the oldest image waits for company. The wait counts
            from its decoding, so what piled up while the engine was busy leaves at once.
        clock: Seconds, the clock of the images' timings.
    """
    async for first in images:
        batch = [first]
        latest_s = first.timings.marks[-1][1] + settings.max_age_s
        # Leaving this block by the time limit loses nothing: a queue gives an item or raises.
        try:
            async with asyncio.timeout(max(0.0, latest_s - clock())):
                while len(batch) < settings.max_size:
                    batch.extend(images.take_waiting(settings.max_size - len(batch)))
                    if len(batch) < settings.max_size:
                        batch.append(await anext(images))
        except (TimeoutError, StopAsyncIteration):
            pass
        yield batch
