"""What servers see of a whole run: how many requests at once, how soon again, and when no more."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from birdcli.fetch import Surroundings, open_http_fetcher
from birdcli.host_health import BUDGET
from birdcli.hosts import Hosts
from birdcli.inference import Engine
from birdcli.items import Failed, SourceKind, Stage
from birdcli.pipeline import Pipeline
from birdcli.settings import BatchSettings, FetchSettings, PipelineSettings
from tests.fakes import LABELS, FakeClassifier, FakeDecoder, FakeReader, ListSink, image_ref
from tests.image_server import ImageServer, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from birdcli.items import Outcome, Unread

BIRD = Reply(body=b"bird")


async def run(urls: Sequence[str], settings: FetchSettings) -> list[Outcome]:
    """Everything real but decoder and engine."""
    sink = ListSink()
    loop = asyncio.get_running_loop()
    hosts: Hosts[Unread] = Hosts(per_host=settings.per_host, rate=settings.rate, clock=loop.time)
    surroundings = Surroundings(rng=random.Random(5))
    async with open_http_fetcher(settings, hosts=hosts, surroundings=surroundings) as fetcher:
        pipeline = Pipeline(
            fetcher=fetcher,
            hosts=hosts,
            reader=FakeReader(time.perf_counter),
            decoder=FakeDecoder(time.perf_counter),
            engine=Engine(FakeClassifier),
            labels=LABELS,
            model="fake@1",
            answers=None,
            sink=sink,
            settings=PipelineSettings(fetchers=settings.concurrency),
            batching=BatchSettings(max_size=8, max_age_s=0.001),
            clock=time.perf_counter,
        )
        inputs = [image_ref(index, url, SourceKind.URL) for index, url in enumerate(urls)]
        await asyncio.wait_for(pipeline.run(iter(inputs), stop=asyncio.Event()), 30.0)
    assert [outcome.ref.index for outcome in sink.outcomes] == list(range(len(urls)))
    return sink.outcomes


def codes(outcomes: Sequence[Outcome]) -> list[str]:
    return [
        str(outcome.error.code) if isinstance(outcome, Failed) else "ok" for outcome in outcomes
    ]


def numbered(server: ImageServer, count: int) -> list[str]:
    return [server.url(f"/{number}.jpg") for number in range(count)]


def all_alike(reply: Reply, count: int) -> dict[str, Reply]:
    return {f"/{number}.jpg": reply for number in range(count)}


async def test_no_host_is_asked_more_at_once_than_allowed() -> None:
    slow = Reply(body=b"bird", delay_s=0.02)
    async with ImageServer(all_alike(slow, 30)) as server:
        outcomes = await run(numbered(server, 30), FetchSettings(per_host=3))
        assert server.peak == 3
    assert set(codes(outcomes)) == {"ok"}


async def test_the_requests_of_a_run_keep_to_the_rate() -> None:
    async with ImageServer(all_alike(BIRD, 6)) as server:
        began_s = time.perf_counter()
        await run(numbered(server, 6), FetchSettings(rate=20.0))
        assert time.perf_counter() - began_s >= 5 / 20.0


async def test_a_host_that_never_answers_keeps_no_other_waiting() -> None:
    settings = FetchSettings(concurrency=4, per_host=2, timeout_s=0.4, deadline_s=0.4, retries=0)
    routes = {f"/hang{n}": Reply(hang=True) for n in range(6)} | {"/a.jpg": BIRD}
    async with ImageServer(routes, addresses=("127.0.0.1", "127.0.0.2")) as server:
        stuck = [server.url(f"/hang{n}") for n in range(6)]
        other = server.url("/a.jpg").replace("127.0.0.1", "127.0.0.2")
        outcomes = await run([*stuck, other], settings)
    *late, quick = outcomes
    assert set(codes(late)) <= {"fetch.timeout", "fetch.deadline"}
    assert codes([quick]) == ["ok"]
    assert quick.timings.stages_ms()[Stage.QUEUE] < 300


async def test_waiting_for_others_of_a_host_is_queueing_and_no_part_of_the_deadline() -> None:
    slow = Reply(body=b"bird", delay_s=0.15)
    settings = FetchSettings(per_host=1, timeout_s=0.8, deadline_s=0.8)
    async with ImageServer(all_alike(slow, 8)) as server:
        outcomes = await run(numbered(server, 8), settings)
    stages = outcomes[-1].timings.stages_ms()
    assert codes(outcomes) == ["ok"] * 8
    assert stages[Stage.QUEUE] > 800
    assert stages[Stage.FETCH] < 800


async def test_a_host_that_only_fails_is_left_alone_and_its_inputs_fail_at_once() -> None:
    settings = FetchSettings(per_host=4, retries=0)
    async with ImageServer(all_alike(Reply(status=503), 100)) as server:
        outcomes = await run(numbered(server, 100), settings)
        asked = len(server.requests)
    assert BUDGET <= asked < BUDGET + settings.per_host
    assert codes(outcomes).count("fetch.circuit_open") == 100 - asked
    refused = outcomes[-1]
    assert isinstance(refused, Failed)
    assert (refused.error.attempts, refused.error.retryable) == (0, True)
    assert dict(refused.error.details) == {"host": "127.0.0.1", "last_code": "fetch.http_status"}


async def test_a_404_is_no_trouble() -> None:
    async with ImageServer() as server:
        outcomes = await run(numbered(server, 60), FetchSettings())
        assert len(server.requests) == 60
    assert set(codes(outcomes)) == {"fetch.http_status"}


async def test_a_host_that_redirects_to_dead_ones_is_not_left_alone() -> None:
    routes = {f"/{n}.jpg": Reply.redirect(f"http://127.0.2.{n + 1}:1/a.jpg") for n in range(40)}
    async with ImageServer(routes) as server:
        outcomes = await run(numbered(server, 40), FetchSettings(retries=0))
    assert set(codes(outcomes)) == {"fetch.connect"}


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_pauses_the_host_and_no_other(status: int) -> None:
    asked_s: list[float] = []
    busy = Reply(status=status, headers={"Retry-After": "1"})

    def first_busy(_: web.BaseRequest) -> Reply:
        asked_s.append(time.perf_counter())
        return busy if len(asked_s) == 1 else BIRD

    async with ImageServer(addresses=("127.0.0.1", "127.0.0.2")) as server:
        server.routes.update({f"/{number}.jpg": first_busy for number in range(4)})
        server.routes["/o.jpg"] = BIRD
        other = server.url("/o.jpg").replace("127.0.0.1", "127.0.0.2")
        outcomes = await run([*numbered(server, 4), other], FetchSettings(per_host=1))
    assert codes(outcomes) == ["ok"] * 5
    assert asked_s[1] - asked_s[0] >= 0.95
    assert outcomes[-1].timings.total_ms < 900


async def test_a_host_that_wants_an_hour_holds_up_nothing() -> None:
    busy = Reply(status=429, headers={"Retry-After": "3600"})
    settings = FetchSettings(per_host=2, timeout_s=0.3, deadline_s=0.3)
    async with ImageServer(all_alike(busy, 6)) as server:
        began_s = time.perf_counter()
        outcomes = await run(numbered(server, 6), settings)
        assert time.perf_counter() - began_s < 5
        assert len(server.requests) == 6
    assert set(codes(outcomes)) == {"fetch.rate_limited"}


# Redirects to another host


def short_links(server: ImageServer, hosts: int, count: int) -> list[str]:
    """URLs of several hosts that are one server."""
    paths = numbered(server, count)
    return [url.replace("127.0.0.1", f"127.0.1.{n % hosts + 1}") for n, url in enumerate(paths)]


async def test_the_host_that_short_links_lead_to_is_asked_at_the_rate_too() -> None:
    asked_s: list[float] = []

    def bird(_: web.BaseRequest) -> Reply:
        asked_s.append(time.perf_counter())
        return BIRD

    async with (
        ImageServer({"/a.jpg": bird}) as target,
        ImageServer(
            all_alike(Reply.redirect(target.url("/a.jpg")), 8), addresses=("0.0.0.0",)
        ) as server,
    ):
        urls = [*short_links(server, 4, 8), target.url("/a.jpg")]
        # Waiting for a turn is no part of the deadline here either.
        outcomes = await run(urls, FetchSettings(rate=10.0, timeout_s=0.4, deadline_s=0.4))
    assert codes(outcomes) == ["ok"] * 9
    gaps_s = [after - before for before, after in pairwise(asked_s)]
    assert min(gaps_s) > 0.05
    assert asked_s[-1] - asked_s[0] >= 0.75


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_pauses_the_host_that_short_links_lead_to(status: int) -> None:
    asked_s: list[float] = []
    busy = Reply(status=status, headers={"Retry-After": "1"})

    def first_busy(_: web.BaseRequest) -> Reply:
        asked_s.append(time.perf_counter())
        return busy if len(asked_s) == 1 else BIRD

    async with ImageServer({"/a.jpg": first_busy}) as target:
        routes = all_alike(Reply.redirect(target.url("/a.jpg"), delay_s=0.2), 6)
        routes["/0.jpg"] = Reply.redirect(target.url("/a.jpg"))
        async with ImageServer(routes, addresses=("0.0.0.0",)) as server:
            outcomes = await run(short_links(server, 3, 6), FetchSettings())
    assert codes(outcomes) == ["ok"] * 6
    assert asked_s[1] - asked_s[0] >= 0.95


async def test_a_host_that_only_fails_is_left_alone_by_redirects_too() -> None:
    settings = FetchSettings(per_host=4, retries=0)
    async with ImageServer({"/a.jpg": Reply(status=503), "/b.jpg": BIRD}) as target:
        routes = all_alike(Reply.redirect(target.url("/a.jpg")), 60) | {"/ok.jpg": BIRD}
        async with ImageServer(routes, addresses=("127.0.0.2",)) as server:
            urls = [
                server.url(f"/{n}.jpg").replace("127.0.0.1", "127.0.0.2")
                for n in (*range(60), "ok")
            ]
            outcomes = await run([*urls, target.url("/b.jpg")], settings)
        asked = target.asked("/a.jpg")
    assert BUDGET <= asked < BUDGET + settings.per_host
    *short, ok, _ = codes(outcomes)
    assert short.count("fetch.circuit_open") == 60 - asked
    assert ok == "ok"  # whoever redirects has answered
    refused = outcomes[59]
    assert isinstance(refused, Failed)
    assert (refused.error.attempts, refused.error.retryable) == (1, True)
    assert dict(refused.error.details)["host"] == "127.0.0.1"


async def test_hosts_that_redirect_to_each_other_do_not_wait_for_each_other() -> None:
    async with ImageServer({"/bird.jpg": BIRD}, addresses=("127.0.0.1", "127.0.0.2")) as server:
        one, other = server.url(""), server.url("").replace("127.0.0.1", "127.0.0.2")
        for n in range(8):
            server.routes[f"/one{n}"] = Reply.redirect(f"{other}/bird.jpg")
            server.routes[f"/other{n}"] = Reply.redirect(f"{one}/bird.jpg")
        urls = [f"{one}/one{n}" for n in range(8)] + [f"{other}/other{n}" for n in range(8)]
        settings = FetchSettings(concurrency=2, per_host=1, rate=100.0, deadline_s=5.0)
        outcomes = await run(urls, settings)
    assert codes(outcomes) == ["ok"] * 16


async def test_a_list_of_many_hosts_does_not_run_out_of_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with ImageServer({"/a.jpg": BIRD}, addresses=("0.0.0.0",)) as server:
        urls = [
            server.url("/a.jpg").replace("127.0.0.1", f"127.1.{n // 250}.{n % 250 + 1}")
            for n in range(600)
        ]
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        try:
            outcomes = await run(urls, FetchSettings(concurrency=32))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert set(codes(outcomes)) == {"ok"}
