"""The end of a run before its list: first in order, then at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import IO, TYPE_CHECKING, Final

from birdcli.cli.context import EXIT_INTERRUPTED, EXIT_TERMINATED
from birdcli.cli.installing import print_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.pipeline import Pipeline

_DRAIN_S: Final = 4.0
_GIVE_UP_S: Final = 1.0


class Stopper:
    """Takes no further inputs, lets what is in flight finish, and gives it up after 5 seconds.

    Attributes:
        signal: Which signal stopped the run; 0 for none.
        failures: Whether more inputs failed than allowed.
    """

    def __init__(self, people: IO[str]) -> None:
        """Stops nothing yet; `people` read why."""
        self.signal = 0
        self.failures = False
        self._people = people
        self._begin: Callable[[], object] = lambda: None

    @property
    def stopped(self) -> bool:
        """Whether the run was stopped."""
        return bool(self.signal) or self.failures

    def attach(self, pipeline: Pipeline, stop: asyncio.Event) -> None:
        """Listens to SIGINT and SIGTERM; call it in the task that runs the pipeline."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only ever runs in a task

        def begin() -> None:
            if not stop.is_set():
                stop.set()
                loop.call_later(_DRAIN_S, pipeline.give_up)
                loop.call_later(_DRAIN_S + _GIVE_UP_S, task.cancel)

        self._begin = lambda: loop.call_soon_threadsafe(begin)
        if sys.platform != "win32":
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._on_signal, number)

    def stop_for_failures(self) -> None:
        """Stops the run because too many inputs failed; from any thread, again does nothing."""
        if not self.failures:
            self.failures = True
            print_line(
                self._people, "birdcli: stopping: more inputs failed than --max-failures allows"
            )
            self._begin()

    def exit_code(self) -> int:
        """Returns the code of the signal that stopped the run."""
        return EXIT_INTERRUPTED if self.signal == signal.SIGINT else EXIT_TERMINATED

    def _on_signal(self, number: int) -> None:
        again = bool(self.signal)
        self.signal = self.signal or number
        if again:  # children see the end of their pipes
            os._exit(self.exit_code())
        print_line(
            self._people,
            "birdcli: stopping: finishing what is in flight; once more stops at once",
        )
        self._begin()
