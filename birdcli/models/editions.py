"""Whether the bytes of two answers belong to one and the same file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from birdcli.hashing import sha256_of_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from yarl import URL

_STRONG_ETAG: Final = re.compile(r'"[!#-~]{0,1022}"')
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_HTTP_DATE: Final = re.compile(
    r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
# A file that was changed within the second of its date keeps that date; RFC 9110 (8.8.2.2) wants
# the answer to be clearly younger, clocks that differ a little included.
_SETTLED_AFTER: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """What a server says a file is, well enough to tell it from any other.

    Attributes:
        validator: A strong `ETag` or a settled `Last-Modified`, as the server wrote it.
        address: Digest of the URL that answered, without its query: signatures change each time.
            Two mirrors may well give different files the same validator.
        length: Bytes of the whole file, or None if the server did not tell.
    """

    validator: str
    address: str
    length: int | None = None

    def __post_init__(self) -> None:
        """Refuses what no server's answer leads to, such as a validator with a line break."""
        dated = _parse_date(self.validator) is not None
        if not _STRONG_ETAG.fullmatch(self.validator) and not dated:
            raise ValueError("no validator")
        if not _SHA256.fullmatch(self.address):
            raise ValueError("no address")
        if self.length is not None and self.length < 1:
            raise ValueError("no length")


def offered_edition(url: URL, headers: Mapping[str, str], length: int | None) -> Edition | None:
    """Returns which edition of a file an answer brings, or None if that cannot be told for sure.

    Args:
        url: What was asked, after all redirects.
        headers: Those of the answer, case-insensitive.
        length: Bytes of the whole file, or None if unknown.
    """
    validator = _validator(headers)
    # Offsets of a coded body are not those of the bytes that are kept.
    if validator is None or headers.get("Content-Encoding") or length == 0:
        return None
    address = sha256_of_bytes(str(url.with_query(None)).encode())
    return Edition(validator=validator, address=address, length=length)


def rest_headers(edition: Edition, count: int) -> dict[str, str]:
    """Returns the headers that ask for what follows the first `count` bytes of an edition."""
    return {"Range": f"bytes={count}-", "If-Range": edition.validator}


def continued_length(
    edition: Edition, count: int, url: URL, headers: Mapping[str, str]
) -> int | None:
    """Returns the length of the whole file if a 206 answer is the rest of it, else None.

    Nothing is taken on trust: servers exist that ignore `If-Range`, or send another range.

    Args:
        edition: What the first bytes belong to.
        count: How many of them there are.
        url: What was asked, after all redirects.
        headers: Those of the answer, case-insensitive.
    """
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return None
    first, last, length = (int(group) for group in match.groups())
    if first != count or last != length - 1 or first > last:
        return None
    if edition.length not in (None, length):
        return None
    return length if offered_edition(url, headers, edition.length) == edition else None


def _validator(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("ETag")
    if etag is not None:  # a weak one says that the bytes may differ, whatever their date
        return etag if _STRONG_ETAG.fullmatch(etag) else None
    modified = headers.get("Last-Modified", "")
    changed, answered = _parse_date(modified), _parse_date(headers.get("Date", ""))
    if changed is None or answered is None or answered - changed < _SETTLED_AFTER:
        return None
    return modified


def _parse_date(value: str) -> datetime | None:
    """Returns an HTTP date in UTC; the forms that have been obsolete since 1994 are none."""
    if not _HTTP_DATE.fullmatch(value):
        return None
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        return None
