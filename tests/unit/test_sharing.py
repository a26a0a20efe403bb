"""One download for all inputs that name the same URL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from birdcli.errors import ErrorCode
from birdcli.items import (
    CacheState,
    Classified,
    ErrorInfo,
    Failed,
    ImageInfo,
    SourceKind,
    Stage,
    Timings,
    Unread,
)
from birdcli.sharing import SharedUrls
from tests.fakes import image_ref

URL = "http://h/a.jpg"


def item(index: int, *, row: str | None = None) -> Unread:
    ref = replace(image_ref(index, URL, SourceKind.URL), id=row)
    return Unread(ref, Timings(float(index)))


def answered(of: Unread) -> Classified:
    return Classified(
        ref=of.ref,
        image=ImageInfo(sha256="0" * 64, bytes=1, width=1, height=1, format="PNG"),
        predictions=(),
        model="fake@1",
        backend="fake/float32",
        cache=CacheState.MISS,
        batch_size=4,
        timings=of.timings.mark(Stage.FETCH, 50.0),
    )


def failed(of: Unread, *, retryable: bool) -> Failed:
    error = ErrorInfo(code=ErrorCode.FETCH_TIMEOUT, message="slow", retryable=retryable)
    return Failed(ref=of.ref, error=error, timings=of.timings.mark(Stage.FETCH, 50.0))


def shared() -> SharedUrls:
    return SharedUrls(lambda: 60.0)


def test_inputs_that_follow_get_the_outcome_of_the_first_as_their_own() -> None:
    urls = shared()
    first, second = item(0), item(7, row="seven")
    assert urls.is_first(first)
    assert not urls.is_first(second)
    outcome, copy = urls.settle(answered(first))
    assert outcome.ref == first.ref
    assert isinstance(copy, Classified)
    assert (copy.ref, copy.cache, copy.batch_size) == (second.ref, CacheState.HIT, None)
    assert copy.repeated
    assert copy.timings.stages_ms() == {Stage.QUEUE: 53_000.0}


@pytest.mark.parametrize("retryable", [True, False])
def test_inputs_that_follow_a_failure_fail(retryable: bool) -> None:
    urls = shared()
    urls.is_first(item(0))
    urls.is_first(item(1))
    _, copy = urls.settle(failed(item(0), retryable=retryable))
    assert isinstance(copy, Failed)
    assert copy.ref.index == 1


def test_what_finished_lately_is_remembered() -> None:
    urls = shared()
    urls.is_first(item(0))
    urls.settle(failed(item(0), retryable=False))
    outcome = urls.finished(item(3))
    assert isinstance(outcome, Failed)
    assert outcome.ref.index == 3


def test_what_may_pass_is_asked_for_again() -> None:
    urls = shared()
    urls.is_first(item(0))
    urls.settle(failed(item(0), retryable=True))
    assert urls.finished(item(3)) is None
    assert urls.is_first(item(3))


def test_memory_is_bounded() -> None:
    urls = shared()
    for index in range(3000):
        ref = image_ref(index, f"http://h/{index}.jpg", SourceKind.URL)
        one = Unread(ref, Timings(0.0))
        urls.is_first(one)
        urls.settle(answered(one))
    oldest = Unread(image_ref(0, "http://h/0.jpg", SourceKind.URL), Timings(0.0))
    latest = Unread(image_ref(0, "http://h/2999.jpg", SourceKind.URL), Timings(0.0))
    assert urls.finished(oldest) is None
    assert urls.finished(latest) is not None


def test_files_are_nobodys_to_share() -> None:
    outcome = replace(answered(item(0)), ref=image_ref(0, "a.jpg"))
    urls = shared()
    assert urls.settle(outcome) == [outcome]
    assert urls.finished(Unread(outcome.ref, Timings(0.0))) is None
