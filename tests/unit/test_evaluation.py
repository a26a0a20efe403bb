"""The decision whether a candidate may follow, exact to the photo."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.errors import ErrorCode, UsageError
from birdcli.evaluation import (
    Accept,
    Evaluation,
    Graded,
    Refuse,
    allowed_losses,
    changed_sides,
    grade,
    plan_evaluation,
)
from birdcli.items import ErrorInfo, Prediction
from birdcli.labelled_photos import LabelledPhoto, PhotoList
from tests.fakes import LABELS

if TYPE_CHECKING:
    from birdcli.evaluation import Answer

BROKEN = ErrorInfo(code=ErrorCode.DECODE_CORRUPT, message="the JPEG file is damaged")


def evaluation(
    top1: int, top3: int, *, photos: int = 50, model: str = "b@2", sha256: str = "0" * 64
) -> Evaluation:
    return Evaluation(
        model=model, sha256=sha256, photos=photos, top1=top1, top3=top3, failed=0, unknown=0
    )


def production(top1: int, top3: int, *, photos: int = 50) -> Evaluation:
    return evaluation(top1, top3, photos=photos, model="a@1")


def guesses(*class_ids: int) -> tuple[Prediction, ...]:
    return tuple(
        Prediction(
            class_id=i, label=LABELS.labels[i], common_name=LABELS.common_names[i], score=0.5
        )
        for i in class_ids
    )


def photo_list(*species: str) -> PhotoList:
    photos = tuple(
        LabelledPhoto(source=f"{i}.jpg", path=f"/p/{i}.jpg", species=name)
        for i, name in enumerate(species)
    )
    return PhotoList(photos=photos, sha256="5" * 64)


def graded(*places: int | None) -> Graded:
    wrong = (1, 2, 3)
    answers = [guesses(*wrong[: place - 1], 0) if place else guesses(*wrong) for place in places]
    return grade("m@1", LABELS, photo_list(*(["Pica pica"] * len(places))), answers)


@pytest.mark.parametrize(
    ("candidate", "accepted"),
    [
        ((44, 47), True),
        ((45, 50), True),
        ((43, 46), True),
        ((42, 47), False),
        ((44, 45), False),
        ((50, 45), False),
        ((42, 45), False),
    ],
)
def test_two_hundredths_of_fifty_photos_are_one_photo(
    candidate: tuple[int, int], *, accepted: bool
) -> None:
    plan = plan_evaluation(evaluation(*candidate), production(44, 47), 0.02)
    assert isinstance(plan, Accept) is accepted


@pytest.mark.parametrize(("top1", "accepted"), [(44, True), (43, False)])
def test_without_tolerance_not_one_photo_may_be_lost(top1: int, *, accepted: bool) -> None:
    plan = plan_evaluation(evaluation(top1, 47), production(44, 47), 0.0)
    assert isinstance(plan, Accept) is accepted


@pytest.mark.parametrize(
    ("tolerance", "photos", "allowed"),
    [
        (0.29, 100, 29),  # as floats 28.999…
        (0.57, 100, 57),  # as floats 56.99…
        (0.02, 50, 1),
        (0.02, 49, 0),
        (0.0, 50, 0),
        (1.0, 50, 50),
        (1e-05, 100_000, 1),
    ],
)
def test_the_tolerance_counts_as_it_was_written(
    tolerance: float, photos: int, allowed: int
) -> None:
    assert allowed_losses(tolerance, photos) == allowed


@given(st.integers(0, 1000), st.integers(1, 10_000))
def test_a_tolerance_in_thousandths_never_rounds_wrong(thousandths: int, photos: int) -> None:
    expected = Fraction(thousandths * photos, 1000)
    assert allowed_losses(thousandths / 1000, photos) == math.floor(expected)


@pytest.mark.parametrize("tolerance", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_tolerance_that_is_no_share_is_refused(tolerance: float) -> None:
    with pytest.raises(UsageError) as caught:
        plan_evaluation(evaluation(1, 1), None, tolerance)
    assert caught.value.code is ErrorCode.USAGE_BAD_FLAG


def test_the_refusal_tells_both_counts_both_shares_and_the_tolerance() -> None:
    plan = plan_evaluation(evaluation(41, 44), production(44, 47), 0.02)
    assert isinstance(plan, Refuse)
    assert plan.reason == (
        "b@2 is below a@1: top-1 41 of 50 (82.0%) against 44 of 50 (88.0%); top-3 44 of 50 "
        "(88.0%) against 47 of 50 (94.0%); a tolerance of 0.02 allows 1 photo fewer"
    )
    error = plan.as_error()
    assert (error.code, error.exit_code) == (ErrorCode.MODEL_EVAL_BELOW, 3)
    assert error.message == plan.reason


def test_the_refusal_names_only_what_is_below() -> None:
    plan = plan_evaluation(evaluation(44, 40), production(44, 47), 0.0)
    assert isinstance(plan, Refuse)
    assert "top-1" not in plan.reason
    assert "allows 0 photos fewer" in plan.reason


def test_without_production_the_candidate_is_accepted_and_told_so() -> None:
    plan = plan_evaluation(evaluation(1, 1), None, 0.0)
    assert isinstance(plan, Accept)
    assert "no model to compare b@2 with" in plan.reason


@pytest.mark.parametrize("before", [None, production(0, 0)])
def test_a_candidate_that_is_never_right_is_refused(before: Evaluation | None) -> None:
    plan = plan_evaluation(evaluation(0, 0), before, 1.0)
    assert isinstance(plan, Refuse)
    assert "names none of 50 photos right" in plan.reason


@pytest.mark.parametrize(
    "other", [production(1, 1, photos=49), evaluation(1, 1, sha256="1" * 64, model="a@1")]
)
def test_evaluations_of_different_lists_are_not_compared(other: Evaluation) -> None:
    with pytest.raises(ValueError, match="different lists"):
        plan_evaluation(evaluation(1, 1), other, 0.0)


def test_grading_counts_right_failed_and_unknown() -> None:
    photos = photo_list("pica pica", "Common Raven", "Ara ararauna", "Pica pica", "Pica pica")
    answers: list[Answer] = [
        guesses(0, 1, 2),
        guesses(0, 2, 1),
        guesses(0, 1, 2),
        BROKEN,
        guesses(1, 2, 3),
    ]
    result = grade("m@1", LABELS, photos, answers)
    assert result.places == (1, 3, None, None, None)
    assert result.unknown == ("Ara ararauna",)
    assert result.evaluation == Evaluation(
        model="m@1", sha256="5" * 64, photos=5, top1=1, top3=2, failed=1, unknown=1
    )


def test_an_answer_per_photo_is_demanded() -> None:
    with pytest.raises(ValueError, match="zip"):
        grade("m@1", LABELS, photo_list("a", "b"), [guesses(0)])


@pytest.mark.parametrize(("best", "expected"), [(1, ([0, 1], [2])), (3, ([1], [4]))])
def test_photos_change_sides_by_the_guesses_that_count(
    best: int, expected: tuple[list[int], list[int]]
) -> None:
    before = graded(1, 1, 2, 1, None)
    after = graded(2, None, 1, 1, 3)
    assert changed_sides(before, after, best=best) == expected


def test_an_evaluation_survives_the_history() -> None:
    kept = evaluation(41, 47)
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Evaluation) == kept
