"""A URL to bytes, with limits, retries and validators."""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from birdcli.errors import ErrorCode, FetchError, ItemError
from birdcli.hashing import sha256_of_bytes
from birdcli.host_slots import HostSlots
from birdcli.http_get import Unchanged, open_http_client
from birdcli.items import FetchedImage, Stage, Validators
from birdcli.retry import GiveUp, RetryPolicy
from birdcli.validators import offered_validators
from birdcli.web_url import parse_web_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from concurrent.futures import Executor

    from birdcli.http_get import Body
    from birdcli.items import ImageRef, Timings
    from birdcli.proxies import Proxies
    from birdcli.settings import FetchSettings
    from birdcli.web_url import WebUrl

_HASHED_INLINE_BYTES: Final = 65_536  # below, handing over to a thread costs more than hashing


class Client(Protocol):
    """Asks once; `HttpClient` does."""

    async def get(self, target: WebUrl, known: Validators | None) -> Body | Unchanged:
        """Returns the answer of one attempt, or raises `FetchError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time and chance.

    Attributes:
        sleep: Pauses between attempts, seconds.
        clock: Seconds of the clock the timings are marked with.
        wall_clock: Seconds since 1970, for dates in `Retry-After`.
        rng: Jitter of the pauses.
    """

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.perf_counter
    wall_clock: Callable[[], float] = time.time
    rng: random.Random = field(default_factory=random.Random)


class HttpFetcher:
    """Downloads with patience; implements `Fetcher` for URLs."""

    def __init__(
        self,
        settings: FetchSettings,
        client: Client,
        *,
        executor: Executor,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Uses what `open_http_fetcher` makes.

        Args:
            settings: The limits.
            client: Makes single attempts.
            executor: Hashes bodies.
            surroundings: Time and chance.
        """
        self._settings = settings
        self._client = client
        self._executor = executor
        self._around = surroundings or Surroundings()
        self._slots = HostSlots(settings.per_host)
        self._retry = RetryPolicy(settings.retries, self._around.rng)

    async def fetch(
        self, ref: ImageRef, timings: Timings, *, known: Validators | None = None
    ) -> FetchedImage:
        """Returns the bytes behind a URL, with the queue and fetch stages marked.

        The deadline runs from the moment the input has a slot of its host: an input that waits for
        others of a long list has not failed.

        Args:
            ref: The input, of kind URL.
            timings: Its timings, started and not yet marked.
            known: What an earlier run knows; then a 304 without bytes is a welcome answer.

        Raises:
            SourceError: ``source.invalid_url`` or ``source.bad_scheme``, with 0 attempts.
            FetchError: The last attempt's error, or ``fetch.deadline``; `attempts` is filled in.
        """
        target = parse_web_url(ref.source)
        # Pauses keep the slot: a host in trouble is asked less.
        async with self._slots.hold(target.host):
            timings = timings.mark(Stage.QUEUE, self._around.clock())
            try:
                answer, attempts = await self._ask(target, known)
            except ItemError as err:
                err.queued_until_s = timings.marks[-1][1]
                raise
            timings = timings.mark(Stage.FETCH, self._around.clock())
        if isinstance(answer, Unchanged):
            return FetchedImage(
                ref=ref,
                data=b"",
                sha256=answer.sha256,
                timings=timings,
                attempts=attempts,
                unchanged=True,
                offered=known,
            )
        sha256 = await self._digest(answer.data)
        return FetchedImage(
            ref=ref,
            data=answer.data,
            sha256=sha256,
            timings=timings,
            attempts=attempts,
            offered=offered_validators(answer.headers, sha256),
        )

    async def _digest(self, data: bytes) -> str:
        if len(data) <= _HASHED_INLINE_BYTES:
            return sha256_of_bytes(data)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, sha256_of_bytes, data)

    async def _ask(self, target: WebUrl, known: Validators | None) -> tuple[Body | Unchanged, int]:
        """Asks until there is an answer, an error worth keeping, or no time left."""
        loop = asyncio.get_running_loop()
        attempt = 0
        last_code = None
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                ends_s = loop.time() + self._settings.deadline_s
                while True:
                    attempt += 1
                    try:
                        return await self._client.get(target, known), attempt
                    except FetchError as err:
                        err.attempts = attempt
                        last_code = err.code
                        remaining_s = ends_s - loop.time()
                        plan = self._retry.plan(err, attempt=attempt, remaining_s=remaining_s)
                        if isinstance(plan, GiveUp):
                            raise
                    await self._around.sleep(plan.pause_s)
        except TimeoutError as err:
            raise FetchError(
                ErrorCode.FETCH_DEADLINE,
                f"No picture within {self._settings.deadline_s:g} s",
                retryable=True,
                attempts=attempt,
                **({} if last_code is None else {"last_code": str(last_code)}),
            ) from err


@asynccontextmanager
async def open_http_fetcher(
    settings: FetchSettings,
    *,
    proxies: Proxies | None = None,
    surroundings: Surroundings | None = None,
) -> AsyncIterator[HttpFetcher]:
    """Opens a fetcher with its connections, and closes them.

    Args:
        settings: The limits.
        proxies: Which proxy serves which URL; None takes those of environment and system.
        surroundings: Time and chance.

    Raises:
        UsageError: ``usage.bad_flag`` for a proxy that cannot be used.
    """
    around = surroundings or Surroundings()
    executor = ThreadPoolExecutor(2, thread_name_prefix="birdcli-fetch")
    try:
        async with open_http_client(
            settings, proxies=proxies, wall_clock=around.wall_clock
        ) as client:
            yield HttpFetcher(settings, client, executor=executor, surroundings=around)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
