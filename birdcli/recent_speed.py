"""How fast something has been going lately."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 10.0
_SHORTEST_S: Final = 1.0  # one batch within 0.2 s would look like a thousand pictures a second


class RecentSpeed:
    """A mean over the last ten seconds, from counts seen now and then; 0 once nothing moves."""

    def __init__(self, now_s: float) -> None:
        """Starts at zero.

        Args:
            now_s: Seconds, never going back.
        """
        self._seen = deque([(now_s, 0)])
        self._moved_s = now_s

    def see(self, now_s: float, count: int) -> None:
        """Takes notice of a count; the time before the first one above zero tells nothing."""
        if count != self._seen[-1][1]:
            self._moved_s = now_s
        elif not count:
            self._seen.clear()
        self._seen.append((now_s, count))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - WINDOW_S:
            self._seen.popleft()

    @property
    def per_s(self) -> float | None:
        """Counts per second; None until there is enough to tell."""
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_s - first_s) if last_s - first_s >= _SHORTEST_S else None

    @property
    def still_s(self) -> float:
        """For how long the count has been the same, seconds."""
        return self._seen[-1][0] - self._moved_s
