"""Settings refuse impossible values when they are built."""

from __future__ import annotations

from typing import Any

import pytest

from birdcli.errors import ErrorCode, UsageError
from birdcli.settings import (
    BatchSettings,
    DecodeSettings,
    FailureAllowance,
    FetchSettings,
    ListSettings,
    PipelineSettings,
)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (ListSettings, "shard", (3, 3)),
        (ListSettings, "shard", (-1, 3)),
        (FetchSettings, "concurrency", 0),
        (FetchSettings, "per_host", 0),
        (FetchSettings, "timeout_s", 0.0),
        (FetchSettings, "deadline_s", -1.0),
        (FetchSettings, "retries", -1),
        (FetchSettings, "max_bytes", 0),
        (DecodeSettings, "height", 0),
        (DecodeSettings, "max_pixels", 0),
        (BatchSettings, "max_size", 0),
        (BatchSettings, "max_size", 1025),
        (BatchSettings, "max_age_s", -0.1),
        (PipelineSettings, "fetchers", 0),
        (PipelineSettings, "window", 0),
        (PipelineSettings, "decoding", 0),
        (PipelineSettings, "decoding", 1025),
        (PipelineSettings, "decoded_ahead", 0),
        (PipelineSettings, "top_k", 0),
    ],
)
def test_an_impossible_value_is_refused(kind: Any, field: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        kind(**{field: value})
    assert caught.value.code is ErrorCode.USAGE_BAD_FLAG


@pytest.mark.parametrize(
    ("allowance", "failed", "total", "allowed"),
    [
        (FailureAllowance(), 0, 10, True),
        (FailureAllowance(), 1, 10, False),
        (FailureAllowance(count=2), 2, 10, True),
        (FailureAllowance(count=2), 3, 10, False),
        (FailureAllowance(count=None, percent=5.0), 1, 20, True),
        (FailureAllowance(count=None, percent=5.0), 2, 20, False),
        (FailureAllowance(count=None, percent=100.0), 20, 20, True),
    ],
)
def test_failures_are_allowed_up_to_the_bound(
    allowance: FailureAllowance, failed: int, total: int, allowed: bool
) -> None:
    assert allowance.allows(failed=failed, total=total) is allowed
