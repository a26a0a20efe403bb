"""`birdcli bench --tune`: the fastest setting, found by running it."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Final

from birdcli.bench.advice import warn_of_noise
from birdcli.bench.trials import (
    BATCH_SIZES,
    TuneReport,
    pick_finalists,
    setting_of,
    stream_counts,
    trial_of,
)
from birdcli.cli.bench_facts import photo_facts
from birdcli.cli.bench_subject import BenchOptions, BenchSubject, open_subject, open_worker
from birdcli.errors import ModelError
from birdcli.models.prepared import unfit
from birdcli.models.variants import BATCH_SIZE
from birdcli.tuning import Tuning, best_setting

if TYPE_CHECKING:
    from birdcli.bench.worker import EngineBench
    from birdcli.models.engines import EngineName
    from birdcli.tuning import Setting

_ROUNDS: Final = 5
_FINAL_FACTOR: Final = 2.0
_FEWEST_IMAGES: Final = 32


def run_tune(options: BenchOptions, people: IO[str]) -> tuple[TuneReport, Tuning]:
    """Measures what may run by itself, and decides.

    Raises:
        BirdError: The model or the photos cannot be used.
    """
    with ExitStack() as stack:
        return tune(open_subject(options, people, stack, tuned=False), options.seconds)


def tune(subject: BenchSubject, seconds: float) -> tuple[TuneReport, Tuning]:
    """Measures each setting once for so many seconds, and the best ones again in turns.

    Raises:
        ModelError: No engine runs the model, or it cannot be trusted.
    """
    screened = _screen_all(subject, seconds)
    # Settings come in the order of the plan: the first is what runs by itself.
    default = next(iter(screened))
    finalists = pick_finalists(screened, default)
    subject.say(f"comparing the best {len(finalists)}")
    rates = _compare(subject, finalists, seconds * _FINAL_FACTOR)
    chosen = best_setting(rates, default=default)
    final = {setting: trial_of(setting, tuple(rates[setting])) for setting in finalists}
    report = TuneReport(
        model=subject.version.id,
        cpus=subject.cpus,
        photos=photo_facts(subject.photos),
        screened=tuple(
            trial_of(setting, (rate,))
            for setting, rate in sorted(screened.items(), key=lambda item: -item[1])
        ),
        finalists=tuple(final.values()),
        chosen=final[chosen],
        warnings=warn_of_noise(
            (f"{trial.backend} at batch {trial.batch_size}", trial.images_per_s)
            for trial in final.values()
        ),
    )
    tuning = Tuning(
        key=subject.key,
        name=subject.version.id,
        setting=chosen,
        images_per_s=final[chosen].images_per_s.median,
        default_images_per_s=final[default].images_per_s.median,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return report, tuning


def _screen_all(subject: BenchSubject, seconds: float) -> dict[Setting, float]:
    rates: dict[Setting, float] = {}
    for name in subject.engines:
        subject.say(f"trying {name}")
        try:
            _screen(subject, name, seconds, rates)
        except ModelError as err:
            if not unfit(err) or (name is subject.engines[-1] and not rates):
                raise
            subject.warn(f"{name} is left out: {err.message}")
    return rates


def _screen(
    subject: BenchSubject, name: EngineName, seconds: float, rates: dict[Setting, float]
) -> None:
    """Measures each setting of one engine once."""
    variants = subject.variants_of(name)
    for streams in stream_counts(name, subject.cpus):
        with ExitStack() as stack:
            worker, loaded = open_worker(subject, variants, stack, streams=streams)
            variants = list(loaded)
            for variant in variants:
                setting = setting_of(variant, BATCH_SIZE, streams)
                rates[setting] = _measure(worker, setting, seconds)
            # The slower precision stays the slower one with other batches.
            fastest = max(variants, key=lambda v: rates[setting_of(v, BATCH_SIZE, streams)])
            variants = [fastest]
            for batch_size in BATCH_SIZES:
                setting = setting_of(fastest, batch_size, streams)
                if setting not in rates:
                    rates[setting] = _measure(worker, setting, seconds)


def _compare(
    subject: BenchSubject, finalists: tuple[Setting, ...], seconds: float
) -> dict[Setting, list[float]]:
    """Measures settings in rounds that take turns."""
    with ExitStack() as stack:
        workers: dict[tuple[EngineName, int], EngineBench] = {}
        for engine, streams in dict.fromkeys((s.engine, s.streams) for s in finalists):
            wanted = dict.fromkeys(
                s.variant for s in finalists if (s.engine, s.streams) == (engine, streams)
            )
            worker, _ = open_worker(subject, list(wanted), stack, streams=streams)
            workers[engine, streams] = worker
        rates: dict[Setting, list[float]] = {setting: [] for setting in finalists}
        for _ in range(_ROUNDS):
            for setting in finalists:
                worker_of = workers[setting.engine, setting.streams]
                rates[setting].append(_measure(worker_of, setting, seconds))
    return rates


def _measure(worker: EngineBench, setting: Setting, seconds: float) -> float:
    """Returns images per second, after a few that warm up and tell how many to take."""
    few = max(_FEWEST_IMAGES, 2 * setting.batch_size)
    guess = worker.classify(setting.variant, setting.batch_size, few)
    images = max(few, int(guess.images_per_s * seconds))
    return worker.classify(setting.variant, setting.batch_size, images).images_per_s
