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
from birdcli.content_coding import decoder_for
from birdcli.errors import ErrorCode, FetchError
from birdcli.http_faults import mapped_faults, status_message
from birdcli.proxies import Proxies, resolve_proxies
from birdcli.resolver import Resolver
from birdcli.retry import RETRYABLE_STATUSES, AskedToWaitError, parse_retry_after
from birdcli.web_url import redirect_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from yarl import URL

    from birdcli.items import Validators
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
        session: aiohttp.ClientSession,
        *,
        proxies: Proxies,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Uses a session made by `open_http_client`.

        Args:
            settings: The limits.
            session: Must not decode bodies, keep cookies or have time limits of its own.
            proxies: Which proxy serves which URL.
            wall_clock: Seconds since 1970, for dates in `Retry-After`.
        """
        self._settings = settings
        self._session = session
        self._proxies = proxies
        self._wall_clock = wall_clock

    async def get(self, target: WebUrl, known: Validators | None) -> Body | Unchanged:
        """Asks once.

        Args:
            target: Where.
            known: Validators that make the request conditional, or None.

        Raises:
            FetchError: There is no usable answer; an `AskedToWaitError` if the server says when
                there may be one.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._follow(target, known)
        except TimeoutError as err:
            raise FetchError(
                ErrorCode.FETCH_TIMEOUT,
                f"No whole answer within {self._settings.timeout_s:g} s",
                retryable=True,
            ) from err

    async def _follow(self, target: WebUrl, known: Validators | None) -> Body | Unchanged:
        """Sends one request, and those it is redirected to."""
        url = target.url
        for _ in range(self._settings.max_redirects + 1):
            async with self._response(url, target.headers_for(url), known) as response:
                if response.status not in _REDIRECTS:
                    return await self._answer(response, known)
                url = redirect_target(url, response.headers.get("Location"))
        raise FetchError(
            ErrorCode.FETCH_REDIRECT, f"More than {self._settings.max_redirects} redirects"
        )

    @asynccontextmanager
    async def _response(
        self, url: URL, credentials: Mapping[str, str], known: Validators | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        with mapped_faults(url):
            response = await self._session.get(
                url,
                headers={**credentials, **(known.request_headers() if known else {})},
                proxy=self._proxies.proxy_for(url.scheme, url.raw_host or ""),
                allow_redirects=False,
            )
        async with response:
            yield response

    async def _answer(
        self, response: aiohttp.ClientResponse, known: Validators | None
    ) -> Body | Unchanged:
        if known is not None and response.status == HTTPStatus.NOT_MODIFIED:
            return Unchanged(known.sha256)
        if response.status not in _WHOLE | _EMPTY:
            raise self._status_error(response)
        data = b""
        if response.status in _WHOLE:
            with mapped_faults(response.url, reading=True):
                data = await self._read(response)
        if not data:
            raise FetchError(
                ErrorCode.FETCH_EMPTY, "The answer has no body", status=response.status
            )
        return Body(data, response.headers)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if response.content_length is not None:
            self._check_size(response.content_length)
        decoder = decoder_for(",".join(response.headers.getall("Content-Encoding", ())))
        pieces = []
        size = 0
        async for chunk in response.content.iter_any():
            for number, piece in enumerate(decoder.feed(chunk)):
                size += len(piece)
                self._check_size(size)
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


@asynccontextmanager
async def open_http_client(
    settings: FetchSettings,
    *,
    proxies: Proxies | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> AsyncIterator[HttpClient]:
    """Opens a client with its connections, and closes them.

    Args:
        settings: The limits.
        proxies: Which proxy serves which URL; None takes those of environment and system.
        wall_clock: Seconds since 1970, for dates in `Retry-After`.

    Raises:
        UsageError: ``usage.bad_flag`` for a proxy that cannot be used.
    """
    chosen = resolve_proxies() if proxies is None else proxies
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=settings.concurrency,
            # Redirects reach hosts that nobody holds a slot of.
            limit_per_host=settings.per_host,
            ttl_dns_cache=_DNS_TTL_S,
            resolver=Resolver(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # ours cover redirects
        auto_decompress=False,
        max_line_size=_LONGEST_HEADER_BYTES,
        max_field_size=_LONGEST_HEADER_BYTES,
    ) as session:
        yield HttpClient(settings, session, proxies=chosen, wall_clock=wall_clock)
