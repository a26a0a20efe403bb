"""Which inputs are being worked on, where, and since when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from birdcli.items import ImageRef, Stage


@dataclass(frozen=True, slots=True)
class Busy:
    """One input that is being worked on.

    Attributes:
        ref: The input.
        stage: What is being done to it.
        waited_s: For how long, seconds.
    """

    ref: ImageRef
    stage: Stage
    waited_s: float


class Watch:
    """Knows what is under way; for one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Sees nothing yet; `clock` gives seconds."""
        self._clock = clock
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
        for ref, stage, since_s in sorted(self._busy.values(), key=lambda entry: entry[2]):
            yield Busy(ref, stage, now_s - since_s)
