"""What a run says at its end."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from birdcli.errors import ErrorCode
from birdcli.items import Stage
from birdcli.metrics import ColdStart, RunMetrics
from birdcli.summary import print_summary
from tests.unit.test_record import BACKGROUND, cached, classified, failed

if TYPE_CHECKING:
    from birdcli.items import Outcome

SLOW_MS = {Stage.QUEUE: 1.0, Stage.FETCH: 1204.0, Stage.DECODE: 4.13, Stage.INFERENCE: 85.0}


def summary_lines(
    *outcomes: Outcome,
    wall_s: float = 2.0,
    width: int = 80,
    terminal: bool = False,
    start: ColdStart | None = None,
    fallbacks: int = 0,
    retry: str = "",
) -> list[str]:
    metrics = RunMetrics()
    for outcome in outcomes:
        metrics.observe(outcome)
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal)
    print_summary(
        console,
        metrics.summary(wall_s),
        model="aiy-birds-v1@1",
        backend="tensorflow/float32",
        start=start,
        fallbacks=fallbacks,
        retry=retry,
    )
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_summary_without_failures_is_three_lines() -> None:
    assert summary_lines(*[classified(batch_size=8)] * 600, wall_s=12.4) == [
        "Done     600 pictures in 12.4 s, 48.4 inputs/s",
        "p50/p95  fetch 81/81, decode 4.1/4.1, inference 85/85, total 184/184 ms",
        "Model    aiy-birds-v1@1 on tensorflow/float32, batches of 8",
    ]


def test_summary_says_where_the_start_went() -> None:
    start = ColdStart(imports_s=3.14, model_s=0.62, first_batch_s=0.049)
    assert summary_lines(classified(), start=start)[-1] == (
        "Start    engine ready after 3.8 s: imports 3.1, model 0.62, first batch 0.05"
    )


@pytest.mark.parametrize(
    ("fallbacks", "words"), [(1, "1 faster way not used"), (2, "2 faster ways not used")]
)
def test_summary_counts_faster_ways_that_failed(fallbacks: int, words: str) -> None:
    assert summary_lines(classified(batch_size=8), width=120, fallbacks=fallbacks)[-1] == (
        f"Model    aiy-birds-v1@1 on tensorflow/float32, {words}, batches of 8"
    )


def test_summary_of_failures_names_code_example_and_hint() -> None:
    outcomes: list[Outcome] = [
        classified(),
        failed("https://u:secret@example.org/b.jpg", message="HTTP 404"),
        failed("https://example.org/c.jpg"),
        failed("d.jpg", ErrorCode.DECODE_TRUNCATED, "the file is cut off", hint="Copy it again."),
    ]
    assert summary_lines(*outcomes)[:4] == [
        "Done     1 of 4 pictures in 2.0 s, 2.0 inputs/s",
        "Failed   2 fetch.http_status  HTTP 404 (first: https://***@example.org/b.jpg)",
        "         1 decode.truncated   the file is cut off (d.jpg)",
        "           Hint: Copy it again.",
    ]


def test_example_that_is_too_long_keeps_host_and_end() -> None:
    lines = summary_lines(failed(f"https://example.org/{'a/' * 60}b.jpg"))
    assert lines[1].endswith(" HTTP 404 Not Found (example.o…a/a/a/a/a/a/a/b.jpg)")


def test_hint_stands_with_the_kind_it_belongs_to() -> None:
    rare = failed(code=ErrorCode.FETCH_DNS, hint="Check the name.")
    frequent = failed(hint="Check the path.")
    lines = summary_lines(rare, frequent, frequent)
    assert [line.split()[0] for line in lines[1:5]] == ["Failed", "Hint:", "1", "Hint:"]
    assert lines[2].endswith("Check the path.")
    assert lines[4].endswith("Check the name.")


def test_hint_of_a_kind_that_is_not_shown_is_not_shown() -> None:
    codes = list(ErrorCode)[-6:]
    outcomes = [failed(code=code) for code in codes[:-1] for _ in range(2)]
    heic = failed(code=codes[-1], hint='pip install "birdcli[heic]"')
    assert "heic" not in "\n".join(summary_lines(*outcomes, heic))


@pytest.mark.parametrize(("kinds", "shown"), [(3, 3), (4, 4), (6, 3)])
def test_summary_shows_three_kinds_of_failure_and_a_fourth_if_that_is_all(
    kinds: int, shown: int
) -> None:
    lines = summary_lines(*[failed(code=code) for code in list(ErrorCode)[-kinds:]])
    assert sum("HTTP 404" in line for line in lines) == shown
    assert sum("other kind" in line for line in lines) == (kinds > shown)


def test_summary_counts_the_kinds_it_does_not_show() -> None:
    lines = summary_lines(*[failed(code=code) for code in list(ErrorCode)[-6:]])
    assert lines[4] == "         3 more of 3 other kinds"


def test_summary_tells_how_to_try_again_what_may_pass() -> None:
    lines = summary_lines(failed(), failed(retryable=True), retry="--retry-failed")
    assert lines[2] == "         1 of them may pass: run again with --retry-failed"


@pytest.mark.parametrize(("retryable", "retry"), [(False, "--retry-failed"), (True, "")])
def test_summary_proposes_no_other_try_that_would_be_in_vain(retryable: bool, retry: str) -> None:
    assert "may pass" not in "".join(summary_lines(failed(retryable=retryable), retry=retry))


def test_summary_without_hint_has_no_line_for_it() -> None:
    assert len(summary_lines(classified(), failed())) == 4


def test_summary_never_has_more_than_12_lines_of_80_columns() -> None:
    outcomes: list[Outcome] = [
        failed("p/" * 80, code, "word " * 50, hint="try " * 50, stages_ms=SLOW_MS)
        for code in ErrorCode
    ]
    outcomes += [classified(predictions=(BACKGROUND,), stages_ms=SLOW_MS), cached()]
    lines = summary_lines(*outcomes, wall_s=100_000.0)
    assert len(lines) <= 12
    assert max(map(cell_len, lines)) <= 80


def test_summary_breaks_between_parts_on_a_narrow_terminal() -> None:
    assert summary_lines(classified(), width=40)[2:5] == [
        "p50/p95  fetch 81/81, decode 4.1/4.1",
        "         inference 85/85",
        "         total 184/184 ms",
    ]


@pytest.mark.parametrize(("count", "words"), [(1, "1 shows no bird"), (2, "2 show no bird")])
def test_summary_counts_pictures_without_a_bird(count: int, words: str) -> None:
    lines = summary_lines(*[classified(predictions=(BACKGROUND,))] * count)
    assert lines[0].endswith(words)


def test_answers_repeated_within_the_run_are_not_from_the_cache() -> None:
    repeated = replace(cached(), repeated=True)
    assert summary_lines(cached(), repeated, repeated, width=120)[-1].endswith(
        "float32, 1 from the cache, 2 seen before in this run"
    )


def test_summary_counts_answers_from_the_cache() -> None:
    assert summary_lines(cached())[-1] == (
        "Model    aiy-birds-v1@1 on tensorflow/float32, 1 from the cache"
    )


def test_summary_of_a_run_without_duration_has_no_speed() -> None:
    assert summary_lines(failed(), wall_s=0.0)[0] == "Done     0 of 1 picture in 0.00 s"


def test_summary_of_an_input_without_time_has_no_times() -> None:
    lines = summary_lines(failed(stages_ms={Stage.QUEUE: 0.0}))
    assert lines[-2] == "p50/p95  total 0.0/0.0 ms"


@pytest.mark.parametrize(
    ("wall_s", "shown"),
    [
        (0.042, "0.04 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (3599.9, "1 h 00 min"),
        (7530.0, "2 h 05 min"),
    ],
)
def test_summary_tells_the_wall_time(wall_s: float, shown: str) -> None:
    assert summary_lines(classified(), wall_s=wall_s)[0].startswith(
        f"Done     1 picture in {shown},"
    )


def test_summary_in_a_log_has_no_escape_codes() -> None:
    assert "\x1b" not in "".join(summary_lines(classified(), failed()))


def test_summary_shows_hostile_text_and_does_not_obey_it() -> None:
    outcome = failed("[/red]\x1b[2J", message="[bold]\x1b]0;x\x07\nHint", hint="[link=x]\x9b")
    lines = summary_lines(outcome, width=120)
    assert lines[1].endswith(r"[bold]\x1b]0;x\x07\nHint ([/red]\x1b[2J)")
    assert lines[2].endswith(r"Hint: [link=x]\x9b")
