"""Cached values as JSON text, checked when they are read."""

from __future__ import annotations

import json
import math
from typing import Final

from birdcli.items import CachedAnswer, ImageInfo, Prediction, Validators

_VERSION: Final = 1


def encode_answer(answer: CachedAnswer) -> bytes:
    """Returns an answer as JSON."""
    image = answer.image
    return _encode(
        {
            "version": _VERSION,
            "backend": answer.backend,
            "image": {
                "sha256": image.sha256,
                "bytes": image.bytes,
                "width": image.width,
                "height": image.height,
                "format": image.format,
            },
            "predictions": [
                {
                    "class_id": guess.class_id,
                    "label": guess.label,
                    "common_name": guess.common_name,
                    "score": guess.score,
                }
                for guess in answer.predictions
            ],
        }
    )


def decode_answer(data: bytes, sha256: str) -> CachedAnswer | None:
    """Returns an answer, or None if the text is none, or one for other bytes than `sha256`."""
    try:
        fields = _decode(data)
        image = _fields(fields["image"])
        answer = CachedAnswer(
            backend=_text(fields["backend"]),
            image=ImageInfo(
                sha256=_text(image["sha256"]),
                bytes=_int(image["bytes"]),
                width=_int(image["width"]),
                height=_int(image["height"]),
                format=_text(image["format"]),
            ),
            predictions=_predictions(fields["predictions"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return answer if answer.image.sha256 == sha256 else None


def encode_validators(validators: Validators) -> bytes:
    """Returns validators as JSON."""
    return _encode(
        {
            "version": _VERSION,
            "sha256": validators.sha256,
            "etag": validators.etag,
            "last_modified": validators.last_modified,
        }
    )


def decode_validators(data: bytes) -> Validators | None:
    """Returns validators, or None if the text holds none."""
    try:
        fields = _decode(data)
        return Validators(
            sha256=_text(fields["sha256"]),
            etag=_optional_text(fields["etag"]),
            last_modified=_optional_text(fields["last_modified"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _encode(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _decode(data: bytes) -> dict[str, object]:
    fields = _fields(json.loads(data))
    if _int(fields["version"]) != _VERSION:
        raise ValueError("another version")
    return fields


def _predictions(value: object) -> tuple[Prediction, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError("no predictions")
    return tuple(_prediction(_fields(guess)) for guess in value)


def _prediction(fields: dict[str, object]) -> Prediction:
    score = fields["score"]
    if type(score) is not float or not math.isfinite(score):
        raise TypeError("no score")
    return Prediction(
        class_id=_int(fields["class_id"]),
        label=_text(fields["label"]),
        common_name=_optional_text(fields["common_name"]),
        score=score,
    )


def _fields(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value


def _int(value: object) -> int:
    if type(value) is not int:  # True is no number here
        raise TypeError("no integer")
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError("no text")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)
