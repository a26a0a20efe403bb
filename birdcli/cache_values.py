"""Cached values as JSON text, checked when they are read."""

from __future__ import annotations

from typing import Final, Literal, TypeVar

import msgspec

from birdcli.items import CachedAnswer, Validators  # noqa: TC001 - msgspec reads annotations

_VERSION: Final = 2


class _StoredAnswer(msgspec.Struct, frozen=True):
    version: Literal[2]
    answer: CachedAnswer


class StoredUrl(msgspec.Struct, frozen=True):
    """What is kept about a URL.

    Attributes:
        version: Of this form.
        run: Which run has asked it last.
        validators: Of the bytes it had then.
    """

    version: Literal[2]
    run: str
    validators: Validators


T = TypeVar("T")

_ENCODER: Final = msgspec.json.Encoder()
_ANSWERS: Final = msgspec.json.Decoder(_StoredAnswer)
_URLS: Final = msgspec.json.Decoder(StoredUrl)


def encode_answer(answer: CachedAnswer) -> bytes:
    """Returns an answer as JSON."""
    return _ENCODER.encode(_StoredAnswer(_VERSION, answer))


def decode_answer(data: bytes, sha256: str) -> CachedAnswer | None:
    """Returns an answer, or None if the text is none, or one for other bytes than `sha256`."""
    stored = _decode(_ANSWERS, data)
    if stored is None or stored.answer.image.sha256 != sha256 or not stored.answer.predictions:
        return None
    return stored.answer


def encode_url(validators: Validators, run: str) -> bytes:
    """Returns what a run knows about a URL as JSON."""
    return _ENCODER.encode(StoredUrl(_VERSION, run, validators))


def decode_url(data: bytes) -> StoredUrl | None:
    """Returns what is known about a URL, or None if the text holds nothing of the kind."""
    return _decode(_URLS, data)


def _decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T | None:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
