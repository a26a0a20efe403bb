"""The host an input has come to along redirects, and when it may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from birdcli.errors import ErrorCode
from birdcli.hosts import NotAskedError
from birdcli.time_limits import at_rest, left_s

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from birdcli.hosts import Hosts


class Course:
    """Where an input is, for those who keep count of hosts.

    It keeps the slot of its own host all along, and has none of the others': they do not wait for
    each other. Their connections are bounded nevertheless, and their rates and pauses hold.

    Attributes:
        host: Who is asked at present, and to praise or blame for the answer.
        waiting: Whether nobody is asked at present.
    """

    def __init__(
        self,
        hosts: Hosts[Any],
        host: str,
        *,
        deadline: asyncio.Timeout,
        wait: Callable[[float], Awaitable[None]],
    ) -> None:
        """Begins at the input's own host.

        Args:
            hosts: What is known of all hosts.
            host: The one the URL names.
            deadline: Of the input.
            wait: Sleeps, seconds.
        """
        self.host = host
        self.waiting = False
        self._own = host
        self._hosts = hosts
        self._deadline = deadline
        self._wait = wait

    def begin(self) -> None:
        """Returns to the input's own host, for an attempt that it may make now."""
        self.host = self._own
        self.waiting = False

    async def turn_to(self, host: str) -> None:
        """Goes where the present host redirects to, as soon as that host may be asked.

        Waiting for a turn is queueing, which is no part of the deadline; a pause that the host has
        asked for is.

        Raises:
            NotAskedError: The host is not to be asked, or not before the deadline.
        """
        self._hosts.succeeded(self.host)  # whoever redirects has answered
        self.host = host
        self.waiting = True
        while True:
            if (turn_s := self._hosts.reserve(host)) > 0.0:
                with at_rest(self._deadline):
                    await self._wait(turn_s)
            self._hosts.verify_trusted(host)
            pause_s = self._hosts.pause_left_s(host)
            if not pause_s:
                break
            if pause_s >= left_s(self._deadline):
                raise NotAskedError(
                    ErrorCode.FETCH_RATE_LIMITED,
                    "The host it redirects to wants to be asked no sooner than the deadline allows",
                    retryable=True,
                    host=host,
                )
            await self._wait(pause_s)
        self.waiting = False
