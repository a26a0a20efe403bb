"""Pauses and refusals of the retry policy."""

from __future__ import annotations

import random
from email.utils import formatdate

import pytest

from birdcli.errors import ErrorCode, FetchError
from birdcli.retry import (
    BACKOFF_BASE_S,
    BACKOFF_CAP_S,
    Again,
    AskedToWaitError,
    GiveUp,
    RetryPolicy,
    TooSlowError,
    parse_retry_after,
)

NOW_S = 1_700_000_000.0


class LongestPause(random.Random):
    """Always the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


POLICY = RetryPolicy(3, LongestPause())


def passing(code: ErrorCode = ErrorCode.FETCH_CONNECT) -> FetchError:
    return FetchError(code, "passing", retryable=True)


def asked_to_wait(wait_s: float) -> AskedToWaitError:
    return AskedToWaitError(ErrorCode.FETCH_RATE_LIMITED, "slow down", status=429, wait_s=wait_s)


def test_a_final_error_is_not_retried() -> None:
    final = FetchError(ErrorCode.FETCH_HTTP_STATUS, "HTTP 404", status=404)
    assert POLICY.plan(final, attempt=1, remaining_s=100) == GiveUp()


def test_retries_are_counted_after_the_first_attempt() -> None:
    assert isinstance(POLICY.plan(passing(), attempt=3, remaining_s=100), Again)
    assert POLICY.plan(passing(), attempt=4, remaining_s=100) == GiveUp()


def test_no_retries_means_one_attempt() -> None:
    policy = RetryPolicy(0, LongestPause())
    assert policy.plan(passing(), attempt=1, remaining_s=100) == GiveUp()


def test_pauses_double_up_to_the_cap() -> None:
    policy = RetryPolicy(10_000, LongestPause())
    pauses = [
        policy.plan(passing(), attempt=attempt, remaining_s=100)
        for attempt in (1, 2, 3, 4, 5, 6, 9_999)
    ]
    assert pauses == [Again(pause_s) for pause_s in (0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0)]


def test_pauses_are_drawn_from_zero_to_the_bound() -> None:
    policy = RetryPolicy(100, random.Random(3))
    pauses = [
        plan.pause_s
        for _ in range(200)
        if isinstance(plan := policy.plan(passing(), attempt=1, remaining_s=100), Again)
    ]
    assert len(pauses) == 200
    assert min(pauses) < 0.1 * BACKOFF_BASE_S
    assert max(pauses) > 0.9 * BACKOFF_BASE_S
    assert max(pauses) <= BACKOFF_BASE_S < BACKOFF_CAP_S


def test_a_failed_lookup_is_tried_once_more_only() -> None:
    lookup = passing(ErrorCode.FETCH_DNS)
    assert isinstance(POLICY.plan(lookup, attempt=1, remaining_s=100), Again)
    assert POLICY.plan(lookup, attempt=2, remaining_s=100) == GiveUp()


def test_a_failed_lookup_is_not_tried_again_without_retries() -> None:
    policy = RetryPolicy(0, LongestPause())
    assert policy.plan(passing(ErrorCode.FETCH_DNS), attempt=1, remaining_s=100) == GiveUp()


def test_a_pause_past_the_deadline_is_given_up() -> None:
    assert POLICY.plan(passing(), attempt=1, remaining_s=0.5) == GiveUp()


def test_a_server_that_asks_to_wait_is_given_its_time() -> None:
    assert POLICY.plan(asked_to_wait(30), attempt=1, remaining_s=31) == Again(30)


def test_a_server_that_asks_for_no_wait_still_gets_the_backoff() -> None:
    assert POLICY.plan(asked_to_wait(0), attempt=1, remaining_s=31) == Again(0.5)


def test_a_wait_past_the_deadline_is_given_up() -> None:
    assert POLICY.plan(asked_to_wait(30), attempt=1, remaining_s=30) == GiveUp()


def test_the_wait_is_among_the_details() -> None:
    assert asked_to_wait(1.23456).details == (("status", 429), ("retry_after_s", 1.235))


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 5000, 1e9),
        (formatdate(NOW_S + 90, usegmt=True), 90.0),
        (formatdate(NOW_S - 90, usegmt=True), 0.0),
        ("Tue, 14 Nov 2023 22:13:30 -0000", 10.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("Tue, 99 Foo 2023 22:13:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, wait_s: float | None) -> None:
    assert parse_retry_after(value, now_s=NOW_S) == wait_s


def test_a_body_that_drips_is_asked_for_once_more() -> None:
    policy = RetryPolicy(5, random.Random(1))
    slow = TooSlowError(1000)
    assert isinstance(policy.plan(slow, attempt=1, remaining_s=60.0), Again)
    assert isinstance(policy.plan(slow, attempt=2, remaining_s=60.0), GiveUp)
