"""What is measured, and the processes that measure it."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from birdcli.bench.photos import load_photos, make_photos
from birdcli.bench.worker import WorkerProcess
from birdcli.cli.bench_engine import BenchOrder, ModelBench
from birdcli.cli.context import home_folder, open_registry
from birdcli.cli.default_model import choose_model
from birdcli.cli.installing import print_line
from birdcli.errors import ModelError
from birdcli.host import usable_cpus
from birdcli.models.engines import EngineName, this_machine
from birdcli.models.precision import Precision
from birdcli.models.prepared import unfit
from birdcli.models.variants import BATCH_SIZE, plan_variants
from birdcli.settings import DecodeSettings
from birdcli.tuning import find_tuning, load_tunings, tuning_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from birdcli.bench.photos import PhotoSet
    from birdcli.bench.worker import EngineBench, Loaded
    from birdcli.model_version import ModelVersion
    from birdcli.models.engines import Machine
    from birdcli.models.variants import Variant
    from birdcli.tuning import Tuning, TuningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What the command line asks for; see `birdcli bench --help`.

    Attributes:
        paths: Photos; empty for generated ones.
        model: As `--model`.
        engine: The only one, or None for all.
        precision: The only one, or `auto` for all.
        threads: CPUs to use, or None for all.
        seconds: Of each round of each measurement.
        terminal: Whether a person reads the result.
    """

    paths: tuple[str, ...]
    model: str | None
    engine: EngineName | None
    precision: Precision
    threads: int | None
    seconds: float
    terminal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSubject:
    """What is measured: a verified version, photos, and the ways to compute it.

    Attributes:
        version: The version.
        photos: What is decoded.
        machine: What there is to compute with.
        key: What a tuning of all that is remembered for.
        tuning: What is remembered, or None.
        variants: The ways to compute it, the one that `classify` would use first.
        decode: What photos become.
        cpus: CPUs to use.
        start: Starts a process with so many batches at once, None for the engine's usual number.
        people: Where to say what is happening.
    """

    version: ModelVersion
    photos: PhotoSet
    machine: Machine
    key: TuningKey
    tuning: Tuning | None
    variants: tuple[Variant, ...]
    decode: DecodeSettings
    cpus: int
    start: Callable[[int | None], AbstractContextManager[EngineBench]]
    people: IO[str]

    @property
    def engines(self) -> tuple[EngineName, ...]:
        """The engines of the variants, in their order."""
        return tuple(dict.fromkeys(variant.engine for variant in self.variants))

    def variants_of(self, engine: EngineName) -> list[Variant]:
        """Returns the variants of one engine, in their order."""
        return [variant for variant in self.variants if variant.engine is engine]

    def batch_size_of(self, variant: Variant) -> int:
        """Returns the batch size that `classify` uses with a variant."""
        if self.tuning is not None and self.tuning.setting.variant == variant:
            return self.tuning.setting.batch_size
        return BATCH_SIZE

    def say(self, text: str) -> None:
        """Tells people what is being done."""
        print_line(self.people, f"birdcli: {text} …")

    def warn(self, text: str) -> None:
        """Tells people what is not as it should be."""
        print_line(self.people, f"birdcli: warning: {text}")


def open_subject(
    options: BenchOptions, people: IO[str], stack: ExitStack, *, tuned: bool
) -> BenchSubject:
    """Returns what is to be measured; a model that is not here yet is installed.

    Args:
        options: What is asked for.
        people: Where to say what is happening.
        stack: Removes drawn photos.
        tuned: Whether what is remembered counts.

    Raises:
        BirdError: The model or the photos cannot be used.
    """
    registry = open_registry()
    version = choose_model(registry, options.model, terminal=options.terminal, people=people)
    registry.verify_files(version)
    machine = this_machine()
    cpus = options.threads or usable_cpus()
    key = tuning_key(version, machine, cpus=cpus)
    tuning = find_tuning(load_tunings(home_folder()), key) if tuned else None
    plan = plan_variants(
        version,
        machine,
        engine=options.engine,
        precision=options.precision,
        preferred=None if tuning is None else tuning.setting.variant,
    )
    decode = DecodeSettings(
        height=version.input.height,
        width=version.input.width,
        preprocessing=version.input.preprocessing,
    )
    photos = _take_photos(options.paths, decode, people, stack)
    paths = tuple(photos.photos[at].path for at in photos.order)

    def start(streams: int | None) -> WorkerProcess:
        order = BenchOrder(model=version.id, paths=paths, cpus=cpus, streams=streams)
        return WorkerProcess(ModelBench, order)

    return BenchSubject(
        version=version,
        photos=photos,
        machine=machine,
        key=key,
        tuning=tuning,
        # The untouched model is the last resort of a run, and slow: only on request.
        variants=tuple(variant for variant in plan if not variant.reference) or plan,
        decode=decode,
        cpus=cpus,
        start=start,
        people=people,
    )


def _take_photos(
    paths: Sequence[str], decode: DecodeSettings, people: IO[str], stack: ExitStack
) -> PhotoSet:
    if not paths:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="birdcli-bench-"))
        print_line(people, "birdcli: no photos are given: drawing some …")
        return make_photos(Path(folder))
    photos = load_photos(paths, decode)
    if photos.broken:
        path, reason = photos.broken[0]
        print_line(
            people,
            f"birdcli: warning: {len(photos.broken)} of the photos left out: {path}: {reason}",
        )
    return photos


def open_worker(
    subject: BenchSubject, variants: Sequence[Variant], stack: ExitStack, *, streams: int | None
) -> tuple[EngineBench, dict[Variant, Loaded]]:
    """Starts a process and loads the variants that pass the golden check, at least one.

    Args:
        subject: What is measured.
        variants: All of one engine.
        stack: Ends the process.
        streams: Batches at once; None for the usual number.

    Raises:
        ModelError: None passes, or the model cannot be trusted.
    """
    with ExitStack() as attempt:
        worker = attempt.enter_context(subject.start(streams))
        loaded = _load(subject, worker, variants)
        if not any(ready.prepared for ready in loaded.values()):
            stack.push(attempt.pop_all())
            return worker, loaded
    # What a first start prepares is no part of the others: start again.
    worker = stack.enter_context(subject.start(streams))
    return worker, _load(subject, worker, list(loaded))


def _load(
    subject: BenchSubject, worker: EngineBench, variants: Sequence[Variant]
) -> dict[Variant, Loaded]:
    loaded: dict[Variant, Loaded] = {}
    for variant in variants:
        try:
            loaded[variant] = worker.load(variant)
        except ModelError as err:
            if not unfit(err) or (variant == variants[-1] and not loaded):
                raise
            subject.warn(f"{variant.backend} is left out: {err.message}")
            continue
        for note in loaded[variant].notes:
            print_line(subject.people, note)
    return loaded
