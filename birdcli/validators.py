"""What a server said about a URL, to ask later whether it has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from birdcli.items import Validators, is_header_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenUrl:
    """A URL that had bytes before.

    Attributes:
        validators: Of the bytes it had last.
        in_this_run: Whether it was asked in this run, so that asking again tells nothing new.
    """

    validators: Validators
    in_this_run: bool


class ValidatorStore(Protocol):
    """Validators of earlier runs; called from threads."""

    def get_many(self, urls: Iterable[str]) -> dict[str, SeenUrl]:
        """Returns what is known, by URL; a broken store knows nothing."""
        ...

    def put(self, url: str, validators: Validators) -> None:
        """Keeps validators; a store that cannot be written keeps nothing."""
        ...

    def forget(self, url: str) -> None:
        """Keeps nothing about a URL."""
        ...


def offered_validators(headers: Mapping[str, str], sha256: str) -> Validators | None:
    """Returns what a whole response lets us keep, or None if it lets us keep nothing.

    `Vary` is ignored: every request of ours sends the same headers.

    Args:
        headers: Of the response, matched without regard to case.
        sha256: Digest of its body, lowercase hex.
    """
    directives = headers.get("Cache-Control", "").lower().split(",")
    if any(directive.strip() == "no-store" for directive in directives):
        return None
    etag, last_modified = (
        value if value is not None and is_header_value(value) else None
        for value in (headers.get("ETag"), headers.get("Last-Modified"))
    )
    return Validators(sha256=sha256, etag=etag, last_modified=last_modified)
