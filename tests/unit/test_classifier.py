"""Scores to guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.classifier import top_k, top_k_of_each
from birdcli.errors import ErrorCode, InferenceError
from tests.fakes import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


def test_each_image_of_a_batch_has_its_own_guesses_or_its_own_error() -> None:
    scores = np.array(
        [[0.1, 0.7, 0.1, 0.1], [0.1, np.nan, 0.1, 0.1], [0.1, 0.1, 0.1, 9.0], [0.4, 0, 0.6, 0]],
        np.float32,
    )
    first, second, third, fourth = top_k_of_each(scores, LABELS, 1)
    assert isinstance(second, InferenceError)
    assert second.code is ErrorCode.INFERENCE_NON_FINITE
    assert isinstance(third, InferenceError)
    assert third.code is ErrorCode.INFERENCE_FAILED
    assert not isinstance(first, InferenceError)
    assert not isinstance(fourth, InferenceError)
    assert [first[0].class_id, fourth[0].class_id] == [1, 2]


@given(
    levels=hypothesis.extra.numpy.arrays(np.uint8, (5, 4), elements=st.integers(0, 3)),
    k=st.integers(1, 6),
)
def test_guesses_are_those_of_a_stable_descending_sort(levels: NDArray[np.uint8], k: int) -> None:
    scores = levels.astype(np.float32) / 4
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = [top_k(row, LABELS, k) for row in scores]
    assert [[guess.class_id for guess in guesses] for guesses in found] == expected.tolist()


def test_scores_of_the_engine_are_left_as_they_are() -> None:
    scores = np.array([[0.1, 0.7, 0.15, 0.05]], np.float32)
    before = scores.copy()
    top_k_of_each(scores, LABELS, 2)
    assert (scores == before).all()
