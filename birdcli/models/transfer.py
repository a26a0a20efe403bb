"""Decisions about one HTTP transfer of a model file, made without a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from birdcli.errors import ErrorCode, ItemError, ModelError
from birdcli.retry import RETRYABLE_STATUSES, parse_retry_after
from birdcli.web_url import redirect_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from yarl import URL

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_AUTHORISED = frozenset({401, 403})
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSettings:
    """Limits of a download.

    Attributes:
        connect_timeout_s: From the name look-up to the open connection; also how long a host that
            cannot be reached is asked again.
        stall_timeout_s: Longest silence between two pieces.
        total_timeout_s: One source, all attempts, redirects and pauses included.
        max_bytes: Largest file.
        retries: Further attempts per source after the first.
        max_redirects: Longest chain of redirects.
        unpack_factor: Free space demanded on top of the file, in lengths of the file: an archive
            of float32 weights unpacks to little more than its own length, and the prepared graph
            takes as much again. Archives of 8-bit weights need up to 7.
    """

    connect_timeout_s: float = 5.0
    stall_timeout_s: float = 30.0
    total_timeout_s: float = 1800.0
    max_bytes: int = 2_000_000_000
    retries: int = 2
    max_redirects: int = 10
    unpack_factor: float = 3.0


class TransferError(Exception):
    """One attempt at one source did not bring the file.

    Attributes:
        reason: For people; without secrets.
        retryable: Whether the same request may well succeed in a moment.
        unreachable: Whether no connection came about.
        status: The HTTP status that ended it, or None.
        retry_after_s: How long the server asked to wait, or None.
    """

    def __init__(
        self,
        reason: str,
        *,
        retryable: bool = False,
        unreachable: bool = False,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Makes the failure."""
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.unreachable = unreachable
        self.status = status
        self.retry_after_s = retry_after_s


def shown_url(url: str) -> str:
    """Returns a URL fit for messages: no user info, and no query, where signatures are."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a malformed URL"
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    shown = urlunsplit(bare) + ("?…" if parts.query else "")
    return "".join(char if char.isprintable() else "?" for char in shown)


def next_hop(url: URL, location: str | None) -> URL:
    """Returns where a redirect leads.

    Args:
        url: What was asked for.
        location: The `Location` header of the answer, or None.

    Raises:
        TransferError: The redirect leads nowhere, to another protocol, or from https to http,
            where anybody could put another model in its place.
    """
    try:
        target = redirect_target(url, location)
    except ItemError as err:
        raise TransferError(err.message) from err
    if url.scheme == "https" and target.scheme != "https":
        raise TransferError("The redirect leads from https:// to http://")
    return target


def status_message(status: int) -> str:
    """Returns `HTTP 404 Not Found` for 404; the server's own phrase could be anything."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def check_answer(
    status: int, headers: Mapping[str, str], *, max_bytes: int, now_s: float
) -> int | None:
    """Raises unless the last answer carries a file of allowed size.

    Args:
        status: HTTP status.
        headers: Those of the answer, case-insensitive.
        max_bytes: Largest file.
        now_s: Seconds since 1970, for dates in `Retry-After`.

    Returns:
        The length of the file, or None if the server does not tell.

    Raises:
        TransferError: Any status but 200, an HTML page, a file that is too large.
    """
    if status != HTTPStatus.OK:
        raise TransferError(
            status_message(status),
            status=status,
            retryable=status in RETRYABLE_STATUSES,
            retry_after_s=parse_retry_after(headers.get("Retry-After", ""), now_s=now_s),
        )
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() in _HTML:
        raise TransferError("An HTML page came instead of a file (a login page, a portal?)")
    length = headers.get("Content-Length", "")
    if headers.get("Content-Encoding") or not length.isdecimal():
        return None
    check_size(int(length), max_bytes)
    return int(length)


def check_size(count: int, max_bytes: int) -> None:
    """Raises if a file is too large.

    Raises:
        TransferError: There are more than `max_bytes`.
    """
    if count > max_bytes:
        raise TransferError(f"The file is larger than {max_bytes:,} bytes")


def check_space(length: int, count: int, free_bytes: int, unpack_factor: float) -> None:
    """Raises unless the rest of a file fits on the disk together with what it unpacks to.

    Args:
        length: Of the whole file, bytes.
        count: How much of it is there.
        free_bytes: What the disk has left.
        unpack_factor: As in `DownloadSettings`.

    Raises:
        ModelError: ``model.unwritable`` with both numbers.
    """
    needed = length - count + math.ceil(length * unpack_factor)
    if free_bytes < needed:
        raise ModelError(
            ErrorCode.MODEL_UNWRITABLE,
            f"the disk has {free_bytes / 1e6:,.1f} MB left; downloading and unpacking the model "
            f"needs {needed / 1e6:,.1f} MB",
            hint="Free some space, or set BIRDCLI_HOME to a folder on a larger disk.",
            needed_bytes=needed,
            free_bytes=free_bytes,
        )


def pause_before_retry_s(failure: TransferError, attempt: int) -> float:
    """Returns how long to wait after an attempt, counted from 1: doubling, or as asked for."""
    if failure.retry_after_s is not None:
        return min(failure.retry_after_s, _LONGEST_PAUSE_S)
    return min(_FIRST_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_PAUSE_S)


def may_retry(
    failure: TransferError, attempt: int, elapsed_s: float, settings: DownloadSettings
) -> bool:
    """Tells whether the same source is worth another attempt.

    A host that cannot be reached is given up when the pause would end after `connect_timeout_s`:
    another source, or another model, is then the better answer.
    """
    if not failure.retryable or attempt > settings.retries:
        return False
    resumed_s = elapsed_s + pause_before_retry_s(failure, attempt)
    return not failure.unreachable or resumed_s < settings.connect_timeout_s


def download_error(failures: Sequence[tuple[str, TransferError]], name: str) -> ModelError:
    """Returns the one error for sources that all failed.

    Args:
        failures: Each source with its last failure, in the order they were tried.
        name: The model, for the hint.
    """
    reasons = "; ".join(f"{shown_url(source)}: {failure.reason}" for source, failure in failures)
    statuses = [failure.status for _, failure in failures if failure.status is not None]
    copy = f"birdcli registry pull {name} --from FILE --labels FILE --names FILE"
    if _NOT_AUTHORISED.intersection(statuses):
        hint = (
            "Some networks need a token: put it into ~/.netrc (machine www.kaggle.com login NAME "
            "password KEY) or set KAGGLE_USERNAME and KAGGLE_KEY. Or install a copy of the file: "
            f"{copy}"
        )
    else:
        hint = f"Without a network, install a copy of the file: {copy}"
    return ModelError(
        ErrorCode.MODEL_DOWNLOAD_FAILED,
        f"the download failed: {reasons or 'no source is known'}",
        hint=hint,
        unreachable=bool(failures) and all(failure.unreachable for _, failure in failures),
        status=statuses[-1] if statuses else None,
    )
