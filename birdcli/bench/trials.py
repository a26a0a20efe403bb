"""What a tuning tries, in which order, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.bench.rounds import Rounds
from birdcli.models.engines import EngineName
from birdcli.tuning import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from birdcli.bench.report import PhotoFacts
    from birdcli.models.variants import Variant

BATCH_SIZES: Final = (4, 8, 16, 32)
_MOST_FINALISTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting, measured.

    Attributes:
        engine: The engine.
        precision: As `Variant.precision`.
        batch_size: Images in a batch at the most.
        streams: Batches at once.
        images_per_s: Throughput from files to answers.
    """

    engine: str
    precision: str
    batch_size: int
    streams: int
    images_per_s: Rounds

    @property
    def backend(self) -> str:
        """As records name it."""
        return f"{self.engine}/{self.precision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """What a tuning found.

    Attributes:
        model: `name@version`.
        cpus: CPUs in use.
        photos: What was decoded.
        screened: Every setting, measured once, fastest first.
        finalists: The best of them in rounds that took turns; the first is what runs by itself.
        chosen: What is remembered.
        warnings: What to know before believing the numbers.
    """

    model: str
    cpus: int
    photos: PhotoFacts
    screened: tuple[Trial, ...]
    finalists: tuple[Trial, ...]
    chosen: Trial
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether what is remembered differs from what runs by itself."""
        return self.chosen != self.finalists[0]


def stream_counts(engine: EngineName, cpus: int) -> tuple[int, ...]:
    """Returns how many batches at once to try on so many CPUs, the usual number first."""
    if engine is EngineName.LITERT:
        return (1,)
    from birdcli.backends.streams import streams_for

    usual = streams_for(cpus)
    return tuple(dict.fromkeys((usual, max(1, usual // 2), 1)))


def pick_finalists(rates: Mapping[Setting, float], default: Setting) -> tuple[Setting, ...]:
    """Decides which settings are measured again: the default, then the fastest others."""
    others = sorted((setting for setting in rates if setting != default), key=lambda s: -rates[s])
    return (default, *others[: _MOST_FINALISTS - 1])


def trial_of(setting: Setting, rates: tuple[float, ...]) -> Trial:
    """Returns a setting with what was measured."""
    return Trial(
        engine=setting.engine,
        precision=setting.precision,
        batch_size=setting.batch_size,
        streams=setting.streams,
        images_per_s=Rounds(rates),
    )


def setting_of(variant: Variant, batch_size: int, streams: int) -> Setting:
    """Returns a variant with a batch size and a number of batches at once."""
    return Setting(
        engine=variant.engine, precision=variant.precision, batch_size=batch_size, streams=streams
    )
