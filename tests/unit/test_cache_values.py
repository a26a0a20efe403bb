"""Cached values as text."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.cache_values import (
    decode_answer,
    decode_validators,
    encode_answer,
    encode_validators,
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


def without(data: bytes, key: str) -> bytes:
    fields = deepcopy(json.loads(data))
    del fields[key]
    return json.dumps(fields).encode()


def test_an_answer_comes_back_exactly() -> None:
    assert decode_answer(encode_answer(ANSWER), DIGEST) == ANSWER


def test_validators_come_back_exactly() -> None:
    assert decode_validators(encode_validators(VALIDATORS)) == VALIDATORS


def test_an_answer_for_other_bytes_is_none() -> None:
    assert decode_answer(encode_answer(ANSWER), "b" * 64) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("version",), True),
        (("version",), "1"),
        (("backend",), None),
        (("image",), []),
        (("image", "bytes"), 1.0),
        (("image", "width"), True),
        (("image", "format"), 3),
        (("predictions",), []),
        (("predictions",), {}),
        (("predictions", 0), "bird"),
        (("predictions", 0, "class_id"), "7"),
        (("predictions", 0, "label"), None),
        (("predictions", 0, "common_name"), 1),
        (("predictions", 0, "score"), 1),
        (("predictions", 0, "score"), "0.5"),
        (("predictions", 0, "score"), float("nan")),
        (("predictions", 0, "score"), float("inf")),
    ],
)
def test_an_answer_of_another_shape_is_none(path: tuple[Any, ...], value: object) -> None:
    assert decode_answer(changed(encode_answer(ANSWER), path, value), DIGEST) is None


@pytest.mark.parametrize("key", ["version", "backend", "image", "predictions"])
def test_an_answer_with_a_gap_is_none(key: str) -> None:
    assert decode_answer(without(encode_answer(ANSWER), key), DIGEST) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 0),
        ("sha256", "x"),
        ("sha256", None),
        ("etag", None),
        ("etag", 'a"\r\nX: y'),
        ("etag", 5),
        ("last_modified", []),
    ],
)
def test_validators_of_another_shape_are_none(key: str, value: object) -> None:
    assert decode_validators(changed(encode_validators(VALIDATORS), (key,), value)) is None


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000, b"null", b"{"])
def test_what_is_no_object_is_none(data: bytes) -> None:
    assert decode_answer(data, DIGEST) is None
    assert decode_validators(data) is None


@given(JSON)
def test_no_json_breaks_the_reader(value: object) -> None:
    data = json.dumps(value).encode()
    assert decode_answer(data, DIGEST) is None
    assert decode_validators(data) is None
