"""Encoded bytes in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from birdcli.budget import ByteBudget, ByteShare

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def settled(budget: ByteBudget, size: int) -> ByteShare:
    share = await budget.share()
    await share.reach(size)
    share.settle(size)
    return share


async def waits(work: Awaitable[object]) -> asyncio.Future[object]:
    task = asyncio.ensure_future(work)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_a_download_waits_until_the_usual_size_fits() -> None:
    budget = ByteBudget(1_000_000)
    shares = [await settled(budget, 450_000) for _ in range(2)]
    second = await waits(budget.share())
    shares[0].close()
    await asyncio.wait_for(second, 5.0)


async def test_a_share_that_grows_waits_for_the_others() -> None:
    budget = ByteBudget(1_000_000)
    oldest, younger = await budget.share(), await budget.share()
    await oldest.reach(700_000)
    growing = await waits(younger.reach(400_000))
    oldest.close()
    await asyncio.wait_for(growing, 5.0)
    assert budget.used == 400_000


async def test_the_oldest_share_may_exceed_the_limit_so_that_somebody_goes_on() -> None:
    budget = ByteBudget(1_000_000)
    oldest, _ = await budget.share(), await budget.share()
    await asyncio.wait_for(oldest.reach(5_000_000), 5.0)
    await waits(budget.share())


async def test_whoever_becomes_the_oldest_goes_on() -> None:
    budget = ByteBudget(1_000_000)
    oldest, younger, _ = [await budget.share() for _ in range(3)]
    growing = await waits(younger.reach(3_000_000))
    oldest.close()
    await asyncio.wait_for(growing, 5.0)


async def test_what_is_usual_follows_what_is_seen() -> None:
    budget = ByteBudget(10_000_000)
    for _ in range(100):
        (await settled(budget, 2_000_000)).close()
    with await budget.share() as share:
        assert 1_800_000 < share.size <= 2_000_000


async def test_a_share_needs_no_more_room_for_what_it_has() -> None:
    budget = ByteBudget(1_000_000)
    with await budget.share() as share:
        before = budget.used
        await share.reach(1000)
        assert budget.used == before
    assert budget.used == 0
