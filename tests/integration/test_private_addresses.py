"""Downloads to addresses that are not public, over real sockets on loopback.

Which of 127.0.0.x counts as public is given by the tests: 127.0.0.1 does here, 127.0.0.2 is
private, 127.0.0.3 tells secrets.
"""

from __future__ import annotations

import socket
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from birdcli.address_guard import AddressClass
from birdcli.errors import ErrorCode, FetchError, SourceError
from birdcli.fetch import HttpFetcher, open_http_fetcher
from birdcli.items import ImageRef, SourceKind, Timings
from birdcli.proxies import Proxies, resolve_proxies
from birdcli.settings import FetchSettings
from tests.image_server import ImageServer, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SETTINGS = FetchSettings(timeout_s=5.0, deadline_s=5.0, retries=0)
CLASSES = {
    "127.0.0.1": AddressClass.PUBLIC,
    "127.0.0.2": AddressClass.PRIVATE,
    "127.0.0.3": AddressClass.METADATA,
}
ROUTES = {"/a.jpg": Reply(body=b"bird")}


@asynccontextmanager
async def fetching(
    settings: FetchSettings = SETTINGS, proxies: Proxies | None = None
) -> AsyncIterator[HttpFetcher]:
    async with open_http_fetcher(
        settings, proxies=proxies, classify=lambda number: CLASSES[number]
    ) as fetcher:
        yield fetcher


def name(monkeypatch: pytest.MonkeyPatch, host: str, *numbers: str) -> None:
    """Lets a name lead to addresses, as its owner's name server might."""
    real = socket.getaddrinfo

    def look_up(asked: str, port: int, *rest: int) -> list[tuple[object, ...]]:
        if asked != host:
            return [*real(asked, port, *rest)]
        stream = socket.SOCK_STREAM
        return [(socket.AF_INET, stream, 6, "", (number, port)) for number in numbers]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


async def fetched(fetcher: HttpFetcher, url: str) -> bytes:
    ref = ImageRef(index=0, source=url, kind=SourceKind.URL)
    return (await fetcher.fetch(ref, Timings(time.perf_counter()))).data


async def code_of(fetcher: HttpFetcher, url: str) -> ErrorCode:
    with pytest.raises(FetchError) as caught:
        await fetched(fetcher, url)
    assert not caught.value.retryable
    return caught.value.code


def at(server: ImageServer, address: str, path: str = "/a.jpg") -> str:
    return server.url(path).replace("127.0.0.1", address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
async def test_what_the_user_typed_is_allowed(address: str) -> None:
    async with ImageServer(ROUTES, addresses=tuple(CLASSES)) as server, fetching() as fetcher:
        assert await fetched(fetcher, at(server, address)) == b"bird"


@pytest.mark.parametrize("spelling", ["127.0.0.2", "0x7f000002", "0x7f.2"])
async def test_a_list_of_others_reaches_public_addresses_only(spelling: str) -> None:
    settings = replace(SETTINGS, deny_private=True)
    async with (
        ImageServer(ROUTES, addresses=tuple(CLASSES)) as server,
        fetching(settings) as fetcher,
    ):
        assert await fetched(fetcher, at(server, "127.0.0.1")) == b"bird"
        assert await code_of(fetcher, at(server, spelling)) is ErrorCode.FETCH_BLOCKED_ADDRESS
        assert len(server.requests) == 1


@pytest.mark.parametrize("spelling", ["2130706434", "127.2"])
async def test_numbers_that_only_some_take_for_addresses_are_no_hosts(spelling: str) -> None:
    async with fetching() as fetcher:
        with pytest.raises(SourceError) as caught:
            await fetched(fetcher, f"http://{spelling}/a.jpg")
    assert caught.value.code is ErrorCode.SOURCE_INVALID_URL


async def test_metadata_is_refused_always() -> None:
    settings = replace(SETTINGS, allow_private_redirects=True)
    async with (
        ImageServer(ROUTES, addresses=tuple(CLASSES)) as server,
        fetching(settings) as fetcher,
    ):
        assert await code_of(fetcher, at(server, "127.0.0.3")) is ErrorCode.FETCH_BLOCKED_ADDRESS
        assert server.requests == []


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_public_host_redirects_to_a_private_one_only_if_allowed(allowed: bool) -> None:
    settings = replace(SETTINGS, allow_private_redirects=allowed)
    async with ImageServer(ROUTES, addresses=tuple(CLASSES)) as target:
        routes = {"/r": Reply.redirect(at(target, "127.0.0.2"))}
        async with ImageServer(routes) as server, fetching(settings) as fetcher:
            # A connection that a URL of the user's own has left open must not be used either.
            assert await fetched(fetcher, at(target, "127.0.0.2")) == b"bird"
            if allowed:
                assert await fetched(fetcher, server.url("/r")) == b"bird"
            else:
                code = await code_of(fetcher, server.url("/r"))
                assert code is ErrorCode.FETCH_BLOCKED_ADDRESS
                assert len(target.requests) == 1


async def test_a_private_host_may_redirect_to_another() -> None:
    async with ImageServer(ROUTES, addresses=tuple(CLASSES)) as target:
        routes = {"/r": Reply.redirect(at(target, "127.0.0.2"))}
        async with ImageServer(routes, addresses=tuple(CLASSES)) as server, fetching() as fetcher:
            for _ in range(2):  # the second over the connection of the first
                assert await fetched(fetcher, at(server, "127.0.0.2", "/r")) == b"bird"


async def test_a_detour_over_a_public_host_does_not_help() -> None:
    async with ImageServer(ROUTES, addresses=tuple(CLASSES)) as target:
        routes = {
            "/inside": Reply.redirect("/out"),
            "/out": Reply.redirect(at(target, "127.0.0.2")),
        }
        async with ImageServer(routes) as server, fetching() as fetcher:
            code = await code_of(fetcher, server.url("/inside"))
    assert code is ErrorCode.FETCH_BLOCKED_ADDRESS


async def test_a_name_that_leads_inside_is_no_way_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ImageServer(ROUTES, addresses=tuple(CLASSES)) as target:
        name(monkeypatch, "swing.example", "127.0.0.2")
        routes = {"/r": Reply.redirect(at(target, "swing.example"))}
        async with ImageServer(routes) as server, fetching() as fetcher:
            code = await code_of(fetcher, server.url("/r"))
        assert target.requests == []
    assert code is ErrorCode.FETCH_BLOCKED_ADDRESS


async def test_a_name_for_metadata_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name(monkeypatch, "swing.example", "127.0.0.3")
    async with ImageServer(ROUTES, addresses=tuple(CLASSES)) as server, fetching() as fetcher:
        code = await code_of(fetcher, at(server, "swing.example"))
        assert server.requests == []
    assert code is ErrorCode.FETCH_BLOCKED_ADDRESS


async def test_of_several_addresses_only_those_allowed_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name(monkeypatch, "swing.example", "127.0.0.3", "127.0.0.2", "127.0.0.1")
    settings = replace(SETTINGS, deny_private=True)
    async with ImageServer(ROUTES) as server, fetching(settings) as fetcher:
        assert await fetched(fetcher, at(server, "swing.example")) == b"bird"


async def test_a_name_that_moves_is_judged_by_the_connection_its_answer_came_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is private for the URL the user typed, and public when it redirects."""
    async with ImageServer(ROUTES, addresses=tuple(CLASSES)) as target:
        routes = {
            "/r": Reply.redirect(at(target, "127.0.0.2")),
            # Its connection is not used again, and the name is looked up anew.
            "/first": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
        }
        async with ImageServer(routes, addresses=tuple(CLASSES)) as server:
            monkeypatch.setattr("birdcli.http_get._DNS_TTL_S", 0)
            async with fetching() as fetcher:
                name(monkeypatch, "swing.example", "127.0.0.2")
                await fetched(fetcher, at(server, "swing.example", "/first"))
                name(monkeypatch, "swing.example", "127.0.0.1")
                code = await code_of(fetcher, at(server, "swing.example", "/r"))
        assert target.requests == []
    assert code is ErrorCode.FETCH_BLOCKED_ADDRESS


@pytest.mark.parametrize(
    ("first", "refused"), [("http://birds.invalid/r", True), ("http://127.0.0.2/r", False)]
)
async def test_a_proxy_is_not_sent_inside_by_a_redirect_from_outside(
    first: str, refused: bool
) -> None:
    inside = "http://127.0.0.2/a.jpg"
    routes = {first: Reply.redirect(inside), inside: Reply(body=b"bird")}
    async with ImageServer(routes) as proxy:
        proxies = resolve_proxies({"http": proxy.url("")}, lambda _: False)
        async with fetching(proxies=proxies) as fetcher:
            if refused:
                assert await code_of(fetcher, first) is ErrorCode.FETCH_BLOCKED_ADDRESS
                assert len(proxy.requests) == 1
            else:
                assert await fetched(fetcher, first) == b"bird"
