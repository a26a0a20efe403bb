"""What is left of a time limit, and stopping its clock."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def left_s(limit: asyncio.Timeout) -> float:
    """Returns the seconds until a limit that was entered ends."""
    when_s = limit.when()
    assert when_s is not None  # noqa: S101 - all of ours end
    return when_s - asyncio.get_running_loop().time()


@contextmanager
def at_rest(limit: asyncio.Timeout) -> Iterator[None]:
    """Stops the clock: whoever is to keep to the limit is not to blame for what is inside."""
    left = left_s(limit)
    limit.reschedule(None)
    yield
    limit.reschedule(asyncio.get_running_loop().time() + left)
