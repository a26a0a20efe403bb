"""Outcomes as JSON records."""

from __future__ import annotations

import base64
import json
import math
import re
import time
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.errors import ErrorCode
from birdcli.items import (
    CacheState,
    Classified,
    ErrorInfo,
    Failed,
    ImageInfo,
    ImageRef,
    Outcome,
    Prediction,
    SourceKind,
    Stage,
    Timings,
)
from birdcli.masking import masked_source, visible_message, visible_source
from birdcli.record import encode_record, load_record_schema, record_of

CROW = Prediction(
    class_id=867, label="Corvus brachyrhynchos", common_name="American Crow", score=0.953125
)
RAVEN = Prediction(class_id=12, label="Corvus corax", common_name="Common Raven", score=0.021)
BACKGROUND = Prediction(class_id=964, label="background", common_name=None, score=0.0101)
ALL_STAGES_MS = {
    Stage.QUEUE: 0.4,
    Stage.FETCH: 81.2,
    Stage.DECODE_WAIT: 1.1,
    Stage.DECODE: 4.1,
    Stage.BATCH_WAIT: 12.0,
    Stage.INFERENCE: 85.1,
}
FETCH_STAGES_MS = {Stage.QUEUE: 0.3, Stage.FETCH: 34.0}


def timings(stages_ms: dict[Stage, float]) -> Timings:
    """Timings of stages that took so long, one after the other."""
    ended_s = 1000.0
    marked = Timings(ended_s)
    for stage, duration_ms in stages_ms.items():
        ended_s += duration_ms / 1000.0
        marked = marked.mark(stage, ended_s)
    return marked


def ref(source: str, *, index: int = 0, name: str | None = None) -> ImageRef:
    """An input; what looks like a URL is one."""
    kind = SourceKind.URL if "://" in source else SourceKind.FILE
    return ImageRef(index=index, source=source, kind=kind, id=name)


def classified(
    source: str = "crow.jpg",
    *,
    index: int = 0,
    name: str | None = None,
    predictions: tuple[Prediction, ...] = (CROW, RAVEN, BACKGROUND),
    cache: CacheState = CacheState.MISS,
    batch_size: int | None = 32,
    stages_ms: dict[Stage, float] = ALL_STAGES_MS,
) -> Classified:
    """An answer."""
    return Classified(
        ref=ref(source, index=index, name=name),
        image=ImageInfo(sha256="ab" * 32, bytes=153419, width=1024, height=768, format="JPEG"),
        predictions=predictions,
        model="aiy-birds-v1@1",
        backend="tensorflow/bfloat16",
        cache=cache,
        batch_size=batch_size,
        timings=timings(stages_ms),
    )


def cached(source: str = "crow.jpg") -> Classified:
    """An answer from the result cache."""
    return classified(source, cache=CacheState.HIT, batch_size=None, stages_ms=FETCH_STAGES_MS)


def failed(
    source: str = "https://example.org/b.jpg",
    code: ErrorCode = ErrorCode.FETCH_HTTP_STATUS,
    message: str = "HTTP 404 Not Found",
    *,
    index: int = 0,
    name: str | None = None,
    hint: str = "",
    retryable: bool = False,
    details: tuple[tuple[str, str | int | float | bool | None], ...] = (("status", 404),),
    stages_ms: dict[Stage, float] = FETCH_STAGES_MS,
) -> Failed:
    """A failure."""
    return Failed(
        ref=ref(source, index=index, name=name),
        error=ErrorInfo(
            code=code, message=message, hint=hint, retryable=retryable, details=details
        ),
        timings=timings(stages_ms),
    )


def decoded(outcome: Outcome) -> dict[str, Any]:
    """The record as a reader of the output gets it."""
    record = json.loads(encode_record(record_of(outcome, "run-1")))
    assert isinstance(record, dict)
    return record


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = load_record_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_a_picture_that_ends_early_is_marked(validator: jsonschema.Draft202012Validator) -> None:
    whole = classified("crow.jpg")
    part = replace(whole, image=replace(whole.image, truncated=True))
    assert "truncated" not in decoded(whole)["image"]
    assert decoded(part)["image"]["truncated"] is True
    validator.validate(decoded(part))


def test_answer_has_the_fields_of_the_contract_in_order() -> None:
    record = decoded(classified("https://example.org/a.jpg", index=4))
    assert list(record.items()) == [
        ("schema", 1),
        ("run", "run-1"),
        ("index", 4),
        ("input", "https://example.org/a.jpg"),
        ("status", "ok"),
        (
            "predictions",
            [
                {
                    "rank": 1,
                    "class_id": 867,
                    "label": "Corvus brachyrhynchos",
                    "common_name": "American Crow",
                    "score": 0.953125,
                },
                {
                    "rank": 2,
                    "class_id": 12,
                    "label": "Corvus corax",
                    "common_name": "Common Raven",
                    "score": 0.021,
                },
                {
                    "rank": 3,
                    "class_id": 964,
                    "label": "background",
                    "common_name": None,
                    "score": 0.0101,
                },
            ],
        ),
        ("model", "aiy-birds-v1@1"),
        ("backend", "tensorflow/bfloat16"),
        (
            "image",
            {
                "sha256": "ab" * 32,
                "bytes": 153419,
                "width": 1024,
                "height": 768,
                "format": "JPEG",
            },
        ),
        ("cache", "miss"),
        ("batch_size", 32),
        (
            "timings_ms",
            {
                "queue": 0.4,
                "fetch": 81.2,
                "decode_wait": 1.1,
                "decode": 4.1,
                "batch_wait": 12.0,
                "inference": 85.1,
                "total": 183.9,
                "inference_share": 2.659,
            },
        ),
    ]


def test_failure_has_the_fields_of_the_contract_in_order() -> None:
    record = decoded(failed(index=1, name="row-17"))
    assert list(record.items()) == [
        ("schema", 1),
        ("run", "run-1"),
        ("index", 1),
        ("id", "row-17"),
        ("input", "https://example.org/b.jpg"),
        ("status", "error"),
        (
            "error",
            {
                "code": "fetch.http_status",
                "stage": "fetch",
                "message": "HTTP 404 Not Found",
                "retryable": False,
                "attempts": 1,
                "details": {"status": 404},
            },
        ),
        ("timings_ms", {"queue": 0.3, "fetch": 34.0, "total": 34.3}),
    ]


def test_hint_is_there_only_if_there_is_one() -> None:
    assert decoded(failed(hint="Look at the URL."))["error"]["hint"] == "Look at the URL."
    assert "hint" not in decoded(failed())["error"]


def test_answer_from_the_cache_was_in_no_batch() -> None:
    record = decoded(cached())
    assert record["cache"] == "hit"
    assert record["batch_size"] is None
    assert list(record["timings_ms"]) == ["queue", "fetch", "total"]


def test_scores_have_six_digits() -> None:
    guess = Prediction(class_id=0, label="x", common_name=None, score=0.123456789)
    assert decoded(classified(predictions=(guess,)))["predictions"][0]["score"] == 0.123457


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_score_that_is_no_number_is_never_written(score: float) -> None:
    guess = Prediction(class_id=0, label="x", common_name=None, score=score)
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_record(record_of(classified(predictions=(guess,)), "run-1"))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_detail_that_is_no_number_becomes_a_word(value: float) -> None:
    details = decoded(failed(details=(("retry_after_s", value),)))["error"]["details"]
    assert details == {"retry_after_s": str(value)}


@given(
    st.dictionaries(st.sampled_from(list(Stage)), st.floats(0, 1e7), min_size=1),
    st.integers(1, 1024),
)
def test_stages_without_the_share_sum_to_the_total(
    stages_ms: dict[Stage, float], batch_size: int
) -> None:
    record = decoded(classified(batch_size=batch_size, stages_ms=stages_ms))
    spent_ms = record["timings_ms"]
    spent_ms.pop("inference_share", None)
    total_ms = spent_ms.pop("total")
    assert sum(spent_ms.values()) == pytest.approx(total_ms, abs=1.0)


def test_no_time_at_all_is_zero_and_not_minus_zero() -> None:
    line = encode_record(record_of(failed(stages_ms={Stage.QUEUE: -1e-9}), "run-1"))
    assert b"-0.0" not in line


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://user:secret@example.org/a.jpg", "https://***@example.org/a.jpg"),
        ("HTTPS://token@example.org/a@b.jpg", "HTTPS://***@example.org/a@b.jpg"),
        ("https://user:a@b:c@example.org?x=1", "https://***@example.org?x=1"),
        ("https://user:se cret@example.org/", "https://***@example.org/"),
        ("https://user:sec/ret@example.org/", "https://***@example.org/"),
        ("https://user:sec?ret#x@example.org/", "https://***@example.org/"),
        ("https://example.org/@user/a.jpg", "https://example.org/@user/a.jpg"),
        ("https://example.org:8080/@user/a.jpg", "https://example.org:8080/@user/a.jpg"),
        ("https://[::1]:8080/a@b.jpg", "https://[::1]:8080/a@b.jpg"),
        ("https://example.org?mail=a@b.org", "https://example.org?mail=a@b.org"),
        ("photos/me@home.jpg", "photos/me@home.jpg"),
        ("http://user:hunter2\uff20127.0.0.1/x", "http://***@127.0.0.1/x"),
        ("http://user:hunter2\ufe6bhost/x", "http://***@host/x"),
        ("http://user:hunter2%40host/x", "http://***@host/x"),
        ("http:/user:hunter2@host/x", "http:/***@host/x"),
        ("http:user:hunter2@host/x", "http:***@host/x"),
        ("HTTPS:///user:hunter2@host/x", "HTTPS:///***@host/x"),
        ("http:\\\\user:hunter2@host/x", "http:***@host/x"),
        ("http:/user:hun/ter2@host/x", "http:/***@host/x"),
        ("s3:/user:hunter2@host/x", "s3:/***@host/x"),
        ("https://example.org/%40user", "https://example.org/%40user"),
        ("https://example.org:80/a:b@c", "https://example.org:80/a:b@c"),
        ("file:///home/me@work/x.jpg", "file:///home/me@work/x.jpg"),
        ("C:/me@home.jpg", "C:/me@home.jpg"),
        ("9:30 me@home.jpg", "9:30 me@home.jpg"),
    ],
)
def test_only_user_info_is_masked(given: str, shown: str) -> None:
    assert masked_source(given) == shown
    assert decoded(failed(given))["input"] == shown


@pytest.mark.parametrize("piece", ["http:", "://a:b", "@://a:b", "a:/", "%40http:/", "\\"])
def test_masking_takes_no_longer_than_reading(piece: str) -> None:
    source = "@/" + piece * (1_000_000 // len(piece)) + "/@"
    started_s = time.process_time()
    masked_source(source)
    assert time.process_time() - started_s < 2.0


def test_input_is_what_the_user_gave() -> None:
    source = "ordner/Möwe\n\t\"'\\\x1b[31m 鳥 🐦.jpg"
    record = decoded(classified(source))
    assert record["input"] == source
    assert "input_b64" not in record


def test_input_that_is_no_utf8_comes_escaped_and_as_bytes() -> None:
    raw = "Möwe-".encode() + b"\xff\xfe.jpg"
    record = decoded(classified(raw.decode("utf-8", "surrogateescape")))
    assert record["input"] == r"Möwe-\xff\xfe.jpg"
    assert base64.b64decode(record["input_b64"]) == raw


def test_bytes_of_a_url_do_not_tell_the_password() -> None:
    record = decoded(failed("https://user:secret@example.org/\udcff.jpg"))
    assert base64.b64decode(record["input_b64"]) == b"https://***@example.org/\xff.jpg"


def test_lone_surrogate_is_escaped_and_has_no_bytes() -> None:
    record = decoded(failed("a\ud800b.jpg"))
    assert record["input"] == r"a\ud800b.jpg"
    assert "input_b64" not in record


@given(st.text(alphabet=st.characters(), max_size=40), st.text(alphabet=st.characters()))
def test_every_text_becomes_one_line_of_utf8(source: str, message: str) -> None:
    outcome = failed(source, message=message, name=message, details=(("said", source),))
    line = encode_record(record_of(outcome, "run-1"))
    text = line.decode("utf-8")
    assert text.splitlines(keepends=True) == [text]
    assert text.endswith("}\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    json.loads(text)


def test_text_of_other_makers_is_utf8_too() -> None:
    assert encode_record({"note": "\udcff"}) == b'{"note":"\\udcff"}\n'


def test_message_shows_no_secrets_and_no_controls() -> None:
    outcome = failed(
        message="moved to https://user:pw@cdn.example.org/a?size=2&X-Amz-Signature=5ec\x1b[2J\n",
        hint="see https://me:pw@example.org/help",
        details=(("location", "https://x:pw@example.org/?token=5ec&w=1"), ("note", "a\x07")),
    )
    error = decoded(outcome)["error"]
    assert error["message"] == (
        r"moved to https://***@cdn.example.org/a?size=2&X-Amz-Signature=***"
    )
    assert error["hint"] == "see https://***@example.org/help"
    assert error["details"] == {
        "location": "https://***@example.org/?token=***&w=1",
        "note": r"a\x07",
    }


@pytest.mark.parametrize("name", ["token", "access_token", "sig", "api_key", "key", "Password"])
def test_value_of_a_parameter_named_like_a_secret_is_masked(name: str) -> None:
    assert visible_message(f"GET /a?{name}=5ecret failed") == f"GET /a?{name}=*** failed"


@pytest.mark.parametrize("name", ["size", "monkey", "design"])
def test_value_of_an_ordinary_parameter_is_shown(name: str) -> None:
    assert visible_message(f"GET /a?{name}=5ecret failed") == f"GET /a?{name}=5ecret failed"


def test_source_for_people_is_masked_and_visible() -> None:
    assert visible_source("https://u:p@example.org/\x1b") == r"https://***@example.org/\x1b"


@pytest.mark.parametrize(
    "outcome",
    [
        classified(),
        classified(index=9, name="row-9", cache=CacheState.OFF, batch_size=1),
        classified("\udcff.jpg"),
        cached(),
        failed(),
        failed(stages_ms={}, details=(), hint="Try again."),
        failed(details=(("a", None), ("b", True), ("c", "x"), ("d", math.inf))),
    ],
)
def test_records_of_every_kind_meet_the_schema(
    validator: jsonschema.Draft202012Validator, outcome: Outcome
) -> None:
    validator.validate(decoded(outcome))


@pytest.mark.parametrize("code", list(ErrorCode))
def test_record_with_every_code_meets_the_schema(
    validator: jsonschema.Draft202012Validator, code: ErrorCode
) -> None:
    validator.validate(decoded(failed(code=code)))


def test_codes_of_the_schema_are_those_of_the_program() -> None:
    schema: Any = load_record_schema()
    error = schema["$defs"]["error"]["properties"]
    assert error["code"]["enum"] == [code.value for code in ErrorCode]
    assert set(error["stage"]["enum"]) == {code.split(".")[0] for code in ErrorCode}


def test_field_that_is_new_meets_the_schema(validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(decoded(classified()) | {"decision": "species"})


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"index": -1},
        {"status": "maybe"},
        {"status": "error"},
        {"error": decoded(failed())["error"]},
        {"batch_size": None},
        {"cache": "hit"},
        {"model": "aiy-birds-v1"},
        {"predictions": []},
        {"image": {"sha256": "AB" * 32, "bytes": 1, "width": 1, "height": 1, "format": "PNG"}},
        {"timings_ms": {"fetch": 1.0}},
        {"timings_ms": {"total": -1.0}},
        {"input_b64": "not base64!"},
    ],
)
def test_answer_that_breaks_the_contract_breaks_the_schema(
    validator: jsonschema.Draft202012Validator, change: dict[str, Any]
) -> None:
    assert not validator.is_valid(decoded(classified()) | change)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "ok"},
        {"predictions": decoded(classified())["predictions"]},
        {"error": decoded(failed())["error"] | {"code": "fetch.unheard_of"}},
        {"error": decoded(failed())["error"] | {"details": {"nested": {}}}},
    ],
)
def test_failure_that_breaks_the_contract_breaks_the_schema(
    validator: jsonschema.Draft202012Validator, change: dict[str, Any]
) -> None:
    assert not validator.is_valid(decoded(failed()) | change)


@pytest.mark.parametrize(
    "missing", ["schema", "run", "index", "input", "status", "predictions", "image", "timings_ms"]
)
def test_answer_without_a_required_field_breaks_the_schema(
    validator: jsonschema.Draft202012Validator, missing: str
) -> None:
    record = decoded(classified())
    del record[missing]
    assert not validator.is_valid(record)
