"""`birdcli bench`: everything measured in turns."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Final

from birdcli.bench.advice import bound_per_s
from birdcli.bench.decoding import measure_decoding
from birdcli.bench.rounds import Rounds, core_ms_of
from birdcli.cli.bench_facts import MeasuredEngine, make_report
from birdcli.cli.bench_subject import BenchOptions, BenchSubject, open_subject, open_worker
from birdcli.errors import ErrorCode, ModelError
from birdcli.models.precision import Precision
from birdcli.models.prepared import unfit

if TYPE_CHECKING:
    from birdcli.bench.decoding import DecodeRound
    from birdcli.bench.report import BenchReport
    from birdcli.models.variants import Variant

_ROUNDS: Final = 3
_STARTS: Final = 2
_BATCH_SIZES: Final = (1, 8, 32)
_FEWEST_IMAGES: Final = 16
_WHOLE_FACTOR: Final = 2.0
"""From files to answers takes longer: filling and draining the stages is part of it."""


def run_bench(options: BenchOptions, people: IO[str]) -> BenchReport:
    """Measures, and says on the way what is being done.

    Raises:
        BirdError: The model or the photos cannot be used.
    """
    with ExitStack() as stack:
        return measure(open_subject(options, people, stack, tuned=True), options.seconds)


def measure(subject: BenchSubject, seconds: float) -> BenchReport:
    """Measures everything in rounds of so many seconds each.

    Raises:
        ModelError: No engine runs the model, or it cannot be trusted.
    """
    with ExitStack() as stack:
        engines = _start_engines(subject, stack)
        decoding: list[DecodeRound] = []
        subject.say("measuring decoding, inference, and both together")
        for _ in range(_ROUNDS):
            decoding.append(
                measure_decoding(
                    subject.photos, subject.decode, threads=subject.cpus, seconds=seconds
                )
            )
            for engine in engines:
                _measure_inference(engine, seconds)
            for engine in engines:
                _measure_whole(subject, engine, decoding, seconds * _WHOLE_FACTOR)
    return make_report(subject, engines, decoding)


def _start_engines(subject: BenchSubject, stack: ExitStack) -> list[MeasuredEngine]:
    engines: list[MeasuredEngine] = []
    for name in subject.engines:
        subject.say(f"starting {name}")
        try:
            worker, loaded = open_worker(subject, subject.variants_of(name), stack, streams=None)
            command_s = _time_command(subject, next(iter(loaded)))
        except ModelError as err:
            if not unfit(err) or (name is subject.engines[-1] and not engines):
                raise
            subject.warn(f"{name} is left out: {err.message}")
            continue
        engine = MeasuredEngine(worker, loaded, command_s)
        for variant in loaded:
            for batch_size in sorted({*_BATCH_SIZES, subject.batch_size_of(variant)}):
                worker.infer(variant, batch_size, 0.0)  # shapes are compiled when they first come
                engine.inference[variant, batch_size] = []
        worker.classify(engine.first, subject.batch_size_of(engine.first), _FEWEST_IMAGES)
        engines.append(engine)
    return engines


def _time_command(subject: BenchSubject, variant: Variant) -> Rounds:
    """Returns how long `birdcli classify` of one photo takes, from its start to its end.

    Raises:
        ModelError: ``model.load_failed`` if it fails.
    """
    precisions = {precision.value for precision in Precision}
    precision = variant.precision if variant.precision in precisions else "auto"
    command = [
        *(sys.executable, "-m", "birdcli", "classify", "--no-cache"),
        *("--model", subject.version.id, "--engine", variant.engine),
        *("--precision", precision, "--threads", str(subject.cpus)),
        *("--", subject.photos.photos[0].path),
    ]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BIRDCLI_CLASSIFY_")
    }
    taken = []
    for _ in range(_STARTS):
        started_s = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            check=False,
        )
        taken.append(time.perf_counter() - started_s)
        if done.returncode:
            raise ModelError(
                ErrorCode.MODEL_LOAD_FAILED,
                f"classify --engine {variant.engine} ended with code {done.returncode}",
            )
    return Rounds(tuple(taken))


def _measure_inference(engine: MeasuredEngine, seconds: float) -> None:
    for (variant, batch_size), rounds in engine.inference.items():
        rounds.append(engine.worker.infer(variant, batch_size, seconds))


def _measure_whole(
    subject: BenchSubject, engine: MeasuredEngine, decoding: list[DecodeRound], seconds: float
) -> None:
    variant = engine.first
    batch_size = subject.batch_size_of(variant)
    bound = bound_per_s(
        core_ms_of([round_.work for round_ in decoding]),
        core_ms_of(engine.inference[variant, batch_size]),
        subject.cpus,
    )
    images = max(_FEWEST_IMAGES, 2 * batch_size, int(bound * seconds))
    engine.whole.append(engine.worker.classify(variant, batch_size, images))
