"""Words about inputs that keep a run waiting."""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING, Final

from birdcli.cli.installing import print_line
from birdcli.items import Stage
from birdcli.masking import visible_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.watch import Watch

_QUIET_S: Final = 15.0
_NAMED: Final = 3
_WORDS: Final = {
    Stage.QUEUE: "a list, being read",
    Stage.FETCH: "being fetched",
    Stage.DECODE: "being decoded",
    Stage.BATCH_WAIT: "waiting for the model",
}


async def tell_what_hangs(
    watch: Watch,
    people: IO[str],
    *,
    quiet_s: Callable[[], float],
    first_s: float = _QUIET_S,
) -> None:
    """Names the inputs a run is waiting for while none finishes; cancel it at the end.

    Args:
        watch: Of the pipeline.
        people: Who reads it.
        quiet_s: How long nothing has finished, seconds.
        first_s: After how long to speak; then after twice that, and so on.
    """
    told_s = 0.0
    while True:
        await asyncio.sleep(min(1.0, first_s))
        silent_s = quiet_s()
        if silent_s < first_s:
            told_s = 0.0
        elif silent_s >= max(first_s, 2 * told_s) and (text := waiting_text(watch)):
            told_s = silent_s
            print_line(people, f"birdcli: nothing has finished for {silent_s:.0f} s; {text}")


def waiting_text(watch: Watch) -> str:
    """Returns which inputs are under way, the longest first; empty if there are none."""
    busy = list(watch.longest())
    named = [
        f"{visible_source(one.source)} ({_WORDS.get(one.stage, one.stage)} "
        f"for {one.waited_s:.0f} s)"
        for one in busy[:_NAMED]
    ]
    if len(busy) > _NAMED:
        named.append(f"{len(busy) - _NAMED:,} more")
    return "waiting for " + ", ".join(named) if named else ""
