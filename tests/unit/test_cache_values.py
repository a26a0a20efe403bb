"""Cached values as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.cache_values import (
    StoredUrl,
    decode_answer,
    decode_url,
    encode_answer,
    encode_url,
)
from birdcli.items import CachedAnswer, ImageInfo, Prediction, Validators

DIGEST = "a" * 64
ANSWER = CachedAnswer(
    image=ImageInfo(sha256=DIGEST, bytes=1, width=2, height=3, format="JPEG"),
    predictions=(
        Prediction(class_id=7, label="Parus major", common_name="Great Tit", score=0.1 + 0.2),
        Prediction(class_id=964, label="background", common_name=None, score=1e-9),
    ),
    backend="tensorflow/float32",
)
VALIDATORS = Validators(sha256=DIGEST, etag='"1"', last_modified=None)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def changed(data: bytes, path: tuple[Any, ...], value: object) -> bytes:
    fields = json.loads(data)
    place = fields
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(fields).encode()


def without(data: bytes, path: tuple[str, ...]) -> bytes:
    fields = json.loads(data)
    place = fields
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return json.dumps(fields).encode()


def test_an_answer_comes_back_exactly() -> None:
    assert decode_answer(encode_answer(ANSWER), DIGEST) == ANSWER


def test_validators_come_back_exactly() -> None:
    stored = decode_url(encode_url(VALIDATORS, "run"))
    assert stored == StoredUrl(version=2, run="run", validators=VALIDATORS)


def test_an_answer_for_other_bytes_is_none() -> None:
    assert decode_answer(encode_answer(ANSWER), "b" * 64) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 1),
        (("version",), True),
        (("version",), "2"),
        (("answer", "backend"), None),
        (("answer", "image"), []),
        (("answer", "image", "bytes"), 1.5),
        (("answer", "image", "width"), True),
        (("answer", "image", "format"), 3),
        (("answer", "predictions"), []),
        (("answer", "predictions"), {}),
        (("answer", "predictions", 0), "bird"),
        (("answer", "predictions", 0, "class_id"), "7"),
        (("answer", "predictions", 0, "label"), None),
        (("answer", "predictions", 0, "common_name"), 1),
        (("answer", "predictions", 0, "score"), "0.5"),
        (("answer", "predictions", 0, "score"), float("nan")),
        (("answer", "predictions", 0, "score"), float("inf")),
    ],
)
def test_an_answer_of_another_shape_is_none(path: tuple[Any, ...], value: object) -> None:
    assert decode_answer(changed(encode_answer(ANSWER), path, value), DIGEST) is None


@pytest.mark.parametrize("path", [(), ("answer",), ("answer", "image")])
def test_an_answer_with_a_gap_is_none(path: tuple[str, ...]) -> None:
    whole = encode_answer(ANSWER)
    place = json.loads(whole)
    for step in path:
        place = place[step]
    for key in place.keys() - {"truncated"}:  # of a truncated picture nothing is kept
        assert decode_answer(without(whole, (*path, key)), DIGEST) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 0),
        (("run",), None),
        (("validators",), []),
        (("validators", "sha256"), "x"),
        (("validators", "sha256"), None),
        (("validators", "etag"), 'a"\r\nX: y'),
        (("validators", "etag"), 5),
        (("validators", "last_modified"), []),
    ],
)
def test_validators_of_another_shape_are_none(path: tuple[str, ...], value: object) -> None:
    assert decode_url(changed(encode_url(VALIDATORS, "run"), path, value)) is None


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000, b"null", b"{"])
def test_what_is_no_object_is_none(data: bytes) -> None:
    assert decode_answer(data, DIGEST) is None
    assert decode_url(data) is None


@given(JSON)
def test_no_json_breaks_the_reader(value: object) -> None:
    data = json.dumps(value).encode()
    assert decode_answer(data, DIGEST) is None
    assert decode_url(data) is None
