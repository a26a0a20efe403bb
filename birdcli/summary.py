"""What a run did, in a few lines on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text

from birdcli.items import Stage
from birdcli.masking import visible_message, visible_source
from birdcli.metrics import TOTAL
from birdcli.table import cut, picture_name
from birdcli.wording import counted, duration, figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from birdcli.metrics import ColdStart, FailureCount, RunSummary
    from birdcli.output.session import Earlier

_LABEL_WIDTH: Final = 9
_SHOWN_CODES: Final = 3
_SHORTEST_SOURCE: Final = 16
_SHOWN_STAGES: Final = (Stage.FETCH, Stage.DECODE, Stage.INFERENCE, TOTAL)


def print_summary(
    console: Console,
    summary: RunSummary,
    *,
    model: str,
    backend: str,
    start: ColdStart | None = None,
    fallbacks: int = 0,
    stopped: bool = False,
    earlier: Earlier | None = None,
    retry: str = "",
) -> None:
    """Prints what a run did: up to four lines, and up to eight more if inputs failed.

    Args:
        console: Of stderr, a terminal or a log.
        summary: The counts and percentiles.
        model: `name@version`.
        backend: Engine and precision.
        start: What it cost until the engine could answer; None if none was needed.
        fallbacks: How many faster ways to compute failed their golden outputs.
        stopped: Whether the run was ended before its list.
        earlier: What the output held before, if it was continued.
        retry: The option that tries failures again, if the output can be continued so.
    """
    done = _done_parts(summary)
    if earlier is not None and earlier.done:
        failed = f", {earlier.failed:,} of them failed" if earlier.failed else ""
        done.append(f"{earlier.done:,} done before{failed}")
    lines = [_line("Stopped" if stopped else "Done", done, console.width)]
    if summary.failures:
        lines += _failure_lines(summary, console.width)
    if retry and summary.retryable:
        text = f"{summary.retryable:,} of them may pass: run again with {retry}"
        lines.append(_line("", [text], console.width))
    if times := _time_parts(summary):
        lines.append(_line("p50/p95", times, console.width))
    engine = [f"{model} on {backend}"]
    if fallbacks:
        engine.append(f"{counted(fallbacks, 'faster way')} not used")
    if summary.batch_sizes:
        engine.append(f"batches of {summary.mean_batch_size:.3g}")
    if summary.cache_hits:
        engine.append(f"{summary.cache_hits:,} from the cache")
    if summary.repeats:
        engine.append(f"{summary.repeats:,} seen before in this run")
    lines.append(_line("Model", engine, console.width))
    if start is not None:
        lines.append(_line("Start", _start_parts(start), console.width))
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _done_parts(summary: RunSummary) -> list[str]:
    of_named = f"{summary.named:,} of " if summary.failed else ""
    parts = [f"{of_named}{counted(summary.total, 'picture')} in {duration(summary.wall_s)}"]
    if summary.total and summary.wall_s > 0:
        parts.append(f"{figures(summary.inputs_per_s)} inputs/s")
    if summary.background:
        parts.append(counted(summary.background, "shows no bird", "show no bird"))
    return parts


def _failure_lines(summary: RunSummary, width: int) -> list[Text]:
    shown = _SHOWN_CODES + (len(summary.failures) == _SHOWN_CODES + 1)  # the last in its own words
    failures, rest = summary.failures[:shown], summary.failures[shown:]
    room = max(width - _LABEL_WIDTH, 20)
    count_width = max(len(f"{failure.count:,}") for failure in failures)
    code_width = max(len(failure.code.value) for failure in failures)
    lines: list[Text] = []
    for failure in failures:
        start = f"{failure.count:>{count_width},} {failure.code.value:<{code_width}}  "
        text = start + _example(failure, max(room - len(start), 20))
        lines.append(_labelled("" if lines else "Failed", Text(text), "" if lines else "red"))
        if hint := failure.first.error.hint:
            indent = " " * (count_width + 1)
            text = cut(f"{indent}Hint: {visible_message(hint)}", room)
            lines.append(_labelled("", Text(text), ""))
    if rest:
        count = sum(failure.count for failure in rest)
        lines.append(_labelled("", Text(f"{count:,} more of {len(rest)} other kinds"), ""))
    return lines


def _example(failure: FailureCount, width: int) -> str:
    message = cut(visible_message(failure.first.error.message), width)
    opening = " (first: " if failure.count > 1 else " ("
    room = width - cell_len(message) - len(opening) - 1
    if room < _SHORTEST_SOURCE:
        return message
    source = visible_source(failure.first.ref.source)
    if cell_len(source) > room:
        source = picture_name(failure.first.ref, room)
    return f"{message}{opening}{source})"


def _time_parts(summary: RunSummary) -> list[str]:
    by_stage = {latency.stage: latency for latency in summary.latencies}
    parts = []
    for stage in _SHOWN_STAGES:
        if (latency := by_stage.get(stage)) is None:
            continue
        parts.append(f"{stage} {_ms(latency.p50_ms)}/{_ms(latency.p95_ms)}")
    if parts:
        parts[-1] += " ms"
    return parts


def _start_parts(start: ColdStart) -> list[str]:
    return [
        f"engine ready after {figures(start.total_s)} s: imports {figures(start.imports_s)}",
        f"model {figures(start.model_s)}",
        f"first batch {figures(start.first_batch_s)}",
    ]


def _line(label: str, parts: Sequence[str], width: int) -> Text:
    """One line, broken between parts where the terminal is too narrow."""
    room = max(width - _LABEL_WIDTH, 20)
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]}, {part}" if lines[-1] else part
        if cell_len(joined) <= room or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(part)
    return _labelled(label, Text(f"\n{' ' * _LABEL_WIDTH}".join(lines)), "")


def _labelled(label: str, text: Text, style: str) -> Text:
    return Text.assemble((label.ljust(_LABEL_WIDTH), f"bold {style}".strip())).append_text(text)


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
