"""What earlier runs know about URLs."""

from __future__ import annotations

import pytest

from birdcli.errors import ErrorCode
from birdcli.items import (
    CachedAnswer,
    CacheState,
    Classified,
    Failed,
    FetchedImage,
    ImageInfo,
    SourceKind,
    Timings,
    Unread,
    Validators,
)
from birdcli.recall import Recall
from tests.fakes import FakeAnswers, FakeClock, FakePictures, FakeStore, image_ref

DIGEST = "a" * 64
KNOWN = Validators(sha256=DIGEST, etag='"1"')
MUTE = Validators(sha256=DIGEST)
URL = "http://me:pw@h/a.jpg#x"
ITEM = Unread(image_ref(0, URL, SourceKind.URL), Timings(0.0))
INFO = ImageInfo(sha256=DIGEST, bytes=3, width=2, height=1, format="PNG")
ANSWER = CachedAnswer(image=INFO, predictions=(), backend="fake/float32")


def recall_over(
    store: FakeStore,
    *,
    answered: bool,
    pictures: dict[str, bytes] | None = None,
    offline: bool = False,
    keeps: bool = False,
) -> Recall:
    answers = FakeAnswers()
    if answered:
        answers.put(DIGEST, ANSWER)
    kept = None if pictures is None else FakePictures(pictures, keeps=keeps)
    return Recall(store, answers, model="fake@1", clock=FakeClock(), pictures=kept, offline=offline)


@pytest.mark.parametrize(
    ("validators", "answered", "pictures", "asked_with"),
    [
        (KNOWN, True, None, KNOWN),
        (KNOWN, False, None, None),
        (KNOWN, False, {}, None),
        (KNOWN, False, {DIGEST: b"abc"}, KNOWN),
        (MUTE, True, None, None),
        (MUTE, False, {DIGEST: b"abc"}, None),
    ],
)
def test_a_request_is_conditional_where_a_304_would_be_of_use(
    validators: Validators,
    answered: bool,
    pictures: dict[str, bytes] | None,
    asked_with: Validators | None,
) -> None:
    recall = recall_over(FakeStore({URL: validators}), answered=answered, pictures=pictures)
    assert recall.look_up([ITEM]) == [
        Unread(ITEM.ref, ITEM.timings, known=asked_with, is_new=False)
    ]


@pytest.mark.parametrize(
    ("answered", "pictures", "asked_with"),
    [(True, {}, None), (True, {DIGEST: b"abc"}, KNOWN), (False, {DIGEST: b"abc"}, KNOWN)],
)
def test_where_pictures_are_to_be_kept_one_that_is_not_is_asked_for_whole(
    answered: bool, pictures: dict[str, bytes], asked_with: Validators | None
) -> None:
    store = FakeStore({URL: KNOWN})
    recall = recall_over(store, answered=answered, pictures=pictures, keeps=True)
    (item,) = recall.look_up([ITEM])
    assert isinstance(item, Unread)
    assert item.known == asked_with


def test_a_url_that_was_never_seen_is_new() -> None:
    assert recall_over(FakeStore(), answered=True).look_up([ITEM]) == [ITEM]
    assert ITEM.is_new


def test_a_new_url_of_a_list_that_was_run_before_is_not_expected_to_need_the_engine() -> None:
    recall = recall_over(FakeStore({URL: KNOWN}), answered=True)
    dead = Unread(image_ref(1, "http://h/dead", SourceKind.URL), Timings(0.0))
    assert [isinstance(it, Unread) and it.is_new for it in recall.look_up([dead, ITEM])] == [
        False,
        False,
    ]
    assert recall.look_up([dead]) == [Unread(dead.ref, dead.timings, is_new=False)]


def test_a_url_of_this_run_is_answered_without_asking_again() -> None:
    store = FakeStore()
    store.put(URL, MUTE)
    (outcome,) = recall_over(store, answered=True).look_up([ITEM])
    assert isinstance(outcome, Classified)
    assert (outcome.ref, outcome.image) == (ITEM.ref, INFO)
    assert (outcome.model, outcome.cache) == ("fake@1", CacheState.HIT)


def test_a_url_of_this_run_without_an_answer_is_asked_again() -> None:
    store = FakeStore()
    store.put(URL, KNOWN)
    (item,) = recall_over(store, answered=False).look_up([ITEM])
    assert item == Unread(ITEM.ref, ITEM.timings, is_new=False)


# Offline


def test_offline_the_last_answer_counts_without_validators_too() -> None:
    recall = recall_over(FakeStore({URL: MUTE}), answered=True, offline=True)
    (outcome,) = recall.look_up([ITEM])
    assert isinstance(outcome, Classified)


@pytest.mark.parametrize("kept", [{}, {URL: KNOWN}])
@pytest.mark.parametrize("pictures", [None, {}])
def test_offline_a_url_without_an_answer_fails_at_once(
    kept: dict[str, Validators], pictures: dict[str, bytes] | None
) -> None:
    recall = recall_over(FakeStore(kept), answered=False, pictures=pictures, offline=True)
    (outcome,) = recall.look_up([ITEM])
    assert isinstance(outcome, Failed)
    assert outcome.error.code is ErrorCode.FETCH_NOT_CACHED
    assert (outcome.error.retryable, outcome.error.attempts) == (False, 0)
    assert outcome.error.message == (
        "No earlier run kept an answer of this model with these settings, nor the picture"
    )
    assert "--offline" in outcome.error.hint


def test_offline_kept_bytes_can_be_classified() -> None:
    pictures = {DIGEST: b"abc"}
    recall = recall_over(FakeStore({URL: MUTE}), answered=False, pictures=pictures, offline=True)
    (item,) = recall.look_up([ITEM])
    assert isinstance(item, Unread)
    assert item.known == MUTE
    assert recall.bytes_of(DIGEST) == b"abc"


# Learning


def image_of(
    offered: Validators | None, *, unchanged: bool = False, kind: SourceKind = SourceKind.URL
) -> FetchedImage:
    return FetchedImage(
        ref=image_ref(0, URL, kind),
        data=b"" if unchanged else b"abc",
        sha256=DIGEST,
        timings=Timings(0.0),
        unchanged=unchanged,
        offered=offered,
    )


@pytest.mark.parametrize("offered", [KNOWN, MUTE])
def test_what_a_server_offers_is_kept_under_what_the_user_typed(offered: Validators) -> None:
    store, pictures = FakeStore(), dict[str, bytes]()
    recall_over(store, answered=False, pictures=pictures).learn(image_of(offered))
    assert store.kept == {URL: offered}
    assert pictures == {DIGEST: b"abc"}


def test_what_a_server_forbids_to_keep_is_forgotten() -> None:
    store, pictures = FakeStore({URL: KNOWN}), dict[str, bytes]()
    recall_over(store, answered=False, pictures=pictures).learn(image_of(None))
    assert (store.kept, pictures) == ({}, {})


def test_a_304_counts_as_asked_in_this_run_and_keeps_no_bytes() -> None:
    store, pictures = FakeStore({URL: KNOWN}), dict[str, bytes]()
    recall_over(store, answered=True, pictures=pictures).learn(image_of(KNOWN, unchanged=True))
    assert store.put_in_this_run == {URL}
    assert pictures == {}


def test_bytes_from_the_cache_itself_teach_nothing() -> None:
    store = FakeStore({URL: KNOWN})
    recall_over(store, answered=True).learn(image_of(None, unchanged=True))
    assert (store.kept, store.put_in_this_run) == ({URL: KNOWN}, set())


def test_files_are_no_urls() -> None:
    store, pictures = FakeStore({URL: KNOWN}), dict[str, bytes]()
    recall = recall_over(store, answered=True, pictures=pictures)
    recall.learn(image_of(None, kind=SourceKind.FILE))
    assert store.kept == {URL: KNOWN}
    assert recall_over(store, answered=True).bytes_of(DIGEST) is None
