"""What is being worked on, where, and since when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from birdcli.items import ImageRef, Stage

_MOMENT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Busy:
    """One input that is being worked on, or a list.

    Attributes:
        source: The input as the user gave it, or the name of the list.
        stage: What is being done to it; QUEUE for a list.
        waited_s: For how long, seconds.
    """

    source: str
    stage: Stage
    waited_s: float


class Watch:
    """Knows what is under way; for one thread.

    Attributes:
        listing: Tells what the thread that finds the inputs is waiting for, if it is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Sees nothing yet; `clock` gives seconds."""
        self._clock = clock
        self.listing: Callable[[], Busy | None] = lambda: None
        self._busy: dict[int, tuple[ImageRef, Stage, float]] = {}

    def enter(self, ref: ImageRef, stage: Stage) -> None:
        """An input has come to a stage."""
        self._busy[ref.index] = (ref, stage, self._clock())

    def leave(self, ref: ImageRef) -> None:
        """An input is done with."""
        self._busy.pop(ref.index, None)

    def longest(self) -> Iterator[Busy]:
        """Yields what is under way, what has taken longest first."""
        now_s = self._clock()
        busy = [
            Busy(ref.source, stage, now_s - since_s) for ref, stage, since_s in self._busy.values()
        ]
        if (listing := self.listing()) is not None and listing.waited_s >= _MOMENT_S:
            busy.append(listing)
        yield from sorted(busy, key=lambda one: -one.waited_s)
