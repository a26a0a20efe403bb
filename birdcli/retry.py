"""Whether, and after which pause, a failed download is asked for again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from birdcli.errors import ErrorCode, FetchError

if TYPE_CHECKING:
    import random

RETRYABLE_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})

BACKOFF_BASE_S: Final = 0.5
BACKOFF_CAP_S: Final = 10.0

# Lookups get lost when many are under way, so one more is fair. More would only repeat an answer
# that the resolver keeps, and the error does not tell an unknown name from a lost lookup on every
# system.
DNS_RETRIES: Final = 1

# Who drips once mostly drips again, and each time for seconds.
SLOW_RETRIES: Final = 1

_LONGEST_WAIT_S: Final = 1e9  # more digits than that are no time, and infinity is no JSON


class AskedToWaitError(FetchError):
    """An HTTP error whose `Retry-After` says when to come back.

    Attributes:
        wait_s: How long to wait at least, seconds.
    """

    def __init__(self, code: ErrorCode, message: str, *, status: int, wait_s: float) -> None:
        """Makes a retryable error; `wait_s` goes into its details too."""
        super().__init__(
            code, message, retryable=True, status=status, retry_after_s=round(wait_s, 3)
        )
        self.wait_s = wait_s


class TooSlowError(FetchError):
    """A body that came at less than the lowest rate."""

    def __init__(self, min_rate: int) -> None:
        """Makes a retryable error; `min_rate` is in bytes per second."""
        super().__init__(
            ErrorCode.FETCH_TIMEOUT,
            f"The body came at less than {min_rate:,} bytes per second",
            retryable=True,
            min_rate=min_rate,
        )


@dataclass(frozen=True, slots=True)
class Again:
    """Ask once more, after a pause in seconds."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The last error is the answer."""


RetryPlan: TypeAlias = Again | GiveUp


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to ask again, and how the pauses are drawn.

    Attributes:
        retries: Further attempts after the first.
        rng: Where the jitter comes from.
    """

    retries: int
    rng: random.Random

    def plan(self, error: FetchError, *, attempt: int, remaining_s: float) -> RetryPlan:
        """Decides what follows a failed attempt.

        Args:
            error: What went wrong; only retryable errors are tried again, and an
                `AskedToWaitError` no sooner than it says.
            attempt: Which attempt failed, from 1.
            remaining_s: What is left of the input's deadline.

        Returns:
            `Again` with a pause that ends before the deadline, else `GiveUp`: an error now says
            more than `fetch.deadline` later.

        Source:
            Exponential backoff with full jitter, https://aws.amazon.com/blogs/architecture/
            exponential-backoff-and-jitter/.
        """
        allowed = self.retries
        if error.code == ErrorCode.FETCH_DNS:
            allowed = min(allowed, DNS_RETRIES)
        if isinstance(error, TooSlowError):
            allowed = min(allowed, SLOW_RETRIES)
        if not error.retryable or attempt > allowed:
            return GiveUp()
        doublings = min(attempt - 1, 10)
        pause_s = self.rng.uniform(0.0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**doublings))
        if isinstance(error, AskedToWaitError):
            pause_s = max(pause_s, error.wait_s)
        return Again(pause_s) if pause_s < remaining_s else GiveUp()


def parse_retry_after(value: str, *, now_s: float) -> float | None:
    """Returns how long a `Retry-After` header asks to wait.

    Args:
        value: The header: seconds, or a date as HTTP writes it.
        now_s: Seconds since 1970, for dates.

    Returns:
        Seconds, 0 for a date in the past, at most 1e9; None for anything else, as if there were no
        header.

    Source:
        RFC 9110, section 10.2.3.
    """
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return min(float(value), _LONGEST_WAIT_S)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    if date.tzinfo is None:  # "-0000": UTC without saying where
        date = date.replace(tzinfo=UTC)
    return min(max(date.timestamp() - now_s, 0.0), _LONGEST_WAIT_S)
