"""One figure, measured several times."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Final

_NOISY: Final = 0.10


@dataclass(frozen=True, slots=True)
class Rounds:
    """A figure of each round, at least one.

    Attributes:
        values: In the order they were measured.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)

    @property
    def spread(self) -> float:
        """How far apart the smallest and the largest are, as a share of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0

    @property
    def noisy(self) -> bool:
        """Whether rounds differ by more than a tenth."""
        return self.spread > _NOISY


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What was done in one round.

    Attributes:
        images: How many.
        images_per_s: Per second of wall time.
        cpu_s: CPU time, all threads together, seconds.
        busy: Share of the CPUs in use that this took, 0 to 1.
    """

    images: int
    images_per_s: float
    cpu_s: float
    busy: float

    @property
    def core_ms(self) -> float:
        """Milliseconds of one core per image."""
        return self.cpu_s / self.images * 1e3


def rates_of(rounds: list[Work]) -> Rounds:
    """Returns the throughputs of rounds."""
    return Rounds(tuple(work.images_per_s for work in rounds))


def core_ms_of(rounds: list[Work]) -> float:
    """Returns the middle of what an image cost in each round, milliseconds of one core."""
    return median(work.core_ms for work in rounds)
