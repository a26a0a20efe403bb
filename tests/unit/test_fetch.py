"""Patience, digests and validators of the fetcher, over a client that answers from a script."""

from __future__ import annotations

import asyncio
import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, FetchError
from birdcli.fetch import HttpFetcher, Surroundings
from birdcli.host_health import BUDGET
from birdcli.hosts import Hosts
from birdcli.http_get import Body, Unchanged
from birdcli.items import ImageRef, SourceKind, Stage, Timings, Validators
from birdcli.retry import AskedToWaitError
from birdcli.settings import FetchSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from birdcli.download_slot import DownloadSlot
    from birdcli.redirects import Course
    from birdcli.web_url import WebUrl

DATA = b"the bytes of a picture"
DIGEST = hashlib.sha256(DATA).hexdigest()
URL = "http://h/a.jpg"
REF = ImageRef(index=0, source=URL, kind=SourceKind.URL)
BODY = Body(DATA, {"ETag": '"1"'})
DEAD = FetchError(ErrorCode.FETCH_CONNECT, "dead", retryable=True)


class ScriptedClient:
    """Answers in turn; an exception is raised."""

    def __init__(self, *script: Body | Unchanged | FetchError) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, Validators | None]] = []

    async def get(
        self,
        target: WebUrl,
        known: Validators | None,
        slot: DownloadSlot | None = None,
        course: Course | None = None,
    ) -> Body | Unchanged:
        self.asked.append((str(target.url), known))
        answer = self.script.pop(0)
        if isinstance(answer, FetchError):
            raise answer
        return answer


class RedirectedClient(ScriptedClient):
    """Is sent to another host first."""

    async def get(
        self,
        target: WebUrl,
        known: Validators | None,
        slot: DownloadSlot | None = None,
        course: Course | None = None,
    ) -> Body | Unchanged:
        assert course is not None
        try:
            await course.turn_to("target")
        except FetchError:
            self.asked.append((str(target.url), known))
            raise
        return await super().get(target, known, slot, course)


class Ticks:
    """A clock that goes one second per look."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


class NoJitter(random.Random):
    """Always the shortest pause."""

    def uniform(self, a: float, b: float) -> float:
        return a


class Pauses:
    """A sleep that only remembers."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    @property
    def now_s(self) -> float:
        return sum(self.taken)

    async def __call__(self, pause_s: float) -> None:
        self.taken.append(pause_s)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def fetcher_over(
    client: ScriptedClient,
    executor: ThreadPoolExecutor,
    *,
    pauses: Pauses | None = None,
    hosts: Hosts[None] | None = None,
) -> HttpFetcher:
    pauses = pauses or Pauses()
    return HttpFetcher(
        FetchSettings(retries=2),
        client,
        executor=executor,
        hosts=Hosts(per_host=8, clock=lambda: pauses.now_s) if hosts is None else hosts,
        surroundings=Surroundings(sleep=pauses, clock=Ticks(), rng=random.Random(1)),
    )


async def test_timings_are_marked_around_the_request(executor: ThreadPoolExecutor) -> None:
    image = await fetcher_over(ScriptedClient(BODY), executor).fetch(REF, Timings(0.0))
    assert image.timings.marks == ((Stage.QUEUE, 1.0), (Stage.FETCH, 2.0))


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 300_000])
async def test_digests_are_right_at_every_size(executor: ThreadPoolExecutor, size: int) -> None:
    data = random.Random(size).randbytes(size)
    image = await fetcher_over(ScriptedClient(Body(data, {})), executor).fetch(REF, Timings(0.0))
    assert (image.data, image.sha256) == (data, hashlib.sha256(data).hexdigest())


async def test_attempts_are_counted_on_success(executor: ThreadPoolExecutor) -> None:
    pauses = Pauses()
    fetcher = fetcher_over(ScriptedClient(DEAD, DEAD, BODY), executor, pauses=pauses)
    assert (await fetcher.fetch(REF, Timings(0.0))).attempts == 3
    assert len(pauses.taken) == 2


async def test_attempts_are_counted_on_failure(executor: ThreadPoolExecutor) -> None:
    fetcher = fetcher_over(ScriptedClient(DEAD, DEAD, DEAD), executor)
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(REF, Timings(0.0))
    assert caught.value.attempts == 3


async def test_an_error_that_will_stay_is_not_retried(executor: ThreadPoolExecutor) -> None:
    pauses = Pauses()
    gone = FetchError(ErrorCode.FETCH_HTTP_STATUS, "HTTP 404", status=404)
    client = ScriptedClient(gone)
    with pytest.raises(FetchError) as caught:
        await fetcher_over(client, executor, pauses=pauses).fetch(REF, Timings(0.0))
    assert (caught.value.attempts, len(client.asked), pauses.taken) == (1, 1, [])


async def test_a_failed_lookup_is_tried_twice(executor: ThreadPoolExecutor) -> None:
    unknown = FetchError(ErrorCode.FETCH_DNS, "unknown", retryable=True)
    client = ScriptedClient(unknown, unknown)
    with pytest.raises(FetchError) as caught:
        await fetcher_over(client, executor).fetch(REF, Timings(0.0))
    assert (caught.value.code, caught.value.attempts) == (ErrorCode.FETCH_DNS, 2)


async def test_the_server_says_how_long_to_pause(executor: ThreadPoolExecutor) -> None:
    pauses = Pauses()
    wait = AskedToWaitError(ErrorCode.FETCH_RATE_LIMITED, "HTTP 429", status=429, wait_s=12.0)
    await fetcher_over(ScriptedClient(wait, BODY), executor, pauses=pauses).fetch(REF, Timings(0.0))
    assert pauses.taken == [12.0]


async def test_a_pause_that_another_input_was_told_holds_for_all(
    executor: ThreadPoolExecutor,
) -> None:
    pauses = Pauses()
    hosts: Hosts[None] = Hosts(per_host=8, clock=lambda: pauses.now_s)
    hosts.pause("h", 20.0)
    fetcher = fetcher_over(ScriptedClient(DEAD, BODY), executor, pauses=pauses, hosts=hosts)
    await fetcher.fetch(REF, Timings(0.0))
    assert len(pauses.taken) == 2
    assert pauses.now_s == pytest.approx(20.0)


async def test_a_pause_past_the_deadline_gives_the_error_at_once(
    executor: ThreadPoolExecutor,
) -> None:
    pauses = Pauses()
    hosts: Hosts[None] = Hosts(per_host=8, clock=lambda: pauses.now_s)
    hosts.pause("h", 1000.0)
    fetcher = fetcher_over(ScriptedClient(DEAD, BODY), executor, pauses=pauses, hosts=hosts)
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(REF, Timings(0.0))
    assert (caught.value.code, caught.value.attempts) == (ErrorCode.FETCH_CONNECT, 1)


async def test_whoever_waits_does_not_ask_a_host_whose_budget_is_gone_meanwhile(
    executor: ThreadPoolExecutor,
) -> None:
    hosts: Hosts[None] = Hosts(per_host=8, clock=lambda: 0.0)

    class Meanwhile(Pauses):
        async def __call__(self, pause_s: float) -> None:
            for _ in range(BUDGET):
                hosts.failed("h", "fetch.timeout")

    client = ScriptedClient(DEAD, BODY)
    fetcher = fetcher_over(client, executor, pauses=Meanwhile(), hosts=hosts)
    with pytest.raises(FetchError):
        await fetcher.fetch(REF, Timings(0.0))
    assert len(client.asked) == 1


async def test_failures_of_a_redirects_target_are_held_against_it_and_not_against_the_host(
    executor: ThreadPoolExecutor,
) -> None:
    pauses = Pauses()
    hosts: Hosts[None] = Hosts(per_host=8, clock=lambda: pauses.now_s)
    for _ in range(BUDGET):
        busy = AskedToWaitError(ErrorCode.FETCH_RATE_LIMITED, "429", status=429, wait_s=900.0)
        fetcher = fetcher_over(RedirectedClient(busy), executor, pauses=pauses, hosts=hosts)
        with pytest.raises(FetchError):
            await fetcher.fetch(REF, Timings(0.0))
        assert hosts.pause_left_s("target") == FetchSettings().deadline_s
        await pauses(FetchSettings().deadline_s)
    assert not hosts.may_retry("target")
    assert hosts.may_retry("h")
    assert hosts.book("h") == 0.0


async def test_an_answer_after_a_redirect_is_to_the_credit_of_both_hosts(
    executor: ThreadPoolExecutor,
) -> None:
    hosts: Hosts[None] = Hosts(per_host=8, clock=lambda: 0.0)
    for host in ("h", "target"):
        hosts.failed(host, "fetch.timeout")
    await fetcher_over(RedirectedClient(BODY), executor, hosts=hosts).fetch(REF, Timings(0.0))
    assert len(hosts) == 0  # nothing has to be remembered


async def test_a_host_that_is_left_alone_is_not_asked_again_for_redirects_to_it(
    executor: ThreadPoolExecutor,
) -> None:
    hosts: Hosts[None] = Hosts(per_host=8, clock=lambda: 0.0)
    for _ in range(BUDGET):
        hosts.failed("target", "fetch.timeout")
    client = RedirectedClient(BODY)
    with pytest.raises(FetchError) as caught:
        await fetcher_over(client, executor, hosts=hosts).fetch(REF, Timings(0.0))
    assert (caught.value.code, caught.value.attempts) == (ErrorCode.FETCH_CIRCUIT_OPEN, 1)
    assert len(client.asked) == 1
    assert client.script == [BODY]


async def test_validators_come_with_the_bytes(executor: ThreadPoolExecutor) -> None:
    image = await fetcher_over(ScriptedClient(BODY), executor).fetch(REF, Timings(0.0))
    assert image.offered == Validators(sha256=DIGEST, etag='"1"')


async def test_a_304_stands_for_the_known_bytes(executor: ThreadPoolExecutor) -> None:
    known = Validators(sha256=DIGEST, etag='"1"')
    client = ScriptedClient(DEAD, Unchanged(DIGEST))
    image = await fetcher_over(client, executor).fetch(REF, Timings(0.0), known=known)
    assert (image.data, image.sha256, image.unchanged, image.attempts) == (b"", DIGEST, True, 2)
    assert client.asked == [(URL, known), (URL, known)]


async def test_the_deadline_covers_pauses(executor: ThreadPoolExecutor) -> None:
    async def oversleep(pause_s: float) -> None:
        await asyncio.Event().wait()

    fetcher = HttpFetcher(
        FetchSettings(deadline_s=0.01),
        ScriptedClient(DEAD),
        executor=executor,
        hosts=Hosts(per_host=8, clock=lambda: 0.0),
        surroundings=Surroundings(sleep=oversleep, rng=NoJitter()),
    )
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(REF, Timings(0.0))
    assert (caught.value.code, caught.value.attempts) == (ErrorCode.FETCH_DEADLINE, 1)
    assert caught.value.retryable
    assert dict(caught.value.details) == {"last_code": "fetch.connect"}
