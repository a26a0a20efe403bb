"""What earlier runs know about URLs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from birdcli.items import FetchedImage, Outcome, Unread
    from birdcli.ports import AnswerCache
    from birdcli.validators import ValidatorStore


class Recall:
    """Looks up URLs before they are asked for, and learns from what they answer; in threads."""

    def __init__(self, store: ValidatorStore, answers: AnswerCache) -> None:
        """Uses what it is given.

        Args:
            store: Validators by URL.
            answers: Of this model, by digest; without its answer a 304 would be worth nothing.
        """
        self._store = store
        self._answers = answers

    def look_up(self, items: Sequence[Unread]) -> list[Unread | Outcome]:
        """Returns for each URL its outcome, or the item with what is known about it."""
        return [self._look_up(item) for item in items]

    def learn(self, image: FetchedImage) -> None:
        """Keeps what a server said about its bytes."""
        if image.offered is not None:
            self._store.put(image.ref.source, image.offered)

    def _look_up(self, item: Unread) -> Unread:
        known = self._store.get(item.ref.source)
        if known is None or self._answers.get(known.sha256) is None:
            return item
        return replace(item, known=known)
