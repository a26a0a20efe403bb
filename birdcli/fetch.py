"""A URL to bytes, with limits, retries and validators."""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from birdcli.address_guard import address_class
from birdcli.errors import ErrorCode, FetchError, ItemError
from birdcli.hashing import sha256_of_bytes
from birdcli.hosts import Hosts, NotAskedError, host_of
from birdcli.http_get import Unchanged, open_http_client
from birdcli.items import FetchedImage, Stage, Validators
from birdcli.redirects import Course
from birdcli.retry import AskedToWaitError, GiveUp, RetryPolicy
from birdcli.time_limits import left_s
from birdcli.validators import offered_validators
from birdcli.web_url import parse_web_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from concurrent.futures import Executor

    from birdcli.address_guard import AddressClass
    from birdcli.download_slot import DownloadSlot
    from birdcli.http_get import Body
    from birdcli.items import ImageRef, Timings
    from birdcli.proxies import Proxies
    from birdcli.settings import FetchSettings
    from birdcli.web_url import WebUrl

# Nothing that a host in trouble would, or a healthy one, has answered.
_NO_ANSWER: Final = frozenset({ErrorCode.FETCH_TLS, ErrorCode.FETCH_BLOCKED_ADDRESS})
_HASHED_INLINE_BYTES: Final = 65_536  # below, handing over to a thread costs more than hashing


class Client(Protocol):
    """Asks once; `HttpClient` does."""

    async def get(
        self,
        target: WebUrl,
        known: Validators | None,
        slot: DownloadSlot | None = None,
        course: Course | None = None,
    ) -> Body | Unchanged:
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
        hosts: Hosts[Any],
        surroundings: Surroundings | None = None,
    ) -> None:
        """Uses what `open_http_fetcher` makes.

        Args:
            settings: The limits.
            client: Makes single attempts.
            executor: Hashes bodies.
            hosts: Told how each host answers, and asked whether it is to be left alone.
            surroundings: Time and chance.
        """
        self._settings = settings
        self._client = client
        self._executor = executor
        self._around = surroundings or Surroundings()
        self._hosts = hosts
        self._retry = RetryPolicy(settings.retries, self._around.rng)

    async def fetch(
        self,
        ref: ImageRef,
        timings: Timings,
        *,
        known: Validators | None = None,
        slot: DownloadSlot | None = None,
    ) -> FetchedImage:
        """Returns the bytes behind a URL, with the queue and fetch stages marked.

        The deadline runs from here, when the host can be asked: an input that waits for others of
        a long list has not failed.

        Args:
            ref: The input, of kind URL.
            timings: Its timings, started and not yet marked.
            known: What an earlier run knows; then a 304 without bytes is a welcome answer.
            slot: What the download holds.

        Raises:
            SourceError: ``source.invalid_url`` or ``source.bad_scheme``, with 0 attempts.
            FetchError: The last attempt's error, or ``fetch.deadline``; `attempts` is filled in.
        """
        target = parse_web_url(ref.source)
        timings = timings.mark(Stage.QUEUE, self._around.clock())
        try:
            answer, attempts = await self._ask(target, known, host_of(ref.source), slot)
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

    async def _ask(
        self, target: WebUrl, known: Validators | None, host: str, slot: DownloadSlot | None
    ) -> tuple[Body | Unchanged, int]:
        """Asks until there is an answer, an error worth keeping, or no time left."""
        attempt = 0
        last_code = None
        deadline = asyncio.timeout(self._settings.deadline_s)
        course = Course(self._hosts, host, deadline=deadline, wait=partial(self._wait, slot=slot))
        try:
            async with deadline:
                while True:
                    attempt += 1
                    course.begin()
                    try:
                        answer = await self._client.get(target, known, slot, course)
                    except NotAskedError as err:
                        err.attempts = attempt
                        raise
                    except FetchError as err:
                        course.waiting = True
                        err.attempts = attempt
                        last_code = err.code
                        self._tell(course.host, err)
                        plan = self._retry.plan(err, attempt=attempt, remaining_s=left_s(deadline))
                        if isinstance(plan, GiveUp) or not self._hosts.may_retry(course.host):
                            raise
                        if not await self._wait_for(host, plan.pause_s, deadline, slot):
                            raise
                    else:
                        self._hosts.succeeded(course.host)
                        return answer, attempt
        except TimeoutError as err:
            if not course.waiting:
                self._hosts.failed(course.host, ErrorCode.FETCH_DEADLINE)
            raise FetchError(
                ErrorCode.FETCH_DEADLINE,
                f"No picture within {self._settings.deadline_s:g} s",
                retryable=True,
                attempts=attempt,
                **({} if last_code is None else {"last_code": str(last_code)}),
            ) from err

    def _tell(self, host: str, err: FetchError) -> None:
        """Lets all inputs of a host know how it answered one."""
        if err.retryable:
            self._hosts.failed(host, err.code)
        elif err.code not in _NO_ANSWER:
            self._hosts.succeeded(host)
        if isinstance(err, AskedToWaitError):
            self._hosts.pause(host, min(err.wait_s, self._settings.deadline_s))

    async def _wait_for(
        self, host: str, pause_s: float, deadline: asyncio.Timeout, slot: DownloadSlot | None
    ) -> bool:
        """Waits until a host may be asked again; False if it may not before the deadline.

        Meanwhile other inputs may have been told to pause, or have used up its budget.
        """
        while pause_s < left_s(deadline):
            await self._wait(pause_s, slot)
            if not self._hosts.may_retry(host):
                return False
            pause_s = self._hosts.book(host)
            if not pause_s:
                return True
        return False

    async def _wait(self, pause_s: float, slot: DownloadSlot | None) -> None:
        if slot is None:
            await self._around.sleep(pause_s)
        else:
            async with slot.away():
                await self._around.sleep(pause_s)


@asynccontextmanager
async def open_http_fetcher(
    settings: FetchSettings,
    *,
    hosts: Hosts[Any] | None = None,
    proxies: Proxies | None = None,
    surroundings: Surroundings | None = None,
    classify: Callable[[str], AddressClass] = address_class,
) -> AsyncIterator[HttpFetcher]:
    """Opens a fetcher with its connections, and closes them.

    Args:
        settings: The limits.
        hosts: Where inputs wait for their hosts; None for a fetcher that nobody queues for.
        proxies: Which proxy serves which URL; None takes those of environment and system.
        surroundings: Time and chance.
        classify: Tells whom an address belongs to.

    Raises:
        UsageError: ``usage.bad_flag`` for a proxy that cannot be used.
    """
    around = surroundings or Surroundings()
    executor = ThreadPoolExecutor(2, thread_name_prefix="birdcli-fetch")
    try:
        async with open_http_client(
            settings, proxies=proxies, wall_clock=around.wall_clock, classify=classify
        ) as client:
            if hosts is None:
                hosts = Hosts(per_host=settings.per_host)
            yield HttpFetcher(settings, client, executor=executor, hosts=hosts, surroundings=around)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
