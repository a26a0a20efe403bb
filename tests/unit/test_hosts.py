"""Whose turn it is, and which host is left alone."""

from __future__ import annotations

import asyncio

import pytest

from birdcli.errors import ErrorCode
from birdcli.host_health import BUDGET, COOL_DOWN_S, LONGEST_COOL_DOWN_S, HostHealth
from birdcli.hosts import Hosts, NotAskedError, Turn, host_of


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def hosts(clock: Clock, *, per_host: int = 2, rate: float | None = None) -> Hosts[str]:
    return Hosts(per_host=per_host, rate=rate, clock=clock)


async def taken(queue: Hosts[str]) -> Turn[str]:
    turn = await asyncio.wait_for(queue.turn(), 5.0)
    assert turn is not None
    return turn


async def nothing_to_take(queue: Hosts[str]) -> bool:
    waiting = asyncio.ensure_future(queue.turn())
    for _ in range(5):
        await asyncio.sleep(0)
    done = waiting.done()
    waiting.cancel()
    return not done


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://H.example/a", "h.example"),
        ("https://me:pw@h.example:8080/a@b", "h.example"),
        ("http://[::1]:80/a", "[::1]"),
        ("http://h?x", "h"),
        ("nothing", ""),
    ],
)
def test_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


async def test_hosts_take_turns_and_their_inputs_keep_their_order(clock: Clock) -> None:
    queue = hosts(clock)
    for item in ("a1", "a2", "b1", "b2", "c1"):
        queue.put(item[0], item)
    assert [(await taken(queue)).item for _ in range(5)] == ["a1", "b1", "c1", "a2", "b2"]


async def test_a_busy_host_keeps_nobody_else_waiting(clock: Clock) -> None:
    queue = hosts(clock, per_host=1)
    for item in ("a1", "a2", "a3", "b1"):
        queue.put(item[0], item)
    first, other = await taken(queue), await taken(queue)
    assert (first.item, other.item) == ("a1", "b1")
    assert await nothing_to_take(queue)
    queue.give_back(first)
    assert (await taken(queue)).item == "a2"


async def test_a_paused_host_keeps_nobody_else_waiting(clock: Clock) -> None:
    queue = hosts(clock)
    queue.pause("a", 30.0)
    queue.put("a", "a1")
    queue.put("b", "b1")
    assert (await taken(queue)).item == "b1"
    assert await nothing_to_take(queue)
    assert queue.book("a") == 30.0
    clock.now_s += 30.0
    assert (await taken(queue)).item == "a1"


async def test_a_rate_spaces_the_requests_of_a_host(clock: Clock) -> None:
    queue = hosts(clock, per_host=8, rate=2.0)
    for item in ("a1", "a2"):
        queue.put("a", item)
    await taken(queue)
    assert await nothing_to_take(queue)
    assert queue.book("a") == 0.5
    clock.now_s += 0.5
    assert queue.book("a") == 0.0  # a retry is a request as well
    assert await nothing_to_take(queue)
    clock.now_s += 0.5
    assert (await taken(queue)).item == "a2"


async def test_inputs_of_other_hosts_have_times_of_their_own_in_the_rate_of_a_host(
    clock: Clock,
) -> None:
    queue = hosts(clock, per_host=8, rate=2.0)
    queue.put("a", "a1")
    await taken(queue)
    assert [queue.reserve("a") for _ in range(3)] == [0.5, 1.0, 1.5]
    queue.put("a", "a2")
    clock.now_s += 1.9
    assert await nothing_to_take(queue)
    clock.now_s += 0.1
    assert (await taken(queue)).item == "a2"


async def test_without_a_rate_inputs_of_other_hosts_have_nothing_to_wait_for(clock: Clock) -> None:
    queue = hosts(clock)
    assert [queue.reserve("a") for _ in range(3)] == [0.0] * 3
    assert len(queue) == 0


async def test_what_is_left_of_a_pause_is_known(clock: Clock) -> None:
    queue = hosts(clock)
    assert queue.pause_left_s("a") == 0.0
    queue.pause("a", 3.0)
    clock.now_s += 1.0
    assert queue.pause_left_s("a") == 2.0
    clock.now_s += 5.0
    assert queue.pause_left_s("a") == 0.0


async def test_only_a_host_that_is_left_alone_is_not_trusted(clock: Clock) -> None:
    queue = hosts(clock)
    for _ in range(BUDGET):
        queue.verify_trusted("a")
        queue.failed("a", "fetch.timeout")
    with pytest.raises(NotAskedError) as caught:
        queue.verify_trusted("a")
    assert caught.value.code is ErrorCode.FETCH_CIRCUIT_OPEN
    assert dict(caught.value.details) == {"host": "a", "last_code": "fetch.timeout"}
    clock.now_s += COOL_DOWN_S
    queue.verify_trusted("a")
    queue.failed("a", "fetch.timeout")  # of an input that was redirected there: it is no probe
    with pytest.raises(NotAskedError):
        queue.verify_trusted("a")
    clock.now_s += 2 * COOL_DOWN_S
    queue.verify_trusted("a")


async def test_a_host_that_is_well_again_is_forgotten_though_nobody_had_a_turn(
    clock: Clock,
) -> None:
    queue = hosts(clock)
    queue.failed("a", "fetch.timeout")
    assert len(queue) == 1
    queue.succeeded("a")
    assert len(queue) == 0


async def test_the_end_comes_after_the_last_input(clock: Clock) -> None:
    queue = hosts(clock)
    queue.put("a", "a1")
    queue.end()
    await taken(queue)
    assert await asyncio.wait_for(queue.turn(), 5.0) is None


async def test_whoever_waits_for_a_turn_learns_of_the_end(clock: Clock) -> None:
    queue = hosts(clock)
    waiting = asyncio.ensure_future(queue.turn())
    await asyncio.sleep(0)
    queue.end()
    assert await asyncio.wait_for(waiting, 5.0) is None


async def test_dropping_ends_even_what_is_paused(clock: Clock) -> None:
    queue = hosts(clock)
    queue.pause("a", 1e6)
    queue.put("a", "a1")
    queue.drop()
    assert await asyncio.wait_for(queue.turn(), 5.0) is None


async def test_a_host_that_fails_on_and_on_is_left_alone(clock: Clock) -> None:
    queue = hosts(clock, per_host=BUDGET)
    for number in range(BUDGET + 3):
        queue.put("a", str(number))
    turns = [await taken(queue) for _ in range(BUDGET)]
    for turn in turns:
        queue.failed("a", "fetch.connect")
        queue.give_back(turn)
    refused = [await taken(queue) for _ in range(3)]
    for turn in refused:
        assert turn.refused is not None
        assert turn.refused.code is ErrorCode.FETCH_CIRCUIT_OPEN
        assert turn.refused.retryable
        assert dict(turn.refused.details) == {"host": "a", "last_code": "fetch.connect"}
    assert not queue.may_retry("a")


async def test_a_circuit_that_opens_during_a_pause_refuses_what_waits_at_once(
    clock: Clock,
) -> None:
    queue = hosts(clock)
    queue.put("a", "first")
    turn = await taken(queue)
    queue.pause("a", 45.0)
    queue.put("a", "waits")
    assert await nothing_to_take(queue)
    for _ in range(BUDGET):
        queue.failed("a", "fetch.rate_limited")
    assert (await taken(queue)).refused is not None
    queue.give_back(turn)


async def test_hosts_that_wait_do_not_keep_those_in_trouble(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("birdcli.hosts._REMEMBERED", 5)
    queue = hosts(clock)
    for number in range(20):
        queue.put(f"h{number}", "item")
    for number in range(20, 100):
        turn = await taken(queue)
        queue.failed(turn.host, "fetch.dns")
        queue.give_back(turn)
        queue.put(f"h{number}", "item")
    assert len(queue) == 20 + 5


async def test_trouble_outside_of_a_turn_is_remembered_within_bounds(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("birdcli.hosts._REMEMBERED", 5)
    queue = hosts(clock)
    for number in range(20):
        queue.failed(f"h{number}", "fetch.dns")
        queue.pause(f"p{number}", 10.0)
    assert len(queue) == 5


async def test_a_host_whose_inputs_were_all_refused_counts_among_those_in_trouble(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("birdcli.hosts._REMEMBERED", 5)
    queue = hosts(clock)
    for number in range(5):
        for _ in range(BUDGET):
            queue.failed(f"h{number}", "fetch.dns")
    for number in range(5):
        queue.put(f"h{number}", "item")
        assert (await taken(queue)).refused is not None
    queue.pause("other", 10.0)
    assert len(queue) == 5


async def test_what_comes_after_dropping_is_not_waited_for(clock: Clock) -> None:
    queue = hosts(clock)
    queue.pause("a", 45.0)
    queue.drop()
    queue.put("a", "late")
    assert await asyncio.wait_for(queue.turn(), 5.0) is None


async def test_a_longer_pause_holds_although_a_shorter_one_was_waited_for(clock: Clock) -> None:
    queue = hosts(clock)
    queue.pause("a", 10.0)
    queue.put("a", "a1")
    assert await nothing_to_take(queue)
    queue.pause("a", 30.0)
    clock.now_s += 10.0
    assert await nothing_to_take(queue)
    clock.now_s += 20.0
    assert (await taken(queue)).item == "a1"


async def test_answers_outside_of_a_turn_leave_nothing_behind(clock: Clock) -> None:
    queue = hosts(clock)
    queue.succeeded("a")
    assert queue.may_retry("a")
    assert queue.book("a") == 0.0
    assert len(queue) == 0


async def test_after_a_while_one_probe_is_let_through(clock: Clock) -> None:
    queue = hosts(clock)
    for _ in range(BUDGET):
        queue.failed("a", "fetch.timeout")
    clock.now_s += COOL_DOWN_S
    for item in ("a1", "a2", "a3"):
        queue.put("a", item)
    probe = await taken(queue)
    assert probe.is_probe
    assert (await taken(queue)).refused is not None
    queue.succeeded("a")
    queue.give_back(probe)
    assert (await taken(queue)).refused is None


async def test_a_probe_without_any_answer_lets_another_one_through(clock: Clock) -> None:
    queue = hosts(clock)
    for _ in range(BUDGET):
        queue.failed("a", "fetch.timeout")
    clock.now_s += COOL_DOWN_S
    queue.put("a", "a1")
    queue.give_back(await taken(queue))
    queue.put("a", "a2")
    assert (await taken(queue)).is_probe


async def test_hosts_nobody_needs_are_forgotten(clock: Clock) -> None:
    queue = hosts(clock)
    for number in range(100):
        queue.put(str(number), "x")
        queue.give_back(await taken(queue))
    assert len(queue) == 0


async def test_of_hosts_in_trouble_the_latest_are_remembered(clock: Clock) -> None:
    queue = hosts(clock)
    for number in range(10_500):
        queue.put(str(number), "x")
        turn = await taken(queue)
        queue.failed(turn.host, "fetch.connect")
        queue.give_back(turn)
    assert len(queue) == 10_000


def test_a_failed_probe_doubles_the_wait_up_to_a_bound() -> None:
    health = HostHealth()
    now_s = 0.0
    for _ in range(BUDGET):
        health.failed(now_s, "x")
    waits = []
    for _ in range(6):
        started_s = now_s
        while health.refuses(now_s):
            now_s += 1.0
        waits.append(now_s - started_s)
        assert health.asked()
        health.failed(now_s, "x")
    assert waits == [COOL_DOWN_S, 60.0, 120.0, 240.0, LONGEST_COOL_DOWN_S, LONGEST_COOL_DOWN_S]


def test_answers_give_back_what_failures_took() -> None:
    health = HostHealth()
    for _ in range(500):
        health.failed(0.0, "x")
        health.succeeded()
    assert health.is_well


def test_retries_end_with_half_of_the_budget() -> None:
    health = HostHealth()
    allowed = 0
    while health.may_retry:
        health.failed(0.0, "x")
        allowed += 1
    assert allowed == BUDGET // 2
    assert not health.refuses(0.0)
