"""What a server said about a URL, to ask later whether it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from birdcli.items import Validators, is_header_value

if TYPE_CHECKING:
    from collections.abc import Mapping


class ValidatorStore(Protocol):
    """Validators of earlier runs; called from threads."""

    def get(self, url: str) -> Validators | None:
        """Returns what is known about a URL; a broken store knows nothing."""
        ...

    def put(self, url: str, validators: Validators) -> None:
        """Keeps validators; a store that cannot be written keeps nothing."""
        ...


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
        value if value is not None and is_header_value(value) else None
        for value in (headers.get("ETag"), headers.get("Last-Modified"))
    )
    if etag is None and last_modified is None:
        return None
    return Validators(sha256=sha256, etag=etag, last_modified=last_modified)
