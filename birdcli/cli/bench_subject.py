"""What is measured, and the processes that measure it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
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
    from collections.abc import Sequence

    from birdcli.bench.photos import PhotoSet
    from birdcli.bench.worker import Loaded
    from birdcli.model_version import ModelVersion
    from birdcli.models.engines import Machine
    from birdcli.models.variants import Variant
    from birdcli.tuning import Tuning


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
    """

    def __init__(
        self, options: BenchOptions, people: IO[str], stack: ExitStack, *, tuned: bool
    ) -> None:
        """Prepares; a model that is not here yet is installed.

        Args:
            options: What is asked for.
            people: Where to say what is happening.
            stack: Removes drawn photos.
            tuned: Whether what is remembered counts.

        Raises:
            BirdError: The model or the photos cannot be used.
        """
        self._people = people
        registry = open_registry()
        version: ModelVersion = choose_model(
            registry, options.model, terminal=options.terminal, people=people
        )
        registry.verify_files(version)
        self.version = version
        self.machine: Machine = this_machine()
        self.cpus = options.threads or usable_cpus()
        self.key = tuning_key(version, self.machine, cpus=self.cpus)
        self.tuning: Tuning | None = (
            find_tuning(load_tunings(home_folder()), self.key) if tuned else None
        )
        plan = plan_variants(
            version,
            self.machine,
            engine=options.engine,
            precision=options.precision,
            preferred=None if self.tuning is None else self.tuning.setting.variant,
        )
        # The untouched model is the last resort of a run, and slow: only on request.
        self.variants = tuple(variant for variant in plan if not variant.reference) or plan
        self.decode = DecodeSettings(
            height=version.input.height,
            width=version.input.width,
            preprocessing=version.input.preprocessing,
        )
        self.photos: PhotoSet = self._take_photos(options.paths, stack)

    def say(self, text: str) -> None:
        """Tells people what is being done."""
        print_line(self._people, f"birdcli: {text} …")

    def warn(self, text: str) -> None:
        """Tells people what is not as it should be."""
        print_line(self._people, f"birdcli: warning: {text}")

    def order(self, *, streams: int | None = None) -> BenchOrder:
        """Returns what a worker process needs to know."""
        photos = self.photos
        return BenchOrder(
            model=self.version.id,
            paths=tuple(photos.photos[at].path for at in photos.order),
            cpus=self.cpus,
            streams=streams,
        )

    def batch_size_of(self, variant: Variant) -> int:
        """Returns the batch size that `classify` uses with a variant."""
        if self.tuning is not None and self.tuning.setting.variant == variant:
            return self.tuning.setting.batch_size
        return BATCH_SIZE

    def _take_photos(self, paths: Sequence[str], stack: ExitStack) -> PhotoSet:
        if paths:
            photos = load_photos(paths, self.decode)
            if photos.broken:
                path, reason = photos.broken[0]
                self.warn(f"{len(photos.broken)} photos are left out, such as {path}: {reason}")
            return photos
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="birdcli-bench-"))
        self.say("no photos are given: drawing some")
        return make_photos(Path(folder))


def open_worker(
    subject: BenchSubject, variants: Sequence[Variant], stack: ExitStack, *, streams: int | None
) -> tuple[WorkerProcess, dict[Variant, Loaded]]:
    """Starts a process and loads the variants that pass the golden check, at least one.

    Args:
        subject: What is measured.
        variants: All of one engine.
        stack: Ends the process.
        streams: Batches at once; None for the usual number.

    Raises:
        ModelError: None passes, or the model cannot be trusted.
    """
    while True:
        with ExitStack() as attempt:
            worker = attempt.enter_context(
                WorkerProcess(ModelBench, subject.order(streams=streams))
            )
            loaded: dict[Variant, Loaded] = {}
            for variant in variants:
                try:
                    loaded[variant] = worker.load(variant)
                except ModelError as err:
                    if not unfit(err) or (variant == variants[-1] and not loaded):
                        raise
                    subject.warn(f"{variant.backend} is left out: {err.message}")
            # What a first start prepares is no part of the others: start again.
            if not any(ready.prepared for ready in loaded.values()):
                stack.push(attempt.pop_all())
                return worker, loaded
