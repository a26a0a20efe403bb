"""Scores to guesses."""

from __future__ import annotations

import numpy as np
import pytest

from birdcli.classifier import top_k
from birdcli.errors import ErrorCode, InferenceError
from tests.fakes import LABELS


def test_the_best_comes_first_with_both_names() -> None:
    best = top_k(np.array([0.1, 0.7, 0.15, 0.05], np.float32), LABELS, 2)
    assert [(guess.class_id, guess.label) for guess in best] == [
        (1, "Corvus corax"),
        (2, "Turdus merula"),
    ]
    assert [guess.common_name for guess in best] == ["Common Raven", None]
    assert best[0].score == pytest.approx(0.7)


def test_equal_scores_keep_the_lower_class_id_first() -> None:
    best = top_k(np.array([0.2, 0.3, 0.3, 0.2], np.float32), LABELS, 4)
    assert [guess.class_id for guess in best] == [1, 2, 0, 3]


def test_more_guesses_than_classes_are_all_classes() -> None:
    assert len(top_k(np.full(4, 0.25, np.float32), LABELS, 9)) == 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(InferenceError) as caught:
        top_k(np.array([0.1, bad, 0.1, 0.1], np.float32), LABELS, 3)
    assert caught.value.code is ErrorCode.INFERENCE_NON_FINITE


@pytest.mark.parametrize("bad", [-7.0, 41.99, -0.0011, 1.0011])
def test_a_score_that_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(InferenceError, match=r"a score outside 0 to 1") as caught:
        top_k(np.array([0.1, bad, 0.1, 0.1], np.float32), LABELS, 3)
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


def test_what_rounding_leaves_outside_is_put_inside() -> None:
    best = top_k(np.array([-0.0005, 1.0005, 0.5, -0.0], np.float32), LABELS, 4)
    assert [guess.score for guess in best] == [1.0, 0.5, 0.0, 0.0]
    assert [guess.class_id for guess in best] == [1, 2, 0, 3]
