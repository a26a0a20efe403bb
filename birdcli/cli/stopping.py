"""The end of a run before its list: first in order, then at once."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from birdcli.cli.installing import print_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.pipeline import Pipeline
    from birdcli.streams import PeopleStream

_DRAIN_S: Final = 3.5  # then what is in flight is given up
_CANCEL_S: Final = 4.0  # then what could not be written is, too
_WORDS_S: Final = 4.5  # until then the summary may be read
_END_S: Final = 4.8
_COUNTED_S: Final = 1.0  # how long a thread that is awake may take to get its turn
_STOPPING: Final = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Stopper:
    """Takes no further inputs, lets what is in flight finish, and ends within 5 seconds.

    Signals are counted by a thread of its own, which C code wakes: neither a busy event loop nor a
    reader who takes no words keeps the second signal from ending the process at once, or the first
    one from ending it in time.

    Attributes:
        signal: Which signal stopped the run; 0 for none.
        failures: Whether more inputs failed than allowed.
    """

    def __init__(self, people: PeopleStream) -> None:
        """Stops nothing yet; `people` read why."""
        self.signal = 0
        self.failures = False
        self._people = people
        self._begin: Callable[[], object] = lambda: None
        self._release: Callable[[], None] = lambda: None
        self._arrived = False
        self._counted = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether the run was stopped."""
        return bool(self.signal) or self.failures

    def attach(self, pipeline: Pipeline, stop: asyncio.Event) -> None:
        """Listens to signals from now on; call it in the task that runs the pipeline."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only ever runs in a task

        def begin() -> None:
            if self.signal:
                pipeline.hurry()
            if not stop.is_set():
                stop.set()
                loop.call_later(_DRAIN_S, pipeline.give_up)
                loop.call_later(_CANCEL_S, task.cancel)

        def begin_soon() -> None:
            with suppress(RuntimeError):  # the loop has ended, and the run with it
                loop.call_soon_threadsafe(begin)

        self._begin = begin_soon
        if sys.platform != "win32":
            self._listen()

    def detach(self) -> None:
        """Leaves signals to their old handlers, unless one has come; again does nothing."""
        if self._arrived:  # perhaps just before the end, and nobody has counted it yet
            self._counted.wait(_COUNTED_S)
        if not self.signal:
            self._release()

    def stop_for_failures(self) -> None:
        """Stops the run because too many inputs failed; from any thread, again does nothing."""
        if not self.failures:
            self.failures = True
            self._begin()
            print_line(
                self._people, "birdcli: stopping: more inputs failed than --max-failures allows"
            )

    def exit_code(self) -> int:
        """Returns the code of the signal that stopped the run."""
        return 128 + self.signal

    def _listen(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        pipe_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        before = {
            number: handler
            for number in _STOPPING
            if (handler := signal.getsignal(number)) is not signal.SIG_IGN  # as under nohup
        }
        for number in before:
            signal.signal(number, self._note)  # the pipe has it

        def release() -> None:
            self._release = lambda: None
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(pipe_before)
            os.close(writing)

        self._release = release
        threading.Thread(
            target=self._count_signals, args=(reading,), name="signals", daemon=True
        ).start()

    def _note(self, *_: object) -> None:
        self._arrived = True

    def _count_signals(self, reading: int) -> None:
        heard = select.poll()
        heard.register(reading, select.POLLIN)
        ends_s: float | None = None
        while True:
            left_ms = None if ends_s is None else max(ends_s - time.monotonic(), 0.0) * 1000.0
            if not heard.poll(left_ms):
                os._exit(self.exit_code())
            if not (numbers := os.read(reading, 64)):
                os.close(reading)
                return
            for number in numbers:
                self._on_signal(number)
            if ends_s is None and self.signal:
                ends_s = time.monotonic() + _END_S

    def _on_signal(self, number: int) -> None:
        if number not in _STOPPING:
            return
        if not self.signal:
            self.signal = number
            self._counted.set()
            self._begin()
            self._people.leave_after(_WORDS_S)
            print_line(
                self._people,
                "birdcli: stopping: finishing what is in flight; once more stops at once",
            )
        elif number != signal.SIGHUP:  # of which a closing terminal sends several
            self._people.say_at_once("birdcli: stopped at once")
            os._exit(self.exit_code())  # children see the end of their pipes
