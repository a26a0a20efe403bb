"""When an input may ask the host it is redirected to."""

from __future__ import annotations

import asyncio

import pytest

from birdcli.errors import ErrorCode
from birdcli.hosts import Hosts, NotAskedError
from birdcli.redirects import Course


class LoopTime:
    """A clock for hosts that stands still but for pauses."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)
        self.now_s += pause_s


def hosts_over(time: LoopTime, *, rate: float | None = None) -> Hosts[None]:
    return Hosts(per_host=1, rate=rate, clock=time)


async def test_a_host_of_which_nothing_is_known_is_asked_at_once() -> None:
    time = LoopTime()
    async with asyncio.timeout(10.0) as deadline:
        course = Course(hosts_over(time), "own", deadline=deadline, wait=time.sleep)
        await course.turn_to("other")
    assert (course.host, course.waiting, time.slept) == ("other", False, [])


async def test_a_turn_in_the_rate_is_waited_for_outside_of_the_deadline() -> None:
    time = LoopTime()
    hosts = hosts_over(time, rate=0.001)
    hosts.reserve("other")
    async with asyncio.timeout(10.0) as deadline:
        before_s = deadline.when()
        assert before_s is not None

        async def sleep(pause_s: float) -> None:
            assert deadline.when() is None
            await asyncio.sleep(0.01)
            await time.sleep(pause_s)

        await Course(hosts, "own", deadline=deadline, wait=sleep).turn_to("other")
        after_s = deadline.when()
    assert time.slept == [1000.0]
    assert after_s is not None
    assert after_s - before_s >= 0.01


async def test_a_pause_is_waited_for_within_the_deadline() -> None:
    time = LoopTime()
    hosts = hosts_over(time)
    hosts.pause("other", 3.0)
    async with asyncio.timeout(10.0) as deadline:
        before_s = deadline.when()
        await Course(hosts, "own", deadline=deadline, wait=time.sleep).turn_to("other")
        assert deadline.when() == before_s
    assert time.slept == [3.0]


async def test_a_pause_that_begins_while_another_ends_is_waited_for_too() -> None:
    time = LoopTime()
    hosts = hosts_over(time)
    hosts.pause("other", 3.0)

    async def sleep(pause_s: float) -> None:
        await time.sleep(pause_s)
        if len(time.slept) == 1:
            hosts.pause("other", 2.0)

    async with asyncio.timeout(10.0) as deadline:
        await Course(hosts, "own", deadline=deadline, wait=sleep).turn_to("other")
    assert time.slept == [3.0, 2.0]


async def test_a_pause_past_the_deadline_is_not_waited_for() -> None:
    time = LoopTime()
    hosts = hosts_over(time)
    hosts.pause("other", 30.0)
    async with asyncio.timeout(10.0) as deadline:
        course = Course(hosts, "own", deadline=deadline, wait=time.sleep)
        with pytest.raises(NotAskedError) as caught:
            await course.turn_to("other")
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.FETCH_RATE_LIMITED, True)
    assert dict(caught.value.details) == {"host": "other"}
    assert time.slept == []
    assert course.waiting


async def test_a_further_attempt_begins_at_the_inputs_own_host() -> None:
    time = LoopTime()
    async with asyncio.timeout(10.0) as deadline:
        course = Course(hosts_over(time), "own", deadline=deadline, wait=time.sleep)
        await course.turn_to("other")
        course.begin()
    assert course.host == "own"
