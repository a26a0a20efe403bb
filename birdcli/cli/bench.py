"""`birdcli bench`: how fast this host is, and why."""

from __future__ import annotations

import json
import math
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from birdcli.cli.classify import EngineOption
from birdcli.cli.context import home_folder, open_registry, reports_errors, say
from birdcli.cli.options import option
from birdcli.cli.values import parse_auto
from birdcli.errors import ErrorCode, UsageError
from birdcli.models.engines import EngineName
from birdcli.models.precision import Precision

if TYPE_CHECKING:
    from birdcli.cli.bench_subject import BenchOptions

app = typer.Typer()


@app.command()
@reports_errors
def bench(
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PHOTOS",
            help="Files, or folders (searched for images); without any, photos are drawn.",
            show_default=False,
        ),
    ] = None,
    *,
    model: Annotated[
        str | None,
        option(
            "--model",
            "-m",
            metavar="NAME|NAME@VERSION|ALIAS",
            help="Which model.",
            show_default="production",
        ),
    ] = None,
    engine: Annotated[EngineOption, option(help="auto: all that are installed.")] = (
        EngineOption.AUTO
    ),
    precision: Annotated[
        Precision, option(help="auto: all that classify would choose among.")
    ] = Precision.AUTO,
    threads: Annotated[str, option(metavar="N|auto", help="CPUs to use.")] = "auto",
    seconds: Annotated[
        float,
        option(
            metavar="S",
            min=0.01,
            max=60.0,
            help="Of each measurement; there are three rounds of all.",
        ),
    ] = 0.8,
    tune: Annotated[
        bool,
        option(
            "--tune",
            help="Find the fastest engine, precision, batch size and number of batches at once, "
            "and remember it for classify; takes two minutes.",
        ),
    ] = False,
    show: Annotated[bool, option("--show", help="Show what --tune has remembered.")] = False,
    as_json: Annotated[bool, option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how fast this host names birds, and say what bounds it and what would help.

    Decoding alone, each engine alone, and both together from files to answers, all CPUs busy, in
    rounds that take turns; then starts in new processes. About a minute. Nothing else should run.
    """
    chosen = engine is not EngineOption.AUTO or precision is not Precision.AUTO
    if show and (tune or photos or chosen or model is not None):
        raise UsageError(ErrorCode.USAGE_BAD_FLAG, "--show measures nothing: leave the rest away")
    if not math.isfinite(seconds):
        raise UsageError(ErrorCode.USAGE_BAD_FLAG, "--seconds needs a number")
    signal.signal(signal.SIGTERM, _end)  # as Ctrl-C: nothing that was started stays behind
    if tune and chosen:
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG, "--tune chooses engine and precision itself: leave them away"
        )
    if show:
        _show_tunings(as_json=as_json)
        return
    from birdcli.cli.bench_subject import BenchOptions
    from birdcli.cli.comparing import find_photos

    options = BenchOptions(
        paths=find_photos(photos).paths if photos else (),
        model=model,
        engine=None if engine is EngineOption.AUTO else EngineName(engine),
        precision=precision,
        threads=parse_auto(threads, "--threads"),
        seconds=seconds,
        terminal=sys.stdout.isatty(),
    )
    if tune:
        _tune(options, as_json=as_json)
    else:
        _measure(options, as_json=as_json)


def _measure(options: BenchOptions, *, as_json: bool) -> None:
    from birdcli.bench.report import json_value
    from birdcli.cli.bench_text import print_report
    from birdcli.cli.benching import run_bench
    from birdcli.streams import protected_streams

    with protected_streams() as streams:
        report = run_bench(options, streams.people)
    if as_json:
        say(json.dumps(json_value(report), indent=2))
    else:
        print_report(report)


def _tune(options: BenchOptions, *, as_json: bool) -> None:
    from birdcli.bench.report import json_value
    from birdcli.cli.bench_text import print_tune_report
    from birdcli.cli.tune_run import run_tune
    from birdcli.streams import protected_streams
    from birdcli.tuning import remember_tuning

    with protected_streams() as streams:
        report, tuning = run_tune(options, streams.people)
    if as_json:
        say(json.dumps(json_value(report), indent=2))
    else:
        print_tune_report(report)
    remember_tuning(home_folder(), tuning)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _show_tunings(*, as_json: bool) -> None:
    from birdcli.cli.tables import print_table
    from birdcli.cli.tuning_rows import TUNING_COLUMNS, tuning_cells, tuning_rows
    from birdcli.host import usable_cpus
    from birdcli.models.engines import this_machine
    from birdcli.tuning import TUNING_FILE, load_tunings

    home = home_folder()
    rows = tuning_rows(
        load_tunings(home), open_registry().load().versions, this_machine(), cpus=usable_cpus()
    )
    if as_json:
        say(json.dumps(rows, indent=2))
    elif rows:
        print_table(TUNING_COLUMNS, tuning_cells(rows), right=range(2, 7))
        say(f"\n{home / TUNING_FILE}; what was measured with other libraries or CPUs is not used")
    else:
        say("nothing is remembered: birdcli bench --tune measures what is fastest here")
