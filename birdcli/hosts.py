"""Inputs waiting for their hosts, so that no host keeps those of others waiting."""

from __future__ import annotations

import asyncio
import heapq
import re
import time
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from birdcli.errors import ErrorCode, FetchError
from birdcli.host_health import HostHealth

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_AUTHORITY: Final = re.compile(r"[^:/?#]+://(?:[^/?#]*@)?(\[[^\]/?#]*\]|[^:/?#]*)")
_REMEMBERED: Final = 10_000  # hosts in trouble that nobody waits for


def host_of(url: str) -> str:
    """Returns the host that a URL names, in lower case; the same for all URLs without one."""
    found = _AUTHORITY.match(url)
    return "" if found is None else found[1].lower()


class NotAskedError(FetchError):
    """A host is not to be asked now; it has not failed again."""


@dataclass(frozen=True, slots=True)
class Turn(Generic[T]):
    """An input whose turn has come.

    Attributes:
        item: The input.
        host: Whose slot it holds until `Hosts.give_back`.
        refused: Why its host is not to be asked; then it holds no slot.
        is_probe: Whether its host is asked for the first time after it was left alone.
    """

    item: T
    host: str
    refused: NotAskedError | None = None
    is_probe: bool = False


class _Host(Generic[T]):
    __slots__ = (
        *("active", "health", "listed", "name", "next_s", "paused_until_s", "timer_s", "waiting"),
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[T] = deque()
        self.active = 0
        self.next_s = 0.0
        self.paused_until_s = 0.0
        self.health = HostHealth()
        self.listed = False
        self.timer_s: float | None = None

    @property
    def available_s(self) -> float:
        return max(self.next_s, self.paused_until_s)


class Hosts(Generic[T]):
    """Inputs by host; hosts in turn, inputs of one host first come, first served.

    For one event loop. How many inputs wait is bounded by whoever puts them in. A host that nobody
    needs is forgotten, unless it is in trouble: of those the latest are remembered.
    """

    def __init__(
        self,
        *,
        per_host: int,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Knows no host.

        Args:
            per_host: Inputs of one host under way at once.
            rate: Requests to one host per second at the most; None for no bound.
            clock: Seconds.
        """
        self._per_host = per_host
        self._gap_s = 0.0 if rate is None else 1.0 / rate
        self._clock = clock
        self._hosts: dict[str, _Host[T]] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()  # in trouble, and needed by nobody
        self._ready: deque[_Host[T]] = deque()
        self._timers: list[tuple[float, int, _Host[T]]] = []
        self._timer_count = 0
        self._waiting = 0
        self._ended = False
        self._dropped = False
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """The number of hosts that are known."""
        return len(self._hosts)

    def put(self, host: str, item: T) -> None:
        """Adds an input; after `drop` it is forgotten at once."""
        if self._dropped:
            return
        entry = self._host(host)
        self._idle.pop(host, None)
        entry.waiting.append(item)
        self._waiting += 1
        self._list(entry)

    def end(self) -> None:
        """Says that no input follows."""
        self._ended = True
        self._news.set()

    def drop(self) -> None:
        """Forgets what waits, and says that no input follows."""
        for entry in self._hosts.values():
            entry.waiting.clear()
        self._waiting = 0
        self._dropped = True
        self.end()

    async def turn(self) -> Turn[T] | None:
        """Waits for an input whose host may be asked, or is to be left alone; None at the end.

        For one caller at a time.
        """
        while True:
            self._news.clear()
            self._wake()
            while self._ready:
                if (turn := self._next_of(self._ready.popleft())) is not None:
                    return turn
            if self._ended and not self._waiting:
                return None
            wait_s = max(self._timers[0][0] - self._clock(), 0.001) if self._timers else None
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()

    def give_back(self, turn: Turn[T]) -> None:
        """Ends a turn that was not refused."""
        entry = self._hosts[turn.host]
        entry.active -= 1
        if turn.is_probe:
            entry.health.probe_ended()
        self._list(entry)
        self._forget(entry)

    def pause(self, host: str, seconds: float) -> None:
        """Asks the host for nothing for so long; longer pauses count."""
        entry = self._host(host)
        entry.paused_until_s = max(entry.paused_until_s, self._clock() + seconds)
        self._forget(entry)

    def book(self, host: str) -> float:
        """Counts a further request of a turn, or returns for how long it may not be made, seconds.

        Returns:
            0 if the request may be made now. Else ask again after that time: a host that was not
            available then may have been paused anew, or another input was faster.
        """
        entry = self._hosts.get(host)
        if entry is None:
            return 0.0
        now_s = self._clock()
        if now_s < entry.available_s:
            return entry.available_s - now_s
        entry.next_s = now_s + self._gap_s
        return 0.0

    def reserve(self, host: str) -> float:
        """Counts a request of an input of another host, and returns when it may be made, seconds.

        Each has a time of its own, first come, first served. Pauses are not part of it.
        """
        if not self._gap_s:
            return 0.0
        entry = self._host(host)
        now_s = self._clock()
        turn_s = max(entry.next_s, now_s)
        entry.next_s = turn_s + self._gap_s
        self._forget(entry)
        return turn_s - now_s

    def pause_left_s(self, host: str) -> float:
        """Returns for how long a host has asked not to be asked."""
        entry = self._hosts.get(host)
        return 0.0 if entry is None else max(entry.paused_until_s - self._clock(), 0.0)

    def verify_trusted(self, host: str) -> None:
        """Sees that a host may be asked by an input of another.

        Raises:
            NotAskedError: ``fetch.circuit_open``.
        """
        entry = self._hosts.get(host)
        if entry is not None and entry.health.refuses(self._clock()):
            raise _circuit_open(entry)

    def succeeded(self, host: str) -> None:
        """Notes an answer, be it that there is no such picture."""
        if (entry := self._hosts.get(host)) is not None:
            entry.health.succeeded()
            self._forget(entry)

    def failed(self, host: str, code: str) -> None:
        """Notes a failure that may pass."""
        entry = self._host(host)
        entry.health.failed(self._clock(), code)
        self._list(entry)  # what waits may have to be refused
        self._forget(entry)

    def may_retry(self, host: str) -> bool:
        """Tells whether the retry budget of a host allows another attempt."""
        entry = self._hosts.get(host)
        return entry is None or entry.health.may_retry

    def _host(self, name: str) -> _Host[T]:
        entry = self._hosts.get(name)
        if entry is None:
            entry = self._hosts[name] = _Host(name)
        return entry

    def _next_of(self, entry: _Host[T]) -> Turn[T] | None:
        entry.listed = False
        now_s = self._clock()
        refused = entry.health.refuses(now_s)
        if not entry.waiting:
            return None
        if not refused and (entry.active >= self._per_host or now_s < entry.available_s):
            self._list(entry)
            return None
        item = entry.waiting.popleft()
        self._waiting -= 1
        if refused:
            turn = Turn(item, entry.name, _circuit_open(entry))
        else:
            entry.active += 1
            entry.next_s = now_s + self._gap_s
            turn = Turn(item, entry.name, is_probe=entry.health.asked())
        self._list(entry)
        self._forget(entry)
        return turn

    def _list(self, entry: _Host[T]) -> None:
        """Puts a host among those whose turn may be, now or when its time has come."""
        if entry.listed or not entry.waiting:
            return
        now_s = self._clock()
        if not entry.health.refuses(now_s):
            if entry.active >= self._per_host:
                return  # `give_back` comes here
            if now_s < entry.available_s:
                self._set_timer(entry)
                return
        self._ready.append(entry)
        entry.listed = True
        self._news.set()

    def _set_timer(self, entry: _Host[T]) -> None:
        if entry.timer_s != entry.available_s:
            entry.timer_s = entry.available_s
            self._timer_count += 1
            heapq.heappush(self._timers, (entry.timer_s, self._timer_count, entry))
            self._news.set()

    def _wake(self) -> None:
        now_s = self._clock()
        while self._timers and self._timers[0][0] <= now_s:
            set_for_s, _, entry = heapq.heappop(self._timers)
            if entry.timer_s == set_for_s:
                entry.timer_s = None
                self._list(entry)

    def _forget(self, entry: _Host[T]) -> None:
        if entry.active or entry.waiting:
            return
        now_s = self._clock()
        if entry.health.is_well and entry.available_s <= now_s:
            self._idle.pop(entry.name, None)
            del self._hosts[entry.name]
            return
        self._idle[entry.name] = None
        self._idle.move_to_end(entry.name)
        if len(self._idle) > _REMEMBERED:
            oldest, _ = self._idle.popitem(last=False)
            del self._hosts[oldest]


def _circuit_open(entry: _Host[T]) -> NotAskedError:
    return NotAskedError(
        ErrorCode.FETCH_CIRCUIT_OPEN,
        "The host failed too often and is left alone for a while",
        retryable=True,
        attempts=0,
        host=entry.name,
        last_code=entry.health.last_code,
    )
