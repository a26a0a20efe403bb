"""What a server said about a URL, to ask later whether it has changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """The validators of one URL, and the bytes they stand for.

    Attributes:
        sha256: Digest of the encoded bytes, lowercase hex.
        etag: `ETag` as the server wrote it, or None.
        last_modified: `Last-Modified` as the server wrote it, or None.
    """

    sha256: str
    etag: str | None = None
    last_modified: str | None = None

    def __post_init__(self) -> None:
        """Refuses what is no digest, and what would not go through a header unharmed."""
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError("no sha256")
        values = [value for value in (self.etag, self.last_modified) if value is not None]
        if not values or not all(_is_header_value(value) for value in values):
            raise ValueError("no validator")

    def request_headers(self) -> dict[str, str]:
        """Returns the headers that make a request conditional."""
        headers = {}
        if self.etag is not None:
            headers["If-None-Match"] = self.etag
        if self.last_modified is not None:
            headers["If-Modified-Since"] = self.last_modified
        return headers


class ValidatorStore(Protocol):
    """Validators of earlier runs; called from threads."""

    def get(self, url: str) -> Validators | None:
        """Returns what is known about a URL; a broken store knows nothing."""
        ...

    def put(self, url: str, validators: Validators) -> None:
        """Keeps validators; a store that cannot be written keeps nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Revalidation:
    """What earlier runs left behind; asked from threads.

    Attributes:
        store: Validators by URL.
        has_answer: Whether the result cache knows these bytes, by their sha256; without the
            answer a 304 would be worth nothing.
    """

    store: ValidatorStore
    has_answer: Callable[[str], bool]

    def look_up(self, url: str) -> Validators | None:
        """Returns the validators of a URL whose answer is known, or None."""
        validators = self.store.get(url)
        if validators is None or not self.has_answer(validators.sha256):
            return None
        return validators


def offered_validators(headers: Mapping[str, str], sha256: str) -> Validators | None:
    """Returns what a whole response lets us keep, or None.

    Args:
        headers: Of the response, matched without regard to case.
        sha256: Digest of its body, lowercase hex.
    """
    directives = headers.get("Cache-Control", "").lower().split(",")
    if any(directive.strip() == "no-store" for directive in directives):
        return None
    etag, last_modified = (
        value if value is not None and _is_header_value(value) else None
        for value in (headers.get("ETag"), headers.get("Last-Modified"))
    )
    if etag is None and last_modified is None:
        return None
    return Validators(sha256=sha256, etag=etag, last_modified=last_modified)


def _is_header_value(value: str) -> bool:
    return 0 < len(value) <= _LONGEST and value.isascii() and value.isprintable()
