"""Outcomes as the JSON records of design.md, one object per input.

Text from outside (names of files, URLs, messages of servers) is made safe here, once, for every
kind of output: no user info of URLs, no half characters, nothing a terminal would obey.
"""

from __future__ import annotations

import base64
import json
import math
import re
from importlib import resources
from typing import TYPE_CHECKING, Final, TypeAlias

from birdcli.items import Classified, Stage
from birdcli.masking import masked_source, visible_message
from birdcli.outside_text import recordable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from birdcli.errors import Detail
    from birdcli.items import ErrorInfo, ImageInfo, Outcome, Prediction

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

RECORD_SCHEMA_VERSION: Final = 1

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

# JSON escapes C0 itself; DEL and C1 would be obeyed by terminals, and U+0085, U+2028 and U+2029
# would end a line for some readers of JSON lines.
_UNESCAPED_CONTROLS: Final = re.compile("[\x7f-\x9f\u2028\u2029]")


def record_of(
    outcome: Outcome, run: str, *, digest: Callable[[str], str] | None = None
) -> dict[str, JsonValue]:
    """Returns the record of one input.

    Args:
        outcome: The answer or the failure.
        run: Identifies the run.
        digest: Makes what stands for an input that the record cannot hold whole, so that a later
            run can tell that it is done; None leaves it out.

    Returns:
        JSON values in the order of the contract. `batch_size` is null for an answer from the
        cache, which also has no inference timings.
    """
    ref = outcome.ref
    record: dict[str, JsonValue] = {
        "schema": RECORD_SCHEMA_VERSION,
        "run": run,
        "index": ref.index,
    }
    if ref.id is not None:
        record["id"] = recordable(ref.id)
    source = masked_source(ref.source)
    record["input"] = recordable(source)
    if (raw := recorded_bytes(source)) is not None:
        record["input_b64"] = base64.b64encode(raw).decode("ascii")
    if digest is not None and not input_is_recorded(ref.source):
        record["input_hmac"] = digest(ref.source)
    if isinstance(outcome, Classified):
        record["status"] = "ok"
        record["predictions"] = [
            prediction_fields(rank, prediction)
            for rank, prediction in enumerate(outcome.predictions, start=1)
        ]
        record["model"] = outcome.model
        record["backend"] = outcome.backend
        record["image"] = _image(outcome.image)
        record["cache"] = outcome.cache.value
        record["batch_size"] = outcome.batch_size
    else:
        record["status"] = "error"
        record["error"] = error_fields(outcome.error)
    record["timings_ms"] = _timings_ms(outcome)
    return record


def encode_record(record: Mapping[str, JsonValue]) -> bytes:
    """Returns a record as one line of UTF-8, the newline at its end being the only one.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot say.
    """
    text = _UNESCAPED_CONTROLS.sub(
        lambda match: f"\\u{ord(match[0]):04x}", _ENCODER.encode(dict(record))
    )
    return text.encode("utf-8", "backslashreplace") + b"\n"


def load_record_schema() -> dict[str, JsonValue]:
    """Returns the JSON Schema (2020-12) of a record, as shipped with the package."""
    text = resources.files("birdcli").joinpath("record.schema.json").read_text("utf-8")
    schema: dict[str, JsonValue] = json.loads(text)
    return schema


def prediction_fields(rank: int, prediction: Prediction) -> JsonValue:
    """Returns a guess as it stands in a record."""
    name = prediction.common_name
    return {
        "rank": rank,
        "class_id": prediction.class_id,
        "label": recordable(prediction.label),
        "common_name": None if name is None else recordable(name),
        "score": round(prediction.score, 6),
    }


def _image(image: ImageInfo) -> JsonValue:
    fields: dict[str, JsonValue] = {
        "sha256": image.sha256,
        "bytes": image.bytes,
        "width": image.width,
        "height": image.height,
        "format": image.format,
    }
    if image.truncated:
        fields["truncated"] = True
    return fields


def error_fields(error: ErrorInfo) -> JsonValue:
    """Returns a failure as it stands in a record."""
    fields: dict[str, JsonValue] = {
        "code": error.code.value,
        "stage": error.stage,
        "message": visible_message(error.message),
        "retryable": error.retryable,
        "attempts": error.attempts,
        "details": {name: _detail(value) for name, value in error.details},
    }
    if error.hint:
        fields["hint"] = visible_message(error.hint)
    return fields


def _detail(value: Detail) -> JsonValue:
    if isinstance(value, str):
        return visible_message(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # a server may have said so, and JSON has no word for it
    return value


def _timings_ms(outcome: Outcome) -> JsonValue:
    stages = outcome.timings.stages_ms()
    timings: dict[str, JsonValue] = {stage.value: _rounded(ms) for stage, ms in stages.items()}
    timings["total"] = _rounded(outcome.timings.total_ms)
    if isinstance(outcome, Classified) and outcome.batch_size and Stage.INFERENCE in stages:
        timings["inference_share"] = _rounded(stages[Stage.INFERENCE] / outcome.batch_size)
    return timings


def _rounded(ms: float) -> float:
    return round(ms, 3) + 0.0  # -0.0 becomes 0.0


def input_is_recorded(source: str) -> bool:
    """Tells whether a record holds all of an input: nothing is masked, nothing lost to escapes."""
    if masked_source(source) != source:
        return False
    return recordable(source) == source or recorded_bytes(source) is not None


def recorded_bytes(text: str) -> bytes | None:
    """Returns the bytes of a name that is no UTF-8; None if it is, or if it never was bytes."""
    if recordable(text) == text:
        return None
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate from a JSON list: no bytes stand behind it
        return None
