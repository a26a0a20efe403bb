"""Where the outcomes of a run go: counted, and written as records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from birdcli.items import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from birdcli.cli.output import RunOutput
    from birdcli.items import Outcome
    from birdcli.metrics import RunMetrics
    from birdcli.progress import LiveProgress


class CountingSink:
    """Implements `OutcomeSink`: counts outcomes for the summary and the progress line.

    Attributes:
        last_s: When the last outcome came, by `time.monotonic`.
        unwritten: Records that are encoded and not yet written.
    """

    def __init__(
        self,
        output: RunOutput,
        metrics: RunMetrics,
        progress: LiveProgress,
        on_failure: Callable[[], object],
    ) -> None:
        """Counts nothing yet; `on_failure` is called after each failure that was counted."""
        self.last_s = time.monotonic()
        self.unwritten = 0
        self._output = output
        self._metrics = metrics
        self._progress = progress
        self._on_failure = on_failure

    def encode(self, outcome: Outcome) -> bytes:
        """Counts an outcome and returns its record; see `OutcomeSink`."""
        self.last_s = time.monotonic()
        self._metrics.observe(outcome)
        self._progress.observe(outcome)
        if isinstance(outcome, Failed):
            self._on_failure()
        self.unwritten += 1
        return self._output.writer.encode(outcome)

    def write(self, records: Sequence[bytes]) -> None:
        """Writes records; see `OutcomeSink`."""
        self._output.writer.write(records)
        self.unwritten -= len(records)
