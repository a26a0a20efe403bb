"""What earlier runs know about URLs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from birdcli.errors import ErrorCode
from birdcli.items import Classified, ErrorInfo, Failed, SourceKind, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from birdcli.items import CachedAnswer, FetchedImage, Outcome, Unread
    from birdcli.ports import AnswerCache
    from birdcli.validators import SeenUrl, ValidatorStore

_NOT_CACHED: Final = ErrorInfo(
    code=ErrorCode.FETCH_NOT_CACHED,
    message="No earlier run kept an answer of this model with these settings, nor the picture",
    attempts=0,
    hint="Leave out --offline to download it.",
)


class ByteStore(Protocol):
    """Encoded bytes by their digest; called from threads."""

    @property
    def keeps(self) -> bool:
        """Whether `put` keeps what it is given."""
        ...

    def has(self, sha256: str) -> bool:
        """Tells whether `get` may have these bytes."""
        ...

    def get(self, sha256: str) -> bytes | None:
        """Returns the bytes, hashed again, or None."""
        ...

    def put(self, sha256: str, data: bytes) -> None:
        """Keeps bytes; a store that cannot be written keeps nothing."""
        ...


class Recall:
    """Looks up URLs before they are asked for, and learns from what they answer; in threads."""

    def __init__(
        self,
        store: ValidatorStore,
        answers: AnswerCache,
        *,
        model: str,
        clock: Callable[[], float],
        pictures: ByteStore | None = None,
        offline: bool = False,
    ) -> None:
        """Uses what it is given.

        Args:
            store: Validators by URL.
            answers: Of this model, by digest.
            model: `name@version`, for answers.
            clock: Seconds of the clock the timings are marked with.
            pictures: Encoded bytes by digest, or None if none are kept.
            offline: Whether what is known has to do.
        """
        self._store = store
        self._answers = answers
        self._model = model
        self._clock = clock
        self._pictures = pictures
        self._offline = offline
        self._list_is_known = False

    def look_up(self, items: Sequence[Unread]) -> list[Unread | Outcome]:
        """Returns for each URL its outcome, or the item with what is known about it."""
        seen = self._store.get_many({item.ref.source for item in items})
        # The few new ones of a list that was run before may well be dead: no engine for them yet.
        self._list_is_known = self._list_is_known or bool(seen)
        answers = self._answers.get_many({url.validators.sha256 for url in seen.values()})
        found: list[Unread | Outcome] = []
        for item in items:
            url = seen.get(item.ref.source)
            if url is None:
                found.append(self._unseen(item))
            else:
                found.append(self._seen(item, url, answers.get(url.validators.sha256)))
        return found

    def learn(self, image: FetchedImage) -> None:
        """Keeps what a server said about its bytes, and the bytes if they are wanted."""
        if image.ref.kind is not SourceKind.URL:
            return
        if image.offered is not None:
            self._store.put(image.ref.source, image.offered)
            if self._pictures is not None and not image.unchanged:
                self._pictures.put(image.sha256, image.data)
        elif not image.unchanged:
            self._store.forget(image.ref.source)

    def bytes_of(self, sha256: str) -> bytes | None:
        """Returns kept bytes, or None."""
        return None if self._pictures is None else self._pictures.get(sha256)

    def _unseen(self, item: Unread) -> Unread | Failed:
        if self._offline:
            return self._not_cached(item)
        return replace(item, is_new=not self._list_is_known)

    def _seen(self, item: Unread, url: SeenUrl, answer: CachedAnswer | None) -> Unread | Outcome:
        if answer is not None and (self._offline or url.in_this_run):
            timings = item.timings.mark(Stage.QUEUE, self._clock())
            return Classified.from_cache(item.ref, answer, model=self._model, timings=timings)
        known = url.validators
        if self._offline:  # with an answer it has been returned
            has_bytes = self._has_bytes(known.sha256)
            return replace(item, known=known) if has_bytes else self._not_cached(item)
        # Without answer and bytes a 304 would be worth nothing, and it brings no bytes to keep.
        wants_bytes = answer is None or (self._pictures is not None and self._pictures.keeps)
        useful = known.can_ask and (not wants_bytes or self._has_bytes(known.sha256))
        return replace(item, known=known if useful else None, is_new=False)

    def _has_bytes(self, sha256: str) -> bool:
        return self._pictures is not None and self._pictures.has(sha256)

    def _not_cached(self, item: Unread) -> Failed:
        timings = item.timings.mark(Stage.QUEUE, self._clock())
        return Failed(ref=item.ref, error=_NOT_CACHED, timings=timings)
