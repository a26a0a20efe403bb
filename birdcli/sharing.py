"""One download for all inputs of a run that name the same URL."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from birdcli.items import CacheState, Classified, Failed, SourceKind, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.items import Outcome, Unread

_REMEMBERED: Final = 1024


class SharedUrls:
    """Lets inputs that repeat a URL wait for its first one.

    What finished lately is remembered as well, except failures that may pass. For one thread.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Knows nothing yet; `clock` gives the seconds the timings are marked with."""
        self._clock = clock
        self._followers: dict[str, list[Unread]] = {}
        self._finished: OrderedDict[str, Outcome] = OrderedDict()

    def is_first(self, item: Unread) -> bool:
        """Tells whether a URL has to be asked for; if not, `settle` or `finished` has its outcome.

        Args:
            item: Of kind URL.
        """
        followers = self._followers.get(item.ref.source)
        if followers is None:
            self._followers[item.ref.source] = []
            return True
        followers.append(item)
        return False

    def finished(self, item: Unread) -> Outcome | None:
        """Returns the outcome of a URL that finished lately, or None."""
        outcome = self._finished.get(item.ref.source)
        return None if outcome is None else self._copied(outcome, item)

    def settle(self, outcome: Outcome) -> list[Outcome]:
        """Returns an outcome with those of the inputs that waited for it."""
        if outcome.ref.kind is not SourceKind.URL:
            return [outcome]
        followers = self._followers.pop(outcome.ref.source, [])
        if isinstance(outcome, Classified) or not outcome.error.retryable:
            self._finished[outcome.ref.source] = outcome
            if len(self._finished) > _REMEMBERED:
                self._finished.popitem(last=False)
        return [outcome, *(self._copied(outcome, item) for item in followers)]

    def _copied(self, outcome: Outcome, item: Unread) -> Outcome:
        timings = item.timings.mark(Stage.QUEUE, self._clock())
        if isinstance(outcome, Failed):
            return replace(outcome, ref=item.ref, timings=timings)
        return replace(
            outcome,
            ref=item.ref,
            timings=timings,
            cache=CacheState.HIT,
            batch_size=None,
            repeated=True,
        )
