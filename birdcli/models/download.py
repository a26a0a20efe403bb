"""Model files fetched from hubs and mirrors."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from birdcli import __version__
from birdcli.credentials import Credentials
from birdcli.errors import ItemError
from birdcli.models.editions import continued_length, offered_edition, rest_headers
from birdcli.models.partial_folder import open_partial
from birdcli.models.partials import unwritable
from birdcli.models.transfer import (
    REDIRECTS,
    TransferError,
    check_answer,
    check_size,
    check_space,
    download_error,
    may_retry,
    next_hop,
    pause_before_retry_s,
    status_message,
)
from birdcli.models.transfer import DownloadSettings as DownloadSettings  # for callers
from birdcli.proxies import Proxies, resolve_proxies
from birdcli.resolver import Resolver
from birdcli.web_url import WebUrl, parse_web_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from yarl import URL

    from birdcli.models.partials import Partial

    Progress = Callable[[int, int | None], None]
    """Called with the bytes so far, and the length or None; a new attempt may start over."""

_CHUNK_BYTES = 1 << 16
_HEADERS = {
    "User-Agent": f"birdcli/{__version__} (+https://github.com/birdcli/birdcli)",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # archives are compressed already
}
_ANSWERS_TO_A_RANGE = frozenset(
    {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
)
_LONGEST_HEADER_BYTES = 32_768  # signed URLs in redirects can pass aiohttp's 8 KB


def explain(err: Exception) -> TransferError:
    """Returns what an exception of the HTTP library means for a download.

    The library's own texts are left out: many hold the whole URL, with its signature.
    """
    match err:
        case aiohttp.ClientConnectorDNSError():
            return TransferError("The host has no address", retryable=True, unreachable=True)
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return TransferError("No secure connection came about (TLS)")
        case aiohttp.ClientProxyConnectionError():
            return TransferError("The proxy cannot be reached", retryable=True, unreachable=True)
        case aiohttp.ClientConnectorError():
            return TransferError("The host cannot be reached", retryable=True, unreachable=True)
        case aiohttp.ConnectionTimeoutError():
            return TransferError("The host does not answer", retryable=True, unreachable=True)
        case aiohttp.ServerTimeoutError():
            return TransferError("The server fell silent", retryable=True)
        case aiohttp.ClientHttpProxyError():
            return TransferError(f"The proxy refuses: {status_message(err.status)}")
        case aiohttp.ClientPayloadError():
            return TransferError("The file was cut off", retryable=True)
        case aiohttp.ClientResponseError():
            return TransferError("The server does not speak HTTP as it should")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return TransferError("The URL cannot be asked for")
        case aiohttp.ClientConnectionError() | OSError():
            return TransferError("The connection broke", retryable=True)
    return TransferError(f"The transfer failed ({type(err).__name__})")


class _NotTheRestError(Exception):
    """The server has no rest to the bytes that are there, or one of another file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What all sources and attempts of one download share."""

    settings: DownloadSettings
    credentials: Credentials
    proxies: Proxies
    progress: Progress
    sleep: Callable[[float], Awaitable[None]]
    clock: Callable[[], float]
    free_bytes: Callable[[Path], int]


@dataclass(frozen=True, slots=True)
class _Transfer:
    """All attempts at one source."""

    terms: _Terms
    session: aiohttp.ClientSession
    partial: Partial
    destination: Path

    async def run(self, source: str) -> None:
        """Fills the file from the source.

        Raises:
            TransferError: All attempts failed; the last reason.
        """
        try:
            start = parse_web_url(source)
        except ItemError as err:
            raise TransferError(err.message) from err
        limit_s = self.terms.settings.total_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._attempt_until_done(start)
        except TimeoutError as err:
            raise TransferError(f"The file did not come within {limit_s:g} s") from err

    async def _attempt_until_done(self, start: WebUrl) -> None:
        attempt = 1
        started_s = self.terms.clock()
        while True:
            try:
                await self._attempt(start)
            except TransferError as failure:
                elapsed_s = self.terms.clock() - started_s
                if not may_retry(failure, attempt, elapsed_s, self.terms.settings):
                    raise
                await self.terms.sleep(pause_before_retry_s(failure, attempt))
                attempt += 1
            else:
                return

    async def _attempt(self, start: WebUrl) -> None:
        try:
            await self._follow(start)
        except _NotTheRestError:
            self.partial.restart()
            await self._follow(start)  # asks for the whole file, so it does not come to this again

    async def _follow(self, start: WebUrl) -> None:
        max_redirects = self.terms.settings.max_redirects
        url = start.url
        for _ in range(max_redirects + 1):
            try:
                target = await self._ask(start, url)
            except TransferError as failure:
                if url.host != start.url.host:
                    failure.reason += f" (redirected to {url.host})"
                raise
            if target is None:
                return
            url = target
        raise TransferError(f"There are more than {max_redirects} redirects")

    async def _ask(self, start: WebUrl, url: URL) -> URL | None:
        """Returns where to ask instead, or None when the file is filled."""
        headers = self.terms.credentials.headers_for(str(url)) | start.headers_for(url)
        if self.partial.beginning_of is not None:
            headers |= rest_headers(self.partial.beginning_of, self.partial.count)
        try:
            async with self.session.get(
                url,
                headers=headers,
                allow_redirects=False,  # each hop is checked, and gets its own credentials
                proxy=self.terms.proxies.proxy_for(url.scheme, url.raw_host or ""),
            ) as response:
                if response.status in REDIRECTS:
                    return next_hop(url, response.headers.get("Location"))
                await self._copy(response, self._begin(response, url))
                return None
        except (aiohttp.ClientError, OSError) as err:
            raise explain(err) from err

    def _begin(self, response: aiohttp.ClientResponse, url: URL) -> int | None:
        """Gets the file ready for a body; returns the length of the whole file, or None."""
        partial, max_bytes = self.partial, self.terms.settings.max_bytes
        edition = partial.beginning_of
        length: int | None
        if edition is not None and response.status in _ANSWERS_TO_A_RANGE:
            length = continued_length(edition, partial.count, url, response.headers)
            if response.status != HTTPStatus.PARTIAL_CONTENT or length is None:
                raise _NotTheRestError
            check_size(length, max_bytes)
        else:
            length = check_answer(
                response.status, response.headers, max_bytes=max_bytes, now_s=self.terms.clock()
            )
            partial.restart(offered_edition(url, response.headers, length))
        if length is not None:
            free_bytes = self._free_bytes()
            check_space(length, partial.count, free_bytes, self.terms.settings.unpack_factor)
        return length

    def _free_bytes(self) -> int:
        folder = self.destination.parent
        try:
            return self.terms.free_bytes(folder)
        except OSError as err:  # not to be taken for the network's
            raise unwritable(err, folder) from err

    async def _copy(self, response: aiohttp.ClientResponse, length: int | None) -> None:
        partial, max_bytes = self.partial, self.terms.settings.max_bytes
        limit = max_bytes if length is None else length
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            if partial.count + len(chunk) > limit:
                partial.restart()  # of no use to anybody
                check_size(limit + 1, max_bytes)
                raise TransferError("More bytes came than were announced")
            partial.write(chunk)
            self.terms.progress(partial.count, length)
        if partial.count == 0:
            raise TransferError("The file is empty")
        if length is not None and partial.count < length:
            raise TransferError("The file was cut off", retryable=True)


async def _try_in_turn(
    terms: _Terms, sources: Sequence[str], destination: Path, partials: Path | None, name: str
) -> str:
    timeout = aiohttp.ClientTimeout(
        total=None,
        connect=terms.settings.connect_timeout_s,
        sock_read=terms.settings.stall_timeout_s,
    )
    failures = []
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=Resolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        timeout=timeout,
        max_field_size=_LONGEST_HEADER_BYTES,
        max_line_size=_LONGEST_HEADER_BYTES,
    ) as session:
        for source in sources:
            with open_partial(source, destination, partials, clock=terms.clock) as partial:
                try:
                    await _Transfer(terms, session, partial, destination).run(source)
                except TransferError as failure:
                    failures.append((source, failure))
                else:
                    partial.place(destination)
                    return source
    # Not chained to the failures: their causes hold whole URLs, with signatures.
    raise download_error(failures, name)


def _no_progress(_count: int, _length: int | None) -> None:
    """Tells nobody."""


def free_bytes_at(path: Path) -> int:
    """Returns what the user may still write to the file system of a folder, in bytes."""
    return shutil.disk_usage(path).free


def download_first(
    sources: Sequence[str],
    destination: Path,
    settings: DownloadSettings | None = None,
    *,
    partials: Path | None = None,
    credentials: Credentials | None = None,
    name: str = "NAME",
    progress: Progress = _no_progress,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.time,
    free_bytes: Callable[[Path], int] = free_bytes_at,
) -> str:
    """Downloads a file from the first source that delivers it.

    Redirects are followed with the credentials of each hop's own host only; proxies come from the
    environment. The file appears whole and synced, or not at all. What breaks off is continued, if
    the server says that it is still the same file. Not to be called from a running event loop.

    Args:
        sources: http and https URLs in order of preference.
        destination: What the file is to be called.
        settings: Limits; None for the defaults of `DownloadSettings`.
        partials: Where to keep what breaks off, for the next call; on the file system of
            `destination`. None keeps nothing.
        credentials: What the user has; None for none.
        name: The model, for hints.
        progress: Called after every piece.
        sleep: As `asyncio.sleep`.
        clock: As `time.time`.
        free_bytes: As `free_bytes_at`.

    Returns:
        The source that delivered.

    Raises:
        ModelError: ``model.download_failed`` with each source and its reason; its detail
            `unreachable` is true if no source could even be connected to, `status` is the last
            HTTP status or None. ``model.unwritable`` if the file cannot be written, or if it does
            not fit on the disk together with what it unpacks to.
        UsageError: ``usage.bad_flag`` for a proxy that does not speak HTTP.
    """
    terms = _Terms(
        settings=settings or DownloadSettings(),
        credentials=credentials or Credentials(),
        proxies=resolve_proxies(),
        progress=progress,
        sleep=sleep,
        clock=clock,
        free_bytes=free_bytes,
    )
    try:
        return asyncio.run(_try_in_turn(terms, sources, destination, partials, name))
    except OSError as err:
        raise unwritable(err, destination) from err
