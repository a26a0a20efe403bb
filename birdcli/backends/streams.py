"""How many batches an engine runs at once."""

from __future__ import annotations

from typing import Final

_MOST: Final = 16
"""Whatever the machine: each one has its own activations in memory."""


def streams_for(threads: int) -> int:
    """Returns how many batches to run at once on so many CPUs.

    Source:
        Two batches on a core each beat one batch on both, next to threads that decode: nobody
        waits for the slower half of a layer. BENCHMARK.md has the numbers.
    """
    return max(1, min(threads, _MOST))
