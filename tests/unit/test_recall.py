"""What earlier runs know about URLs."""

from __future__ import annotations

import pytest

from birdcli.items import (
    CachedAnswer,
    FetchedImage,
    ImageInfo,
    SourceKind,
    Timings,
    Unread,
    Validators,
)
from birdcli.recall import Recall
from tests.fakes import FakeAnswers, FakeStore, image_ref

DIGEST = "a" * 64
KNOWN = Validators(sha256=DIGEST, etag='"1"')
URL = "http://me:pw@h/a.jpg#x"
INFO = ImageInfo(sha256=DIGEST, bytes=3, width=2, height=1, format="PNG")
ANSWER = CachedAnswer(image=INFO, predictions=(), backend="fake/float32")


@pytest.mark.parametrize(
    ("url", "answered", "known"),
    [(URL, True, KNOWN), (URL, False, None), ("http://h/other", True, None)],
)
def test_validators_count_only_with_an_answer(
    url: str, answered: bool, known: Validators | None
) -> None:
    answers = FakeAnswers()
    if answered:
        answers.put(DIGEST, ANSWER)
    item = Unread(image_ref(0, url, SourceKind.URL), Timings(0.0))
    recall = Recall(FakeStore({URL: KNOWN}), answers)
    assert recall.look_up([item]) == [Unread(item.ref, item.timings, known)]


@pytest.mark.parametrize(("offered", "kept"), [(KNOWN, {URL: KNOWN}), (None, {})])
def test_what_a_server_offers_is_kept_under_what_the_user_typed(
    offered: Validators | None, kept: dict[str, Validators]
) -> None:
    store = FakeStore()
    image = FetchedImage(
        ref=image_ref(0, URL, SourceKind.URL),
        data=b"abc",
        sha256=DIGEST,
        timings=Timings(0.0),
        offered=offered,
    )
    Recall(store, FakeAnswers()).learn(image)
    assert store.kept == kept
