"""The progress line, as it stands at any moment."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from birdcli.progress import LiveProgress
from tests.unit.test_record import classified, failed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def terminal(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True, no_color=True)


def shown_by(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def all_of(inputs: Iterator[int]) -> Iterator[int]:
    return inputs


class Run:
    """A run of made-up inputs behind a line that is drawn when asked for."""

    def __init__(
        self, inputs: int, *, width: int = 80, done_before: int = 0, about: int | None = None
    ) -> None:
        self.clock = Clock()
        self.progress = LiveProgress(
            terminal(width),
            enabled=True,
            estimate=lambda: about,
            clock=self.clock,
        )
        self.progress.done_before = done_before
        self.wanted = self.progress.following(
            iter(range(inputs)), lambda found: (item for item in found if item >= done_before)
        )

    def finish(self, count: int, *, failing: bool = False) -> None:
        for _ in range(count):
            next(self.wanted, None)
            self.progress.observe(failed() if failing else classified())

    def read_all(self) -> None:
        assert list(self.wanted) is not None

    @property
    def line(self) -> str:
        console = terminal(self.progress._width)
        console.print(self.progress._drawn())
        return shown_by(console).rstrip("\n")

    @property
    def words(self) -> str:
        return self.line.strip("-\\|/━╸╺ ")

    def pass_s(self, seconds: float, *, finishing: int = 0) -> None:
        """Lets time pass with a look at the line five times a second."""
        steps = round(seconds * 5)
        for step in range(steps):
            self.clock.now_s += 0.2
            self.finish((step + 1) * finishing // steps - step * finishing // steps)
            assert self.line


def test_progress_that_is_off_writes_nothing() -> None:
    console = terminal()
    with LiveProgress(console, enabled=False) as progress:
        assert list(progress.following(iter([1, 2]), all_of)) == [1, 2]
        progress.observe(classified())
    assert shown_by(console) == ""


def test_line_is_redrawn_while_nothing_finishes() -> None:
    console = terminal()
    with LiveProgress(console, enabled=True) as progress:
        for _ in range(100):  # all within one redraw, and none after them
            progress.observe(classified())
        until_s = time.monotonic() + 5.0
        while " 100" not in shown_by(console) and time.monotonic() < until_s:
            time.sleep(0.02)
        assert " 100" in shown_by(console)


def test_line_leaves_nothing_behind() -> None:
    console = terminal()
    with LiveProgress(console, enabled=True) as progress:
        progress.observe(classified())
    assert shown_by(console).endswith("\x1b[2K")


def test_line_before_the_first_outcome_says_that_it_is_starting() -> None:
    run = Run(3)
    run.clock.now_s += 7
    assert run.words == "starting (7 s)"


def test_total_is_known_once_all_is_read() -> None:
    run = Run(1200)
    run.finish(1)
    assert run.words == "1"
    run.read_all()
    assert run.words == "1 of 1,200"


def test_list_that_breaks_off_has_no_total() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("broken")

    run = Run(0)
    inputs = run.progress.following(broken(), all_of)
    assert next(inputs) == 1
    with pytest.raises(OSError, match="broken"):
        next(inputs)
    run.progress.observe(classified())
    assert run.words == "1"


def test_estimate_is_told_as_such_until_all_is_read() -> None:
    run = Run(3060, about=3066)
    run.finish(2)
    assert run.words == "2 of about 3,066"
    run.read_all()
    assert run.words == "2 of 3,060"


def test_estimate_that_proved_too_low_is_no_longer_told() -> None:
    run = Run(10, about=4)
    run.finish(5)
    assert run.words == "5"


def test_failures_are_counted() -> None:
    run = Run(3)
    run.finish(1)
    run.finish(1, failing=True)
    assert run.words == "2, 1 failed"


def test_speed_counts_whatever_finished_lately() -> None:
    run = Run(1000)
    run.pass_s(60.0, finishing=60)
    run.pass_s(10.0, finishing=70)
    assert run.words == "130, 7.0 inputs/s"


def test_start_does_not_count_into_the_speed() -> None:
    run = Run(1000)
    run.pass_s(8.0)
    run.pass_s(2.0, finishing=20)
    assert run.words == "20, 10.0 inputs/s"


def test_speed_falls_while_nothing_finishes() -> None:
    run = Run(200)
    run.pass_s(10.0, finishing=100)
    run.pass_s(5.0)
    assert run.words == "100, 5.0 inputs/s"


def test_run_that_stands_still_says_for_how_long() -> None:
    run = Run(103)
    run.pass_s(1.0, finishing=100)
    run.read_all()
    run.pass_s(14.0)
    assert run.words == "100 of 103, nothing for 14 s"
    run.finish(1)
    run.pass_s(1.0)
    assert run.words.startswith("101 of 103, 0.1")


@pytest.mark.parametrize(("inputs", "left"), [(120, "40 s left"), (1040, "8 min 20 s left")])
def test_time_left_follows_from_the_recent_speed(inputs: int, left: str) -> None:
    run = Run(inputs)
    run.pass_s(20.0, finishing=40)
    run.read_all()
    assert run.words == f"40 of {inputs:,}, 2.0 inputs/s, {left}"


def test_time_left_that_a_standstill_refutes_is_not_told() -> None:
    run = Run(103)
    run.pass_s(10.0, finishing=100)
    run.read_all()
    run.pass_s(4.0)
    assert run.words == "100 of 103, 6.0 inputs/s"


def test_inputs_done_before_count_into_the_position() -> None:
    run = Run(3066, done_before=2867, width=120)
    run.pass_s(10.0, finishing=100)
    run.read_all()
    assert run.words == "2,967 of 3,066, 10.0 inputs/s, 10 s left, 2,867 done before"


def test_line_moves_while_inputs_with_records_are_passed_over() -> None:
    run = Run(3066, done_before=2867, about=3066, width=120)
    seen = []

    def looked_at(found: Iterator[int]) -> Iterator[int]:
        for item in found:
            seen.append(run.words)
            if item >= 2:
                yield item

    assert next(run.progress.following(iter(range(3)), looked_at)) == 2
    assert seen[1] == "2 of about 3,066, starting (0 s), 2 done before"


def test_time_left_does_not_count_what_will_be_passed_over() -> None:
    run = Run(1000, about=1000)
    run.progress.done_before = 500  # all of it further down the list
    run.pass_s(10.0, finishing=100)
    assert run.words == "100 of about 1,000, 10.0 inputs/s, 40 s left"


def test_bar_gives_way_to_words() -> None:
    run = Run(2_000, about=10_000_000)
    run.finish(1_000, failing=True)
    run.pass_s(2.0, finishing=200)
    assert "━" not in run.line
    assert run.words.endswith(" 600 inputs/s, 1,000 failed, 4 h 37 min left")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_line_fits_the_terminal(width: int) -> None:
    run = Run(2_200, width=width, done_before=1_100, about=10_000_000)
    run.finish(1_000, failing=True)
    run.pass_s(2.0, finishing=100)
    assert cell_len(run.line.rstrip()) <= width
    assert "\n" not in run.line
    assert run.words.startswith("2,200 of about 10,000,000")
