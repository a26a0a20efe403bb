"""A classify run: registry, backend and pipeline joined, from settings to an exit code."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import secrets
import signal
import sys
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO

from birdcli.cli.cache import default_cache_folder
from birdcli.cli.context import (
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    open_registry,
)
from birdcli.cli.default_model import choose_model
from birdcli.cli.installing import print_line
from birdcli.cli.run_id import new_run_id
from birdcli.errors import ErrorCode, UsageError
from birdcli.host import usable_cpus
from birdcli.models.engines import EngineName
from birdcli.models.precision import Precision
from birdcli.settings import BatchSettings, DecodeSettings, PipelineSettings
from birdcli.streams import protected_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from birdcli.cache import Cache
    from birdcli.items import Failed, FetchedImage, ImageRef, Outcome, Timings, Validators
    from birdcli.labels import LabelSet
    from birdcli.metrics import RunMetrics
    from birdcli.model_version import ModelVersion
    from birdcli.pipeline import Pipeline
    from birdcli.ports import AnswerCache, Classifier, Fetcher
    from birdcli.progress import LiveProgress
    from birdcli.recall import Recall
    from birdcli.registry import Registry
    from birdcli.settings import FailureAllowance, FetchSettings, ListSettings
    from birdcli.streams import Streams
    from birdcli.writer import OutcomeWriter

_DRAIN_S = 5.0
_GIVE_UP_S = 2.0
_DECODED_BYTES = 64_000_000
# While libraries are kept off descriptor 1, these names would lead to the log.
_STDOUT_NAMES = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line asks for; see `birdcli classify --help`."""

    inputs: tuple[str, ...]
    lists: tuple[str, ...]
    list_settings: ListSettings
    model: str | None
    top_k: int
    engine: EngineName | None
    precision: Precision
    batch_size: int | None
    threads: int | None
    fetch: FetchSettings
    max_pixels: int
    cache_folder: Path | None
    use_cache: bool
    cache_size: int
    keep_bytes: bool
    offline: bool
    output: Path | None
    fresh: bool
    output_format: str
    ordered: bool
    allowance: FailureAllowance
    progress: bool
    log_level: str


def run_classify(options: RunOptions) -> int:
    """Classifies and returns the exit code.

    Raises:
        BirdError: The run cannot start or cannot go on.
    """
    stdout_terminal, stderr_terminal = sys.stdout.isatty(), sys.stderr.isatty()
    with protected_streams() as streams:
        _configure_logging(options.log_level, streams.people)
        registry = open_registry()
        terminal = stdout_terminal and options.output is None
        version = choose_model(registry, options.model, terminal=terminal, people=streams.people)
        registry.verify_files(version)
        run = _Run(options, registry, version, streams)
        # The bar and the table would overwrite each other on one terminal.
        return run.execute(table=terminal, bar=stderr_terminal and not terminal)


def _configure_logging(level: str, people: IO[str]) -> None:
    handler = logging.StreamHandler(people)
    handler.setFormatter(logging.Formatter("birdcli: %(levelname)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("birdcli").setLevel(level.upper())


def _open_stdin() -> io.BufferedReader:
    """Opens standard input anew: `sys.stdin` would be closed under the feet of its reader."""
    try:
        os.set_blocking(0, True)  # an empty read of a non-blocking pipe would look like its end
        return open(0, "rb", closefd=False)
    except OSError as err:
        raise UsageError(
            ErrorCode.USAGE_INPUT_UNREADABLE, f"standard input cannot be read: {err.strerror}"
        ) from err


class _LazyFetcher:
    """Opened with the first URL: a run over files never imports an HTTP library."""

    def __init__(self, open_http: Callable[[], asyncio.Future[Fetcher]]) -> None:
        self._open_http = open_http

    async def fetch(
        self, ref: ImageRef, timings: Timings, *, known: Validators | None = None
    ) -> FetchedImage:
        """Returns the bytes of one URL; see `Fetcher`."""
        fetcher = await self._open_http()
        return await fetcher.fetch(ref, timings, known=known)


class _Sink:
    """Records out, counted on the way."""

    def __init__(self, writer: OutcomeWriter, metrics: RunMetrics, progress: LiveProgress) -> None:
        self._writer = writer
        self._metrics = metrics
        self._progress = progress

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Writes outcomes; see `OutcomeSink`."""
        for outcome in outcomes:
            self._writer.write(outcome)
            self._metrics.observe(outcome)
            self._progress.observe(outcome)


class _Run:
    """One run over a verified model."""

    def __init__(
        self, options: RunOptions, registry: Registry, version: ModelVersion, streams: Streams
    ) -> None:
        from birdcli.cli.engine import RunEngine
        from birdcli.models.load import load_labels

        self._options = options
        self._version = version
        self._labels: LabelSet = load_labels(registry.version_folder(version), version)
        self._streams = streams
        self._threads = options.threads or usable_cpus()
        self._engine = RunEngine(
            registry,
            version,
            self._labels,
            engine=options.engine,
            precision=options.precision,
            threads=self._threads,
            people=streams.people,
        )
        self._signal = 0
        self._table = False

    def execute(self, *, table: bool, bar: bool) -> int:
        """Runs to the end and returns the exit code."""
        from birdcli.metrics import RunMetrics
        from birdcli.progress import LiveProgress, print_summary
        from birdcli.table import console_on

        self._table = table
        console = console_on(self._streams.people)
        metrics = RunMetrics()
        started_s = time.perf_counter()
        with ExitStack() as stack:
            writer = self._open_writer(table=table)
            stack.callback(writer.close)
            show = bar and self._options.progress
            progress = stack.enter_context(LiveProgress(console, enabled=show))
            cache = self._open_cache(stack)
            broken: UsageError | None = None
            try:
                reading = asyncio.run(self._process(_Sink(writer, metrics, progress), cache))
            except UsageError as err:  # the list broke off, after inputs that have their records
                reading, broken = False, err
            except BaseException:
                if metrics.summary(0.0).total == 0:  # nothing is lost, and the next try may begin
                    self._remove_output()
                raise
        summary = metrics.summary(time.perf_counter() - started_s)
        self._engine.keep()
        if broken is not None and summary.total == 0:
            raise broken
        if not self._signal and summary.total == 0:
            if self._options.list_settings.shard is not None:
                return 0  # a short list leaves some shards without work
            self._remove_output()
            raise UsageError(
                ErrorCode.USAGE_NO_INPUT,
                "there is nothing to classify: the lists and folders hold no input",
            )
        print_summary(
            console,
            summary,
            model=self._version.id,
            backend=self._engine.backend,
            start=self._engine.start,
            fallbacks=self._engine.fallbacks,
            stopped=bool(self._signal or broken),
        )
        if broken is not None:
            raise broken
        code = self._exit_code(failed=summary.failed, total=summary.total)
        if reading:  # its thread waits for a list that may never go on, and cannot be woken
            self._streams.people.flush()
            os._exit(code)
        return code

    def _exit_code(self, *, failed: int, total: int) -> int:
        if self._signal:
            return EXIT_INTERRUPTED if self._signal == signal.SIGINT else EXIT_TERMINATED
        return 0 if self._options.allowance.allows(failed=failed, total=total) else 4

    def _open_writer(self, *, table: bool) -> OutcomeWriter:
        from birdcli.writer import CsvWriter, JsonLinesWriter, open_output

        options = self._options
        if options.output is not None and str(options.output) not in _STDOUT_NAMES:
            target: BinaryIO = open_output(options.output, fresh=options.fresh)
        else:  # a descriptor of its own: the writer closes it
            target = os.fdopen(os.dup(self._streams.records.fileno()), "wb", buffering=0)
        name = options.output_format
        if name == "auto":
            name = "table" if table else "jsonl"
        if name == "csv":
            return CsvWriter(target, top_k=options.top_k)
        if name == "table":
            from birdcli.table import TableWriter, console_on

            console = console_on(open(target.fileno(), "w", closefd=False))  # noqa: SIM115
            return TableWriter(console, target, top_k=options.top_k)
        return JsonLinesWriter(target, run=new_run_id(time.time(), secrets.randbits(80)))

    def _remove_output(self) -> None:
        """Takes back the file that was made for records and has none, for the next try."""
        path = self._options.output
        if path is not None and str(path) not in _STDOUT_NAMES and path.is_file():
            path.unlink()

    def _open_cache(self, stack: ExitStack) -> Cache | None:
        if not self._options.use_cache:
            return None
        from birdcli.cache import open_cache

        cache = open_cache(
            self._options.cache_folder or default_cache_folder(),
            size_limit=self._options.cache_size,
        )
        stack.callback(cache.close)
        return cache

    def _load_engine(self) -> Classifier:
        if self._table:  # the bar tells as much, and a log has no use for it
            print_line(self._streams.people, f"birdcli: loading {self._version.id} …")
        return self._engine.load()

    async def _process(self, sink: _Sink, cache: Cache | None) -> bool:
        from birdcli.decode import PillowDecoder
        from birdcli.inference import Engine
        from birdcli.local import LocalReader
        from birdcli.pipeline import Pipeline

        options = self._options
        answers, recall = self._open_recall(cache)
        batch_size = options.batch_size or self._engine.batch_size
        engine = Engine(self._load_engine)
        async with AsyncExitStack() as stack:
            pipeline = Pipeline(
                fetcher=self._open_fetcher(stack),
                reader=LocalReader(max_bytes=options.fetch.max_bytes),
                decoder=PillowDecoder(
                    DecodeSettings(
                        height=self._version.input.height,
                        width=self._version.input.width,
                        preprocessing=self._version.input.preprocessing,
                        max_pixels=options.max_pixels,
                    )
                ),
                engine=engine,
                labels=self._labels,
                model=self._version.id,
                answers=answers,
                recall=recall,
                sink=sink,
                settings=PipelineSettings(
                    fetchers=options.fetch.concurrency,
                    decoding=self._threads,
                    decoded_ahead=max(
                        2 * batch_size,
                        _DECODED_BYTES
                        // (3 * self._version.input.height * self._version.input.width),
                    ),
                    ordered=options.ordered,
                    top_k=min(options.top_k, len(self._labels)),
                ),
                batching=BatchSettings(max_size=batch_size),
                clock=time.perf_counter,
            )
            stop = asyncio.Event()
            self._stop_on_signals(stop, pipeline)
            try:
                return await pipeline.run(self._inputs(), stop=stop)
            except asyncio.CancelledError:
                if not self._signal:
                    raise
                return True

    def _open_recall(self, cache: Cache | None) -> tuple[AnswerCache | None, Recall | None]:
        from birdcli.recall import Recall

        if cache is None:
            return None, None
        top_k = min(self._options.top_k, len(self._labels))
        answers = cache.answers(self._engine.fingerprint(), top_k=top_k)
        return answers, Recall(
            cache.validators,
            answers,
            model=self._version.id,
            clock=time.perf_counter,
            pictures=cache.pictures(keep=self._options.keep_bytes),
            offline=self._options.offline,
        )

    def _open_fetcher(self, stack: AsyncExitStack) -> Fetcher:
        if not self._options.offline:
            return _LazyFetcher(self._http_opener(stack))
        from birdcli.offline import OfflineFetcher

        return OfflineFetcher(time.perf_counter)

    def _inputs(self) -> Iterator[ImageRef | Failed]:
        from birdcli.sources import STDIN, iter_inputs

        wanted = STDIN in self._options.inputs or STDIN in self._options.lists
        return iter_inputs(
            self._options.inputs,
            self._options.lists,
            self._options.list_settings,
            stdin=_open_stdin() if wanted else io.BytesIO(),
            clock=time.perf_counter,
        )

    def _http_opener(self, stack: AsyncExitStack) -> Callable[[], asyncio.Future[Fetcher]]:
        opened: list[asyncio.Future[Fetcher]] = []

        async def open_once() -> Fetcher:
            from birdcli.fetch import open_http_fetcher

            return await stack.enter_async_context(open_http_fetcher(self._options.fetch))

        def opener() -> asyncio.Future[Fetcher]:
            if not opened:
                opened.append(asyncio.ensure_future(open_once()))
            return opened[0]

        return opener

    def _stop_on_signals(self, stop: asyncio.Event, pipeline: Pipeline) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None or sys.platform == "win32":
            return

        def on_signal(number: int) -> None:
            if self._signal:  # the second one: at once
                os._exit(EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_TERMINATED)
            self._signal = number
            print_line(
                self._streams.people,
                "birdcli: stopping: finishing what is in flight; once more stops at once",
            )
            stop.set()
            loop.call_later(_DRAIN_S, pipeline.give_up)
            loop.call_later(_DRAIN_S + _GIVE_UP_S, task.cancel)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal, number)
