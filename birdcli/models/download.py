"""Model files fetched from hubs and mirrors."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import aiohttp

from birdcli import __version__
from birdcli.credentials import Credentials
from birdcli.errors import ErrorCode, ItemError, ModelError
from birdcli.files import atomic_writer
from birdcli.models.transfer import (
    REDIRECTS,
    TransferError,
    check_answer,
    check_size,
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

    Progress = Callable[[int, int | None], None]
    """Called with the bytes so far, and the length or None; a new attempt starts over."""

_CHUNK_BYTES = 1 << 16
_HEADERS = {
    "User-Agent": f"birdcli/{__version__} (+https://github.com/birdcli/birdcli)",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # archives are compressed already
}
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


def _unwritable(err: OSError, path: Path) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_UNWRITABLE,
        f"{path} cannot be written: {err.strerror or err}",
        path=str(path),
    )


class _Target:
    """The file being filled; its faults are told from those of the network."""

    def __init__(self, out: IO[bytes], path: Path) -> None:
        self._out = out
        self._path = path

    def restart(self) -> None:
        try:
            self._out.seek(0)
            self._out.truncate()
        except OSError as err:
            raise _unwritable(err, self._path) from err

    def write(self, chunk: bytes) -> None:
        try:
            self._out.write(chunk)
        except OSError as err:
            raise _unwritable(err, self._path) from err


@dataclass(frozen=True, slots=True, kw_only=True)
class _Transfer:
    """What all sources and attempts of one download share."""

    settings: DownloadSettings
    credentials: Credentials
    proxies: Proxies
    target: _Target
    progress: Progress
    sleep: Callable[[float], Awaitable[None]]
    clock: Callable[[], float]

    async def run(self, session: aiohttp.ClientSession, source: str) -> None:
        """Fills the target from one source.

        Raises:
            TransferError: All attempts failed; the last reason.
        """
        try:
            start = parse_web_url(source)
        except ItemError as err:
            raise TransferError(err.message) from err
        limit_s = self.settings.total_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._attempt_until_done(session, start)
        except TimeoutError as err:
            raise TransferError(f"The file did not come within {limit_s:g} s") from err

    async def _attempt_until_done(self, session: aiohttp.ClientSession, start: WebUrl) -> None:
        attempt = 1
        started_s = self.clock()
        while True:
            try:
                await self._attempt(session, start)
            except TransferError as failure:
                if not may_retry(failure, attempt, self.clock() - started_s, self.settings):
                    raise
                await self.sleep(pause_before_retry_s(failure, attempt))
                attempt += 1
            else:
                return

    async def _attempt(self, session: aiohttp.ClientSession, start: WebUrl) -> None:
        url = start.url
        for _ in range(self.settings.max_redirects + 1):
            try:
                target = await self._ask(session, start, url)
            except TransferError as failure:
                if url.host != start.url.host:
                    failure.reason += f" (redirected to {url.host})"
                raise
            if target is None:
                return
            url = target
        raise TransferError(f"There are more than {self.settings.max_redirects} redirects")

    async def _ask(self, session: aiohttp.ClientSession, start: WebUrl, url: URL) -> URL | None:
        """Returns where to ask instead, or None when the target is filled."""
        try:
            async with session.get(
                url,
                headers=self.credentials.headers_for(str(url)) | start.headers_for(url),
                allow_redirects=False,  # each hop is checked, and gets its own credentials
                proxy=self.proxies.proxy_for(url.scheme, url.raw_host or ""),
            ) as response:
                if response.status in REDIRECTS:
                    return next_hop(url, response.headers.get("Location"))
                await self._copy(response)
                return None
        except (aiohttp.ClientError, OSError) as err:
            raise explain(err) from err

    async def _copy(self, response: aiohttp.ClientResponse) -> None:
        max_bytes = self.settings.max_bytes
        length = check_answer(
            response.status, response.headers, max_bytes=max_bytes, now_s=self.clock()
        )
        self.target.restart()
        count = 0
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            count += len(chunk)
            check_size(count, max_bytes)
            self.target.write(chunk)
            self.progress(count, length)
        if count == 0:
            raise TransferError("The file is empty")


async def _try_in_turn(transfer: _Transfer, sources: Sequence[str], name: str) -> str:
    timeout = aiohttp.ClientTimeout(
        total=None,
        connect=transfer.settings.connect_timeout_s,
        sock_read=transfer.settings.stall_timeout_s,
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
            try:
                await transfer.run(session, source)
            except TransferError as failure:
                failures.append((source, failure))
            else:
                return source
    # Not chained to the failures: their causes hold whole URLs, with signatures.
    raise download_error(failures, name)


def _no_progress(_count: int, _length: int | None) -> None:
    """Tells nobody."""


def download_first(
    sources: Sequence[str],
    destination: Path,
    settings: DownloadSettings | None = None,
    *,
    credentials: Credentials | None = None,
    name: str = "NAME",
    progress: Progress = _no_progress,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.time,
) -> str:
    """Downloads a file from the first source that delivers it.

    Redirects are followed with the credentials of each hop's own host only; proxies come from the
    environment. The file appears whole and synced, or not at all. Not to be called from a running
    event loop.

    Args:
        sources: http and https URLs in order of preference.
        destination: What the file is to be called.
        settings: Limits; None for the defaults of `DownloadSettings`.
        credentials: What the user has; None for none.
        name: The model, for hints.
        progress: Called after every piece.
        sleep: As `asyncio.sleep`.
        clock: As `time.time`.

    Returns:
        The source that delivered.

    Raises:
        ModelError: ``model.download_failed`` with each source and its reason; its detail
            `unreachable` is true if no source could even be connected to, `status` is the last
            HTTP status or None. ``model.unwritable`` if the file cannot be written.
        UsageError: ``usage.bad_flag`` for a proxy that does not speak HTTP.
    """
    proxies = resolve_proxies()
    try:
        with atomic_writer(destination) as out:
            transfer = _Transfer(
                settings=settings or DownloadSettings(),
                credentials=credentials or Credentials(),
                proxies=proxies,
                target=_Target(out, destination),
                progress=progress,
                sleep=sleep,
                clock=clock,
            )
            return asyncio.run(_try_in_turn(transfer, sources, name))
    except OSError as err:
        raise _unwritable(err, destination) from err
