"""`birdcli classify`: flags to settings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from birdcli.cli.context import reports_errors
from birdcli.cli.options import PanelledCommand, option
from birdcli.cli.values import (
    parse_allowance,
    parse_auto,
    parse_bytes,
    parse_pixels,
    parse_retry,
    parse_shard,
)
from birdcli.errors import ErrorCode, UsageError
from birdcli.models.engines import EngineName
from birdcli.models.precision import Precision
from birdcli.settings import FetchSettings, ListSettings

_INPUT, _MODEL, _DOWNLOAD = "Input", "Model", "Download"
_CACHE, _OUTPUT, _OBSERVE = "Cache", "Output", "Observe"


class OutputFormat(StrEnum):
    """How records are written."""

    AUTO = "auto"
    JSONL = "jsonl"
    CSV = "csv"
    TABLE = "table"


class EngineOption(StrEnum):
    """What computes."""

    AUTO = "auto"
    TENSORFLOW = EngineName.TENSORFLOW
    OPENVINO = EngineName.OPENVINO
    LITERT = EngineName.LITERT


class LogLevel(StrEnum):
    """How much is logged on stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


app = typer.Typer()


@app.command(cls=PanelledCommand)
@reports_errors
def classify(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT]...",
            help="URLs, files, folders (searched for images), or - for a list on stdin.",
            show_default=False,
        ),
    ] = None,
    *,
    from_file: Annotated[
        list[str] | None,
        option(
            "--from-file",
            "-f",
            metavar="PATH",
            help="A list of inputs: lines, .csv, .tsv or .jsonl, also .gz; - is stdin. Repeatable.",
            rich_help_panel=_INPUT,
            show_default=False,
        ),
    ] = None,
    url_field: Annotated[
        str, option(help="Column with the URL or path.", rich_help_panel=_INPUT)
    ] = "url",
    id_field: Annotated[
        str | None,
        option(
            help="Column copied into the record.",
            rich_help_panel=_INPUT,
            show_default="id, where there is one",
        ),
    ] = None,
    null: Annotated[
        bool,
        option("--null", "-0", help="Lists are NUL-separated.", rich_help_panel=_INPUT),
    ] = False,
    shard: Annotated[
        str | None,
        option(metavar="I/N", help="Only inputs with index % N == I.", rich_help_panel=_INPUT),
    ] = None,
    model: Annotated[
        str | None,
        option(
            "--model",
            "-m",
            metavar="NAME|NAME@VERSION|ALIAS",
            help="Which model.",
            rich_help_panel=_MODEL,
            show_default="production",
        ),
    ] = None,
    top_k: Annotated[
        int,
        option("--top-k", "-k", min=1, help="Guesses per picture.", rich_help_panel=_MODEL),
    ] = 3,
    engine: Annotated[
        EngineOption,
        option(
            help="auto: what bench --tune found, else openvino where it is installed, else "
            "tensorflow; litert for TFLite files.",
            rich_help_panel=_MODEL,
        ),
    ] = EngineOption.AUTO,
    precision: Annotated[
        Precision,
        option(
            help="auto is the fastest of this machine that reproduces the golden outputs; "
            "reference runs the untouched model.",
            rich_help_panel=_MODEL,
        ),
    ] = Precision.AUTO,
    batch_size: Annotated[
        str, option(metavar="N|auto", help="Images per batch.", rich_help_panel=_MODEL)
    ] = "auto",
    threads: Annotated[
        str, option(metavar="N|auto", help="CPUs to use.", rich_help_panel=_MODEL)
    ] = "auto",
    concurrency: Annotated[
        int, option(min=1, max=4096, help="Downloads at once.", rich_help_panel=_DOWNLOAD)
    ] = 128,
    per_host: Annotated[
        int, option(min=1, max=4096, help="Downloads at once per host.", rich_help_panel=_DOWNLOAD)
    ] = 8,
    timeout: Annotated[
        float, option(help="Seconds for one attempt.", rich_help_panel=_DOWNLOAD)
    ] = 15.0,
    deadline: Annotated[
        float,
        option(help="Seconds for one input, retries included.", rich_help_panel=_DOWNLOAD),
    ] = 45.0,
    min_rate: Annotated[
        str,
        option(metavar="SIZE", help="Slowest body, per second.", rich_help_panel=_DOWNLOAD),
    ] = "1KB",
    retries: Annotated[int, option(min=0, help="Further attempts.", rich_help_panel=_DOWNLOAD)] = 3,
    rate: Annotated[
        float | None,
        option(
            help="Requests per second per host.",
            rich_help_panel=_DOWNLOAD,
            show_default="no bound",
        ),
    ] = None,
    deny_private: Annotated[
        bool,
        option(
            "--deny-private",
            help="Refuse addresses that are not public: for lists of others.",
            rich_help_panel=_DOWNLOAD,
        ),
    ] = False,
    allow_private_redirects: Annotated[
        bool,
        option(
            "--allow-private-redirects",
            help="Follow public hosts to private addresses.",
            rich_help_panel=_DOWNLOAD,
        ),
    ] = False,
    max_bytes: Annotated[
        str, option(metavar="SIZE", help="Largest file.", rich_help_panel=_DOWNLOAD)
    ] = "64MB",
    max_pixels: Annotated[
        str, option(metavar="SIZE", help="Largest picture.", rich_help_panel=_DOWNLOAD)
    ] = "200MP",
    allow_truncated: Annotated[
        bool,
        option(
            "--allow-truncated",
            help="Classify files that end early, and say so.",
            rich_help_panel=_DOWNLOAD,
        ),
    ] = False,
    max_memory: Annotated[
        str,
        option(
            metavar="SIZE",
            help="Room for pictures in flight; one may exceed it.",
            rich_help_panel=_DOWNLOAD,
        ),
    ] = "1GB",
    cache: Annotated[
        bool,
        option("--cache/--no-cache", help="Reuse answers of earlier runs.", rich_help_panel=_CACHE),
    ] = True,
    cache_dir: Annotated[
        Path | None,
        option(
            help="The cache's folder.", rich_help_panel=_CACHE, show_default="below BIRDCLI_HOME"
        ),
    ] = None,
    cache_size: Annotated[
        str, option(metavar="SIZE", help="Room for the cache.", rich_help_panel=_CACHE)
    ] = "2GB",
    cache_bytes: Annotated[
        bool,
        option("--cache-bytes", help="Keep downloaded pictures too.", rich_help_panel=_CACHE),
    ] = False,
    offline: Annotated[
        bool,
        option("--offline", help="URLs from the cache alone.", rich_help_panel=_CACHE),
    ] = False,
    output: Annotated[
        Path | None,
        option(
            "--output",
            "-o",
            help="Write records to a file, as JSON lines unless --format says else.",
            rich_help_panel=_OUTPUT,
            show_default="stdout",
        ),
    ] = None,
    fresh: Annotated[
        bool,
        option("--fresh", help="Replace an existing --output.", rich_help_panel=_OUTPUT),
    ] = False,
    resume: Annotated[
        bool,
        option(
            "--resume",
            help="Continue an existing --output: only inputs without a record are done.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    retry_failed: Annotated[
        str | None,
        option(
            metavar="[=all]",
            help="Continue it, and try again what failed and may pass; =all: whatever failed.",
            rich_help_panel=_OUTPUT,
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        OutputFormat,
        option(
            "--format",
            help="auto: a table on a terminal, JSON lines elsewhere.",
            rich_help_panel=_OUTPUT,
        ),
    ] = OutputFormat.AUTO,
    ordered: Annotated[
        bool,
        option("--ordered/--unordered", help="Records in input order.", rich_help_panel=_OUTPUT),
    ] = True,
    max_failures: Annotated[
        str | None,
        option(
            metavar="N|P%",
            help="More failures end the run early, with exit code 4; P% after 1,000 inputs.",
            rich_help_panel=_OUTPUT,
            show_default="0, at the end",
        ),
    ] = None,
    progress: Annotated[
        bool,
        option("--progress/--no-progress", help="A bar on a terminal.", rich_help_panel=_OBSERVE),
    ] = True,
    log_level: Annotated[
        LogLevel, option(help="Log on stderr.", rich_help_panel=_OBSERVE)
    ] = LogLevel.WARNING,
) -> int:
    """Name the birds in pictures: three best species each, best first.

    One record per input, whatever happens: a failed one carries an error with a stable code. The
    exit code is 0 when all were classified, 4 when more failed than --max-failures allows, 2 for
    wrong usage, 3 for a model that cannot be trusted, 5 when records cannot be written.
    """
    from birdcli.cli.output import OutputOptions
    from birdcli.cli.run import RunOptions, run_classify

    if not inputs and not from_file:
        raise UsageError(
            ErrorCode.USAGE_NO_INPUT,
            "no input",
            hint="birdcli classify URL|FILE|FOLDER…, or birdcli classify --from-file LIST",
        )
    for name, wanted in (("--offline", offline), ("--cache-bytes", cache_bytes)):
        if wanted and not cache:
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG,
                f"{name} needs the cache that --no-cache forbids",
                hint="Leave one of them out.",
            )
    options = RunOptions(
        inputs=tuple(inputs or ()),
        lists=tuple(from_file or ()),
        list_settings=ListSettings(
            url_field=url_field,
            id_field=id_field or "id",
            id_required=id_field is not None,
            null_separated=null,
            shard=parse_shard(shard),
        ),
        model=model,
        top_k=top_k,
        engine=None if engine is EngineOption.AUTO else EngineName(engine),
        precision=precision,
        batch_size=parse_auto(batch_size, "--batch-size"),
        threads=parse_auto(threads, "--threads"),
        fetch=FetchSettings(
            concurrency=concurrency,
            per_host=per_host,
            timeout_s=timeout,
            deadline_s=deadline,
            retries=retries,
            max_bytes=parse_bytes(max_bytes, "--max-bytes"),
            min_rate=parse_bytes(min_rate.removesuffix("/s"), "--min-rate"),
            rate=rate,
            deny_private=deny_private,
            allow_private_redirects=allow_private_redirects,
        ),
        max_pixels=parse_pixels(max_pixels, "--max-pixels"),
        allow_truncated=allow_truncated,
        cache_folder=cache_dir if cache else None,
        use_cache=cache,
        cache_size=parse_bytes(cache_size, "--cache-size"),
        keep_bytes=cache_bytes,
        offline=offline,
        output=OutputOptions(
            path=output,
            form=output_format.value,
            fresh=fresh,
            resume=resume,
            retry=parse_retry(retry_failed),
            top_k=top_k,
            read=(*(inputs or ()), *(from_file or ())),
        ),
        ordered=ordered,
        max_memory=parse_bytes(max_memory, "--max-memory"),
        allowance=parse_allowance(max_failures or "0"),
        stop_early=max_failures is not None,
        progress=progress,
        log_level=log_level.value,
    )
    return run_classify(options)
