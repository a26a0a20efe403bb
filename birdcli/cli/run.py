"""A classify run: registry, backend and pipeline joined, from settings to an exit code."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from birdcli.cli.cache import default_cache_folder
from birdcli.cli.context import open_registry
from birdcli.cli.continuing import Continuation, hinted
from birdcli.cli.default_model import choose_model
from birdcli.cli.installing import print_line
from birdcli.cli.output import OutputOptions, RunOutput, tell_earlier
from birdcli.cli.people import configure_logging
from birdcli.cli.sink import CountingSink
from birdcli.cli.stopping import Stopper
from birdcli.cli.waiting import tell_what_hangs
from birdcli.cli.wiring import LazyFetcher, open_decoder, open_inputs, patience_s, show_progress
from birdcli.errors import ErrorCode, UsageError
from birdcli.host import usable_cpus
from birdcli.models.engines import EngineName
from birdcli.models.precision import Precision
from birdcli.settings import BatchSettings, DecodeSettings, PipelineSettings
from birdcli.streams import protected_streams

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.cache import Cache
    from birdcli.hosts import Hosts
    from birdcli.items import Unread
    from birdcli.labels import LabelSet
    from birdcli.model_version import ModelVersion
    from birdcli.ports import AnswerCache, Classifier, Fetcher
    from birdcli.progress import LiveProgress
    from birdcli.recall import Recall
    from birdcli.registry import Registry
    from birdcli.settings import FailureAllowance, FetchSettings, ListSettings
    from birdcli.streams import Streams

_DECODED_BYTES = 64_000_000


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
    allow_truncated: bool
    cache_folder: Path | None
    use_cache: bool
    cache_size: int
    keep_bytes: bool
    offline: bool
    output: OutputOptions
    ordered: bool
    max_memory: int
    allowance: FailureAllowance
    stop_early: bool
    progress: bool
    log_level: str


def run_classify(options: RunOptions) -> int:
    """Classifies and returns the exit code.

    Raises:
        BirdError: The run cannot start or cannot go on.
    """
    stdout_terminal, stderr_terminal = sys.stdout.isatty(), sys.stderr.isatty()
    with protected_streams() as streams:
        configure_logging(options.log_level, streams.people)
        registry = open_registry()
        terminal = stdout_terminal and options.output.is_stdout
        version = choose_model(
            registry,
            options.model,
            terminal=terminal,
            people=streams.people,
            offline=options.offline,
        )
        registry.verify_files(version)
        run = _Run(options, registry, version, streams)
        # The bar and the table would overwrite each other on one terminal.
        return run.execute(table=terminal, bar=stderr_terminal and not terminal)


def _unnamed_text(count: int) -> str:
    were = "1 input that failed was" if count == 1 else f"{count:,} inputs that failed were"
    return f"{were} not named this time, and not tried again"


class _Run:
    """One run over a verified model."""

    def __init__(
        self, options: RunOptions, registry: Registry, version: ModelVersion, streams: Streams
    ) -> None:
        from birdcli.cli.engine import RunEngine
        from birdcli.metrics import RunMetrics
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
        self._stopper = Stopper(streams.people)
        self._metrics = RunMetrics()
        self._table = False

    def execute(self, *, table: bool, bar: bool) -> int:
        """Runs to the end and returns the exit code."""
        self._table = table
        started_s = time.perf_counter()
        with ExitStack() as stack:
            progress = show_progress(
                stack,
                self._streams.people,
                self._options.inputs,
                self._options.lists,
                self._options.list_settings,
                enabled=bar and self._options.progress,
            )
            settings = {
                **self._engine.answer_parts(),
                "model": self._version.id,
                "top_k": self._options.top_k,
                "allow_truncated": self._options.allow_truncated,
            }
            output = RunOutput(self._options.output, settings, self._streams, table=table)
            stack.enter_context(hinted(lambda: self._continuation(output)))
            stack.enter_context(output)
            if output.earlier is not None:
                tell_earlier(output.earlier, self._streams.people)
                progress.done_before = output.earlier.done
            cache = self._open_cache(stack)
            broken: UsageError | None = None
            try:
                reading = asyncio.run(self._process(output, progress, cache))
            except UsageError as err:  # the list broke off, after inputs that have their records
                reading, broken = False, err
            # A short list leaves some shards without work, and such a shard has an empty output.
            shard = self._options.list_settings.shard
            if self._metrics.total == 0 and (broken or self._stopper.stopped or shard is None):
                output.discard()
        return self._report(output, broken, reading, time.perf_counter() - started_s)

    def _report(
        self, output: RunOutput, broken: UsageError | None, reading: bool, wall_s: float
    ) -> int:
        from birdcli.summary import print_summary
        from birdcli.table import console_on

        summary = self._metrics.summary(wall_s)
        self._engine.keep()
        earlier = output.earlier
        stopped = self._stopper.stopped or broken is not None
        if earlier is not None and not stopped and (unnamed := earlier.keep_unnamed()):
            print_line(self._streams.people, f"birdcli: {_unnamed_text(unnamed)}")
        total = summary.total + (0 if earlier is None else earlier.done)
        if broken is not None and summary.total == 0:
            raise broken
        if not self._stopper.stopped and total == 0:
            if self._options.list_settings.shard is not None:
                return 0
            raise UsageError(
                ErrorCode.USAGE_NO_INPUT,
                "there is nothing to classify: the lists hold no input",
            )
        print_summary(
            console_on(self._streams.people),
            summary,
            model=self._version.id,
            backend=self._engine.backend,
            start=self._engine.start,
            fallbacks=self._engine.fallbacks,
            stopped=stopped,
            earlier=earlier,
            retry=self._retry(output),
        )
        # What --fresh has not thrown away yet is not to be continued.
        if self._stopper.stopped and (output.session is None or output.session.begun):
            told = self._continuation(output).line(past_bound=self._stopper.failures)
            print_line(self._streams.people, told)
        if broken is not None:
            raise broken
        code = self._exit_code(
            failed=summary.failed + (0 if earlier is None else earlier.failed), total=total
        )
        if reading:  # its thread waits for a list that may never go on, and cannot be woken
            self._streams.people.drain()
            os._exit(code)
        return code

    def _continuation(self, output: RunOutput) -> Continuation:
        return Continuation(
            arguments=sys.argv[1:],
            environment=os.environ,
            inputs=(*self._options.inputs, *self._options.lists),
            resumable=output.session is not None and output.session.begun,
        )

    def _retry(self, output: RunOutput) -> str:
        if output.session is None or self._stopper.stopped:
            return ""
        return "--retry-failed" + (", not --fresh" if self._options.output.fresh else "")

    def _exit_code(self, *, failed: int, total: int) -> int:
        if self._stopper.signal:
            return self._stopper.exit_code()
        allowed = self._options.allowance.allows(failed=failed, total=total)
        return 0 if allowed and not self._stopper.failures else 4

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

    def _on_failure(self, output: RunOutput) -> None:
        """Stops the run once it is past the bound that was asked for."""
        if not self._options.stop_early:
            return
        earlier = output.earlier
        failed = self._metrics.failed + (0 if earlier is None else earlier.failed)
        total = self._metrics.total + (0 if earlier is None else earlier.done)
        if self._options.allowance.is_exceeded(failed=failed, total=total):
            self._stopper.stop_for_failures()

    async def _process(
        self, output: RunOutput, progress: LiveProgress, cache: Cache | None
    ) -> bool:
        from birdcli.hosts import Hosts
        from birdcli.inference import Engine
        from birdcli.local import LocalReader
        from birdcli.pipeline import Pipeline

        options = self._options
        answers, recall = self._open_recall(cache)
        batch_size = options.batch_size or self._engine.batch_size
        engine = Engine(self._load_engine)
        sink = CountingSink(output, self._metrics, progress, lambda: self._on_failure(output))
        hosts: Hosts[Unread] = Hosts(per_host=options.fetch.per_host, rate=options.fetch.rate)
        decoding = self._threads + 1  # so that a CPU is not idle while a picture changes processes
        decoding_settings = self._decode_settings()
        async with AsyncExitStack() as stack:
            decoder = open_decoder(
                decoding_settings, options.inputs, options.lists, workers=decoding
            )
            stack.callback(decoder.close)
            pipeline = Pipeline(
                fetcher=self._open_fetcher(stack, hosts),
                hosts=hosts,
                reader=LocalReader(max_bytes=options.fetch.max_bytes),
                decoder=decoder,
                engine=engine,
                labels=self._labels,
                model=self._version.id,
                answers=answers,
                recall=recall,
                sink=sink,
                settings=PipelineSettings(
                    fetchers=options.fetch.concurrency,
                    decoding=decoding,
                    decoded_ahead=max(
                        2 * batch_size,
                        _DECODED_BYTES
                        // (3 * self._version.input.height * self._version.input.width),
                    ),
                    max_bytes=options.max_memory // 4,
                    stuck_s=patience_s(options.fetch, decoding_settings, workers=decoding),
                    ordered=options.ordered and not options.output.resumes,
                    top_k=min(options.top_k, len(self._labels)),
                ),
                batching=BatchSettings(max_size=batch_size),
                clock=time.perf_counter,
            )
            stop = asyncio.Event()
            self._stopper.attach(pipeline, stop)
            telling = asyncio.create_task(
                tell_what_hangs(
                    pipeline.watch,
                    self._streams.people,
                    quiet_s=lambda: time.monotonic() - sink.last_s,
                )
            )
            try:
                inputs = open_inputs(
                    options.inputs,
                    options.lists,
                    options.list_settings,
                    patience_s=options.fetch.deadline_s,
                    unfinished=lambda found: progress.following(found, output.unfinished),
                )
                return await pipeline.run(inputs, stop=stop, looks=inputs)
            except asyncio.CancelledError:
                if not self._stopper.stopped:
                    raise
                if lost := sink.unwritten:
                    text = f"birdcli: warning: {lost:,} records were not written: nobody took them"
                    print_line(self._streams.people, text)
                return True
            finally:
                self._stopper.detach()
                telling.cancel()

    def _decode_settings(self) -> DecodeSettings:
        options = self._options
        return DecodeSettings(
            height=self._version.input.height,
            width=self._version.input.width,
            preprocessing=self._version.input.preprocessing,
            max_pixels=options.max_pixels,
            allow_truncated=options.allow_truncated,
            bytes_at_once=max(options.max_memory - options.max_memory // 4, 1),
        )

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

    def _open_fetcher(self, stack: AsyncExitStack, hosts: Hosts[Unread]) -> Fetcher:
        if not self._options.offline:
            return LazyFetcher(stack, self._options.fetch, hosts)
        from birdcli.offline import OfflineFetcher

        return OfflineFetcher(time.perf_counter)
