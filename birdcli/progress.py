"""Live progress on stderr, true whenever it is drawn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from birdcli.items import Failed
from birdcli.recent_speed import WINDOW_S, RecentSpeed
from birdcli.wording import duration, figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import TypeVar

    from rich.console import Console, RenderableType

    from birdcli.items import Outcome

    T = TypeVar("T")

_REDRAWS_PER_S: Final = 5
_BAR_WIDTHS: Final = (6, 24)
_WORDS_WIDTH: Final = 72  # which most runs need; a wider terminal has a longer bar


class LiveProgress:
    """One line that says how far a run is; a context manager.

    Inputs and outcomes are only counted as they pass. The line is made of the counts when rich
    redraws it, five times a second, so it moves on while nothing finishes.

    Attributes:
        done_before: Inputs that have their records from earlier runs.
    """

    def __init__(
        self,
        console: Console,
        *,
        enabled: bool,
        estimate: Callable[[], int | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares the line.

        Args:
            console: Of stderr.
            enabled: Whether to show anything, which only suits a terminal.
            estimate: Returns about how many inputs there are, or None; asked until all are read.
            clock: Seconds, never going back.
        """
        self.done_before = 0
        self._enabled = enabled
        self._estimate = estimate
        self._clock = clock
        self._read = 0
        self._wanted = 0
        self._all_read = False
        self._done = 0
        self._failed = 0
        self._started_s = clock()
        self._speed = RecentSpeed(self._started_s)
        self._spinner = Spinner("line")
        self._width = console.width
        self._live = Live(
            get_renderable=self._drawn,
            console=console,
            refresh_per_second=_REDRAWS_PER_S,
            transient=True,
            redirect_stdout=False,  # stdout is data
        )

    def __enter__(self) -> LiveProgress:
        """Shows the line."""
        if self._enabled:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the line."""
        self._live.stop()

    def following(
        self, inputs: Iterator[T], unfinished: Callable[[Iterator[T]], Iterator[T]]
    ) -> Iterator[T]:
        """Yields the inputs that are to be done, counting them and those that are passed over.

        Args:
            inputs: All.
            unfinished: Passes on those without a record.
        """
        for item in unfinished(self._counted(inputs)):
            self._wanted += 1
            yield item

    def observe(self, outcome: Outcome) -> None:
        """Counts one outcome."""
        self._done += 1
        self._failed += isinstance(outcome, Failed)

    def _counted(self, inputs: Iterator[T]) -> Iterator[T]:
        for item in inputs:
            self._read += 1
            yield item
        self._all_read = True

    def _total(self) -> tuple[int | None, str]:
        """How many inputs there are, and how that is said."""
        if self._all_read:
            return self._read, f" of {self._read:,}"
        about = self._estimate()
        # Folders in a list are many inputs each.
        if about is None or about < max(self._read, 1):
            return None, ""
        return about, f" of about {about:,}"

    def _drawn(self) -> RenderableType:
        now_s = self._clock()
        # The counts move while they are read.
        passed = min(max(self._read - self._wanted, 0), self.done_before)
        done = self._done
        self._speed.see(now_s, done)
        total, of_total = self._total()
        position = passed + done
        per_s = self._speed.per_s
        parts = [f"{position:,}{of_total}" if position or of_total else ""]
        if not done:
            parts.append(f"starting ({now_s - self._started_s:.0f} s)")
        elif self._speed.still_s >= WINDOW_S:
            parts.append(f"nothing for {_whole(self._speed.still_s)}")
        elif per_s is not None:
            parts.append(f"{figures(per_s)} inputs/s")
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        if total is not None and per_s:
            left_s = max(total - done - max(passed, self.done_before), 0) / per_s
            if left_s > max(self._speed.still_s, 0.5):  # else a standstill has refuted it
                parts.append(f"{_whole(left_s)} left")
        if passed:
            parts.append(f"{passed:,} done before")
        return self._line([part for part in parts if part], position, total)

    def _line(self, parts: list[str], position: int, total: int | None) -> RenderableType:
        shortest, longest = _BAR_WIDTHS
        bar_width = max(shortest, min(longest, self._width - _WORDS_WIDTH))
        cells: list[RenderableType] = [self._spinner]
        room = self._width - 2
        whole = len(", ".join(parts))
        if total and not room - bar_width <= whole <= room:  # words tell more
            cells.append(ProgressBar(total=total, completed=position, width=bar_width))
            room -= bar_width + 1
        text = parts[0]
        for part in parts[1:]:
            if len(text) + len(part) + 2 <= room:
                text += f", {part}"
        cells.append(Text(text, no_wrap=True, overflow="ellipsis"))
        line = Table.grid(padding=(0, 1))
        line.add_row(*cells)
        return line


def _whole(seconds: float) -> str:  # nobody reads tenths of what changes
    return f"{seconds:.0f} s" if seconds < 59.5 else duration(seconds)
