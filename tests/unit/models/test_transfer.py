from __future__ import annotations

import pytest
from multidict import CIMultiDict
from yarl import URL

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.transfer import (
    DownloadSettings,
    TransferError,
    check_answer,
    check_size,
    check_space,
    download_error,
    may_retry,
    next_hop,
    pause_before_retry_s,
    shown_url,
    status_message,
)

NOW_S = 1_700_000_000.0
SIGNED = "https://storage.example/a/b.tar.gz?X-Goog-Signature=5ecret"


def answer(status: int = 200, **headers: str) -> int | None:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return check_answer(status, named, max_bytes=1000, now_s=NOW_S)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://tfhub.dev/x/1", "https://tfhub.dev/x/1"),
        (SIGNED, "https://storage.example/a/b.tar.gz?…"),
        ("https://ann:hunter2@mirror.example:8443/a", "https://mirror.example:8443/a"),
        ("https://mirror.example/a#5ecret", "https://mirror.example/a"),
        ("http://[/hunter2", "a malformed URL"),
        ("https://mirror.example/\x1b[2J", "https://mirror.example/?[2J"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://b.example/x?s=%2B%7E", "https://b.example/x?s=%2B%7E"),
        ("/other", "https://a.example/other"),
        ("//c.example/x", "https://c.example/x"),
        ("https://ann:hunter2@b.example/x", "https://b.example/x"),
    ],
)
def test_a_redirect_leads_to_its_location(location: str, target: str) -> None:
    assert str(next_hop(URL("https://a.example/path"), location)) == target


@pytest.mark.parametrize(
    "location", [None, "", "ftp://b.example/", "file:///etc/passwd", "http://["]
)
def test_a_redirect_to_anything_but_the_web_fails(location: str | None) -> None:
    with pytest.raises(TransferError) as caught:
        next_hop(URL("https://a.example/"), location)
    assert not caught.value.retryable


def test_a_redirect_never_leaves_https() -> None:
    with pytest.raises(TransferError, match="https"):
        next_hop(URL("https://a.example/"), "http://a.example/")


def test_a_redirect_from_http_may_lead_to_either() -> None:
    assert next_hop(URL("http://a.example/"), "https://b.example/").scheme == "https"
    assert next_hop(URL("http://a.example/"), "http://b.example/").scheme == "http"


def test_the_length_of_a_file_is_told() -> None:
    assert answer(Content_Length="1000") == 1000


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content_Length": "many"},
        {"Content_Length": "-1"},
        {"Content_Length": "10", "Content_Encoding": "gzip"},
    ],
)
def test_a_length_that_means_nothing_is_none(headers: dict[str, str]) -> None:
    assert answer(200, **headers) is None


def test_a_file_that_is_announced_too_large_fails() -> None:
    with pytest.raises(TransferError, match="larger than 1,000 bytes"):
        answer(Content_Length="1001")


def test_the_limit_itself_is_allowed() -> None:
    check_size(1000, 1000)


@pytest.mark.parametrize(("count", "needed"), [(0, 400), (60, 340), (100, 300)])
def test_the_bytes_to_come_and_what_they_unpack_to_have_to_fit(count: int, needed: int) -> None:
    check_space(100, count, needed, unpack_factor=3.0)
    with pytest.raises(ModelError) as caught:
        check_space(100, count, needed - 1, unpack_factor=3.0)
    assert caught.value.code == ErrorCode.MODEL_UNWRITABLE
    assert dict(caught.value.details) == {"needed_bytes": needed, "free_bytes": needed - 1}


def test_a_full_disk_is_told_in_numbers() -> None:
    with pytest.raises(ModelError, match=r"has 12\.0 MB left.* needs 8,000\.0 MB"):
        check_space(2_000_000_000, 0, 12_000_000, unpack_factor=3.0)


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
def test_an_html_page_fails(kind: str) -> None:
    with pytest.raises(TransferError, match="HTML page"):
        answer(Content_Type=kind)


@pytest.mark.parametrize("kind", ["text/csv", "text/plain", "application/x-tar", ""])
def test_other_types_pass(kind: str) -> None:
    assert answer(Content_Type=kind, Content_Length="5") == 5


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_troubles_are_retryable(status: int) -> None:
    with pytest.raises(TransferError) as caught:
        answer(status)
    assert caught.value.retryable
    assert caught.value.status == status


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 501, 799])
def test_other_statuses_are_final(status: int) -> None:
    with pytest.raises(TransferError) as caught:
        answer(status)
    assert not caught.value.retryable
    assert caught.value.status == status


def test_a_status_is_told_with_its_own_phrase() -> None:
    assert status_message(404) == "HTTP 404 Not Found"
    assert status_message(799) == "HTTP 799"


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("7", 7.0), ("Tue, 14 Nov 2023 22:13:40 GMT", 20.0), ("soon", None), ("", None)],
)
def test_retry_after_is_read(header: str, wait_s: float | None) -> None:
    with pytest.raises(TransferError) as caught:
        answer(429, Retry_After=header)
    assert caught.value.retry_after_s == wait_s


def test_pauses_double_up_to_a_limit() -> None:
    failure = TransferError("x", retryable=True)
    assert [pause_before_retry_s(failure, attempt) for attempt in (1, 2, 3, 9)] == [1, 2, 4, 30]


@pytest.mark.parametrize(("asked_s", "pause_s"), [(0.0, 0.0), (7.0, 7.0), (86_400.0, 30.0)])
def test_a_pause_is_as_long_as_asked_for_within_reason(asked_s: float, pause_s: float) -> None:
    assert pause_before_retry_s(TransferError("x", retry_after_s=asked_s), 1) == pause_s


def test_retries_are_counted() -> None:
    failure = TransferError("x", retryable=True)
    tries = [may_retry(failure, attempt, 60.0, DownloadSettings()) for attempt in (1, 2, 3)]
    assert tries == [True, True, False]


def test_a_final_failure_is_not_retried() -> None:
    assert not may_retry(TransferError("x"), 1, 0.0, DownloadSettings())


@pytest.mark.parametrize(("elapsed_s", "expected"), [(0.0, True), (3.9, True), (4.0, False)])
def test_an_unreachable_host_is_given_up_in_time_for_a_fallback(
    elapsed_s: float, expected: bool
) -> None:
    failure = TransferError("x", retryable=True, unreachable=True)
    assert may_retry(failure, 1, elapsed_s, DownloadSettings()) is expected


def test_all_sources_are_told_with_their_reasons() -> None:
    error = download_error(
        [(SIGNED, TransferError("first", status=404)), ("http://b/", TransferError("second"))], "n"
    )
    assert error.code == ErrorCode.MODEL_DOWNLOAD_FAILED
    assert error.message == (
        "the download failed: https://storage.example/a/b.tar.gz?…: first; http://b/: second"
    )
    assert dict(error.details) == {"unreachable": False, "status": 404}
    assert "birdcli registry pull n --from FILE" in error.hint


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_hints_at_tokens_and_copies(status: int) -> None:
    failures = [
        ("http://a/", TransferError("x", status=status)),
        ("http://b/", TransferError("y", unreachable=True)),
    ]
    error = download_error(failures, "aiy-birds-v1")
    for part in ("~/.netrc", "KAGGLE_USERNAME", "KAGGLE_KEY", "pull aiy-birds-v1 --from FILE"):
        assert part in error.hint


@pytest.mark.parametrize(
    ("flags", "unreachable"),
    [([True], True), ([True, True], True), ([True, False], False), ([False], False), ([], False)],
)
def test_unreachable_means_that_no_source_could_be_reached(
    flags: list[bool], unreachable: bool
) -> None:
    failures = [("http://a/", TransferError("x", unreachable=flag)) for flag in flags]
    assert dict(download_error(failures, "n").details)["unreachable"] is unreachable
