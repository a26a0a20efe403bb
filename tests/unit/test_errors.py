"""Codes belong to their classes."""

from __future__ import annotations

import pytest

from birdcli import errors
from birdcli.errors import BirdError, ErrorCode, FetchError, ItemError, ModelError

LEAVES: list[type[BirdError]] = [
    errors.UsageError,
    errors.ModelError,
    errors.OutputError,
    errors.SourceError,
    errors.FetchError,
    errors.DecodeError,
    errors.InferenceError,
]


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_belongs_to_exactly_one_class(code: ErrorCode) -> None:
    homes = [leaf for leaf in LEAVES if code.startswith(f"{leaf.family}.")]
    assert len(homes) == 1
    assert homes[0](code, "message").code is code


def test_a_code_of_another_class_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no code of ModelError"):
        ModelError(ErrorCode.FETCH_DNS, "x")


@pytest.mark.parametrize(
    ("leaf", "exit_code"), list(zip(LEAVES, [2, 3, 5, 4, 4, 4, 4], strict=True))
)
def test_classes_have_their_exit_codes(leaf: type[BirdError], exit_code: int) -> None:
    assert leaf.exit_code == exit_code


def test_details_are_kept_in_order_and_hints_apart() -> None:
    error = FetchError(
        ErrorCode.FETCH_HTTP_STATUS, "m", hint="h", retryable=True, attempts=3, status=503, host="x"
    )
    assert isinstance(error, ItemError)
    assert (error.message, error.hint, error.retryable, error.attempts) == ("m", "h", True, 3)
    assert error.details == (("status", 503), ("host", "x"))
