"""Work that is done beside others' or alone."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Company:
    """Lets threads work beside each other, and one at a time alone."""

    def __init__(self) -> None:
        """Nobody works."""
        self._changed = threading.Condition()
        self._together = 0
        self._entered = 0
        self._alone = 0  # those who are, and those who wait for it
        self._taken = False

    @contextmanager
    def together(self) -> Iterator[Callable[[], bool]]:
        """Waits while somebody is or wants to be alone; yields what tells if others were there."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            had_company = self._together > 0
            self._together += 1
            self._entered += 1
            entered = self._entered
        try:
            yield lambda: had_company or self._entered != entered
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until nobody else works, and keeps others waiting."""
        with self._changed:
            self._alone += 1
            self._changed.wait_for(lambda: not self._together and not self._taken)
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._alone -= 1
                self._taken = False
                self._changed.notify_all()
