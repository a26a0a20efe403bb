"""One attempt to download: requests along redirects, then a body within its limits."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp  # noqa: TID253 - loaded with fetch.py alone

from birdcli import __version__
from birdcli.address_guard import (
    AddressClass,
    AddressGuard,
    Trail,
    address_class,
    following,
    literal_address,
)
from birdcli.connector import SilentConnector
from birdcli.content_coding import decoder_for
from birdcli.errors import ErrorCode, FetchError
from birdcli.hosts import host_of
from birdcli.http_faults import blocked_address, mapped_faults, status_message
from birdcli.open_files import allow_open_files
from birdcli.pace import Pace
from birdcli.proxies import Proxies, resolve_proxies
from birdcli.resolver import Resolver
from birdcli.retry import RETRYABLE_STATUSES, AskedToWaitError, parse_retry_after
from birdcli.time_limits import at_rest
from birdcli.web_url import redirect_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from aiohttp.connector import Connection
    from yarl import URL

    from birdcli.download_slot import DownloadSlot
    from birdcli.items import Validators
    from birdcli.redirects import Course
    from birdcli.settings import FetchSettings
    from birdcli.web_url import WebUrl

USER_AGENT: Final = f"birdcli/{__version__} (+https://github.com/birdcli/birdcli)"

_HEADERS: Final = {
    "User-Agent": USER_AGENT,
    "Accept": "image/jpeg, image/png, image/webp;q=0.9, image/*;q=0.8, */*;q=0.5",
    "Accept-Encoding": "identity",  # pictures are compressed already
}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WHOLE: Final = frozenset({HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION})
_EMPTY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})

_LONGEST_HEADER_BYTES: Final = 32_768  # policies and cookies of real sites pass aiohttp's 8 KB
_DNS_TTL_S: Final = 300
# No limit of the connector counts idle connections: with a list of many hosts they would use up all
# descriptors. Requests to a host that is in use follow each other within milliseconds.
_IDLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Body:
    """A whole picture, as encoded bytes, with the headers it came with."""

    data: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """304: the known bytes are still right."""

    sha256: str


class HttpClient:
    """Downloads over one session."""

    def __init__(
        self,
        settings: FetchSettings,
        sessions: Sessions,
        *,
        proxies: Proxies,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Uses sessions made by `open_http_client`.

        Args:
            settings: The limits.
            sessions: Must not decode bodies, keep cookies or have time limits of their own.
            proxies: Which proxy serves which URL.
            wall_clock: Seconds since 1970, for dates in `Retry-After`.
        """
        self._settings = settings
        self._sessions = sessions
        self._proxies = proxies
        self._wall_clock = wall_clock

    async def get(
        self,
        target: WebUrl,
        known: Validators | None,
        slot: DownloadSlot | None = None,
        course: Course | None = None,
    ) -> Body | Unchanged:
        """Asks once.

        Args:
            target: Where.
            known: Validators that make the request conditional, or None.
            slot: Told how much memory the body takes; waits until there is so much.
            course: Told of redirects to another host; waits until that may be asked.

        Raises:
            FetchError: There is no usable answer; an `AskedToWaitError` if the server says when
                there may be one.
        """
        limit = asyncio.timeout(self._settings.timeout_s)
        try:
            async with limit:
                return await self._follow(target, _Asking(limit, known, slot, course))
        except TimeoutError as err:
            raise FetchError(
                ErrorCode.FETCH_TIMEOUT,
                f"No whole answer within {self._settings.timeout_s:g} s",
                retryable=True,
            ) from err

    async def _follow(self, target: WebUrl, asking: _Asking) -> Body | Unchanged:
        """Sends one request, and those it is redirected to."""
        private = not self._settings.deny_private
        url = before = target.url
        for _ in range(self._settings.max_redirects + 1):
            if asking.course is not None and url.raw_host != before.raw_host:
                with at_rest(asking.limit):
                    await asking.course.turn_to(host_of(str(url)))
            headers = target.headers_for(url)
            async with self._response(url, headers, asking.known, private) as response:
                if response.status not in _REDIRECTS:
                    return await self._answer(response, asking)
                private = private and (
                    self._settings.allow_private_redirects or self._is_private(response, url)
                )
                before, url = url, redirect_target(url, response.headers.get("Location"))
        raise FetchError(
            ErrorCode.FETCH_REDIRECT, f"More than {self._settings.max_redirects} redirects"
        )

    @asynccontextmanager
    async def _response(
        self, url: URL, credentials: Mapping[str, str], known: Validators | None, private: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        proxy = self._proxies.proxy_for(url.scheme, url.raw_host or "")
        trail = Trail(private=private, is_proxy=proxy is not None)
        self._verify_literal(url, trail)
        # A connection to a private address that one URL may use must not serve another that may
        # not, so each kind has its own.
        session = self._sessions.any_address if private else self._sessions.public_only
        with mapped_faults(url, trail=trail), following(trail):
            response = await session.get(
                url,
                headers={**credentials, **(known.request_headers() if known else {})},
                proxy=proxy,
                allow_redirects=False,
            )
        async with response:
            yield response

    def _verify_literal(self, url: URL, trail: Trail) -> None:
        """Refuses numbers that a proxy would connect to on our behalf."""
        number = literal_address(url.raw_host or "") if trail.is_proxy else None
        if number is None:
            return
        found = self._sessions.classify(number)
        if found is AddressClass.METADATA or (found is AddressClass.PRIVATE and not trail.private):
            raise blocked_address(url.raw_host or "", found)

    def _is_private(self, response: aiohttp.ClientResponse, url: URL) -> bool:
        """Tells whether an answer came from a private address, and may lead to another."""
        host = url.raw_host or ""
        number = getattr(response, "peer", None)
        if self._proxies.proxy_for(url.scheme, host) is not None:  # the peer is the proxy
            number = literal_address(host)
        return number is not None and self._sessions.classify(number) is AddressClass.PRIVATE

    async def _answer(self, response: aiohttp.ClientResponse, asking: _Asking) -> Body | Unchanged:
        known = asking.known
        if known is not None and response.status == HTTPStatus.NOT_MODIFIED:
            return Unchanged(known.sha256)
        if response.status not in _WHOLE | _EMPTY:
            raise self._status_error(response)
        data = b""
        if response.status in _WHOLE:
            with mapped_faults(response.url, reading=True):
                data = await self._read(response, asking)
        if not data:
            raise FetchError(
                ErrorCode.FETCH_EMPTY, "The answer has no body", status=response.status
            )
        return Body(data, response.headers)

    async def _read(self, response: aiohttp.ClientResponse, asking: _Asking) -> bytes:
        if response.content_length is not None:
            self._check_size(response.content_length)
        slot = asking.slot
        decoder = decoder_for(",".join(response.headers.getall("Content-Encoding", ())))
        pieces = []
        size = 0
        pace = Pace(self._settings.min_rate)
        while chunk := await pace.read(response.content):
            for number, piece in enumerate(decoder.feed(chunk)):
                size += len(piece)
                self._check_size(size)
                if slot is not None and size > slot.share.size:
                    with at_rest(asking.limit):  # the server is not to blame that memory is short
                        await slot.share.reach(size)
                pieces.append(piece)
                if number:  # a chunk that holds so much must not stop everybody else
                    await asyncio.sleep(0)
        decoder.finish()
        return b"".join(pieces)

    def _check_size(self, size: int) -> None:
        if size > self._settings.max_bytes:
            raise FetchError(
                ErrorCode.FETCH_TOO_LARGE,
                f"The body is larger than {self._settings.max_bytes} bytes",
                max_bytes=self._settings.max_bytes,
            )

    def _status_error(self, response: aiohttp.ClientResponse) -> FetchError:
        status = response.status
        code = ErrorCode.FETCH_HTTP_STATUS
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            code = ErrorCode.FETCH_RATE_LIMITED
        message = status_message(status)
        retryable = status in RETRYABLE_STATUSES  # asking again for a 404 is a burden for nothing
        if retryable:
            asked = response.headers.get("Retry-After", "")
            wait_s = parse_retry_after(asked, now_s=self._wall_clock())
            if wait_s is not None:
                return AskedToWaitError(code, message, status=status, wait_s=wait_s)
        return FetchError(code, message, retryable=retryable, status=status)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What all requests of one attempt share."""

    limit: asyncio.Timeout
    known: Validators | None
    slot: DownloadSlot | None
    course: Course | None


class _Response(aiohttp.ClientResponse):
    """Knows the address of its own connection, be it new or used before."""

    peer: str | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        transport = connection.transport  # no longer there once the body has come
        await super().start(connection)
        if self.status in _REDIRECTS and transport is not None:
            name = transport.get_extra_info("peername")
            self.peer = str(name[0]) if name else None
        return self


@dataclass(frozen=True, slots=True)
class Sessions:
    """Connections by whom they may lead to, and how addresses are judged."""

    any_address: aiohttp.ClientSession
    public_only: aiohttp.ClientSession
    classify: Callable[[str], AddressClass]


@asynccontextmanager
async def open_http_client(
    settings: FetchSettings,
    *,
    proxies: Proxies | None = None,
    wall_clock: Callable[[], float] = time.time,
    classify: Callable[[str], AddressClass] = address_class,
) -> AsyncIterator[HttpClient]:
    """Opens a client with its connections, and closes them.

    Args:
        settings: The limits.
        proxies: Which proxy serves which URL; None takes those of environment and system.
        wall_clock: Seconds since 1970, for dates in `Retry-After`.
        classify: Tells whom an address belongs to.

    Raises:
        UsageError: ``usage.bad_flag`` for a proxy that cannot be used.
    """
    chosen = resolve_proxies() if proxies is None else proxies
    allow_open_files()
    guard = AddressGuard(classify)
    async with _session(settings, guard) as anywhere, _session(settings, guard) as public:
        sessions = Sessions(anywhere, public, classify)
        yield HttpClient(settings, sessions, proxies=chosen, wall_clock=wall_clock)


def _session(settings: FetchSettings, guard: AddressGuard) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=SilentConnector(
            limit=settings.concurrency,
            # Redirects reach hosts that they hold no slot of.
            limit_per_host=settings.per_host,
            keepalive_timeout=_IDLE_S,
            ttl_dns_cache=_DNS_TTL_S,
            resolver=Resolver(),
            socket_factory=guard.open_socket,
        ),
        response_class=_Response,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # ours cover redirects
        auto_decompress=False,
        max_line_size=_LONGEST_HEADER_BYTES,
        max_field_size=_LONGEST_HEADER_BYTES,
    )
