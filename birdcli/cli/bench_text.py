"""Reports of `birdcli bench` as text for people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final, NamedTuple

from birdcli.cli.context import say
from birdcli.cli.tables import print_table, terminal_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from birdcli.bench.report import BenchReport, HostFacts, PhotoFacts
    from birdcli.bench.rounds import Rounds
    from birdcli.bench.trials import Trial, TuneReport

_LABEL: Final = 12
_WIDTH: Final = 100
"""Of a pipe or a file."""
_TRIALS: Final = 8


class _Table(NamedTuple):
    heading: str
    columns: tuple[str, ...]
    rows: list[list[str]]


def print_report(report: BenchReport) -> None:
    """Prints what was measured, and what follows from it.

    Raises:
        OutputError: ``output.unwritable``.
    """
    _print_lines(
        [
            ("Host", _host(report.host)),
            ("Model", report.model),
            ("Photos", _photos(report.photos)),
        ]
    )
    _print_tables(_tables(report))
    _print_lines(
        [
            ("Bottleneck", f"{report.bottleneck}."),
            *_numbered("Advice", (advice.text for advice in report.advice)),
            *_numbered("Warning", report.warnings),
        ]
    )


def print_tune_report(report: TuneReport) -> None:
    """Prints what was tried, and what is remembered.

    Raises:
        OutputError: ``output.unwritable``.
    """
    _print_lines([("Model", report.model), ("Photos", _photos(report.photos))])
    count = len(report.screened)
    shown = report.screened[:_TRIALS]
    best_of = f", the best {len(shown)}" if count > len(shown) else ""
    _print_tables(
        [
            _trials(f"Tried once each ({count} settings{best_of})", shown),
            _trials("The best again, in turns; the first runs by itself", report.finalists),
        ]
    )
    best, default = report.chosen, report.finalists[0]
    setting = f"{best.backend}, batches of {best.batch_size}, {best.streams} at once"
    gain = best.images_per_s.median / default.images_per_s.median - 1
    verdict = (
        f"{setting}: {gain:.0%} faster than what runs by itself; classify uses it from now on."
        if report.changed
        else f"{setting}: what runs by itself; nothing is faster by more than the noise."
    )
    _print_lines([("Remembered", verdict), *_numbered("Warning", report.warnings)])


def _tables(report: BenchReport) -> Iterator[_Table]:
    decode = report.decode
    sizes = [
        [size.name, f"{size.share:.0%}", f"{size.core_ms:.1f}", "", ""] for size in decode.sizes
    ]
    whole = [f"{decode.core_ms:.1f}", *_rate(decode.images_per_s)]
    yield _Table(
        "Decoding alone",
        ("Photos", "Share", "Core-ms", "Images/s", "Spread"),
        [*sizes, ["all", "100%", *whole]],
    )
    yield _Table(
        "Inference alone",
        ("Backend", "Batch", "At once", "Core-ms", "Images/s", "Spread"),
        [
            [
                row.backend,
                str(row.batch_size),
                str(row.streams),
                f"{row.core_ms:.1f}",
                *_rate(row.images_per_s),
            ]
            for row in report.inference
        ],
    )
    yield _Table(
        "From files to answers, and what decoding and inference alone would allow",
        ("Backend", "Batch", "Core-ms", "Images/s", "Spread", "Bound", "Reached"),
        [
            [
                row.backend,
                str(row.batch_size),
                f"{row.core_ms:.1f}",
                *_rate(row.images_per_s),
                f"{row.bound_per_s:,.0f}",
                f"{row.reached:.0%}",
            ]
            for row in report.whole
        ],
    )
    yield _Table(
        "Starts in new processes, seconds; the command is classify of one photo",
        ("Backend", "Imports", "Model", "First batch", "Command", "Spread"),
        [
            [
                f"{row.engine}/{row.precision}",
                f"{row.imports_s:.2f}",
                f"{row.model_s:.2f}",
                f"{row.first_batch_s:.2f}",
                f"{row.command_s.median:.2f}",
                f"{row.command_s.spread:.0%}",
            ]
            for row in report.start
        ],
    )


def _trials(heading: str, trials: Iterable[Trial]) -> _Table:
    return _Table(
        heading,
        ("Backend", "Batch", "At once", "Images/s", "Spread"),
        [
            [
                trial.backend,
                str(trial.batch_size),
                str(trial.streams),
                f"{trial.images_per_s.median:,.0f}",
                f"{trial.images_per_s.spread:.0%}" if len(trial.images_per_s.values) > 1 else "-",
            ]
            for trial in trials
        ],
    )


def _rate(rounds: Rounds) -> tuple[str, str]:
    return f"{rounds.median:,.0f}", f"{rounds.spread:.0%}"


def _host(host: HostFacts) -> str:
    architecture = host.features.partition(":")[0]
    kind = "with" if host.bfloat16 else "without"
    versions = ", ".join(f"{name} {version}" for name, version in host.versions.items())
    return f"{host.cpus} of {host.all_cpus} CPUs, {architecture}, {kind} bfloat16; {versions}"


def _photos(photos: PhotoFacts) -> str:
    size = f"{photos.mean_bytes / 1e3:,.0f} kB and {photos.mean_megapixels:.1f} megapixels each"
    if photos.generated:
        return f"drawn for this, {photos.measured} different ones in a realistic mix; {size}"
    of = f" of {photos.found:,}" if photos.found > photos.measured else ""
    left_out = f", {photos.unreadable} left out" if photos.unreadable else ""
    return (
        f"{photos.measured:,}{of}{left_out}; {size}; first reading "
        f"{photos.read_mb_s or 0:,.0f} MB/s"
    )


def _numbered(label: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    return [(label if not at else "", text) for at, text in enumerate(texts)]


def _print_lines(lines: Iterable[tuple[str, str]]) -> None:
    width = terminal_width() or _WIDTH
    for label, text in lines:
        say(
            textwrap.fill(
                text,
                max(width, 2 * _LABEL),
                initial_indent=label.ljust(_LABEL),
                subsequent_indent=" " * _LABEL,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def _print_tables(tables: Iterable[_Table]) -> None:
    """Prints tables with an empty line around each; on a terminal they end with one themselves."""
    pipe = terminal_width() is None
    say("")
    for table in tables:
        say(table.heading)
        print_table(table.columns, table.rows, right=range(1, len(table.columns)))
        if pipe:
            say("")
