"""Probabilities, logits, and what is neither."""

from __future__ import annotations

import numpy as np
import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import OutputKind
from birdcli.models.outputs import detect_output

LOGITS = np.random.RandomState(4).normal(0, 3, (8, 965)).astype(np.float32)
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def detect(scores: np.ndarray, *, eight_bit: bool = False) -> OutputKind:
    return detect_output(scores, model="m@1", eight_bit=eight_bit)


def test_logits_and_probabilities_are_told_apart() -> None:
    assert detect(LOGITS) is OutputKind.LOGITS
    assert detect(SHARES) is OutputKind.PROBABILITIES


def test_probabilities_of_8_bits_may_sum_to_less() -> None:
    rounded = np.rint(SHARES * 256) / 256
    assert rounded.sum(axis=1).min() < 0.9
    assert detect(rounded, eight_bit=True) is OutputKind.PROBABILITIES_8BIT
    with pytest.raises(ModelError):
        detect(rounded)


def test_a_sigmoid_for_each_class_is_refused_and_not_taken_for_logits() -> None:
    with pytest.raises(ModelError, match="sum to") as caught:
        detect(1 / (1 + np.exp(-LOGITS)))
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    assert "softmax" in caught.value.hint


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    scores = SHARES.copy()
    scores[3, 5] = bad
    with pytest.raises(ModelError, match="NaN") as caught:
        detect(scores)
    assert caught.value.code is ErrorCode.MODEL_GOLDEN_MISMATCH
