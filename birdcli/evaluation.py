"""How well models name labelled photos, and whether one is good enough to follow another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

from birdcli.errors import ErrorCode, ModelError, UsageError
from birdcli.species import place_of, unknown_species
from birdcli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from birdcli.items import ErrorInfo, Prediction
    from birdcli.labelled_photos import PhotoList
    from birdcli.labels import LabelSet

    Answer: TypeAlias = tuple[Prediction, ...] | ErrorInfo
    """The best guesses, best first, or why there are none."""

TOP_K: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How often one model was right; made for the registry's history.

    Attributes:
        model: `name@version`.
        sha256: Digest of the list of photos.
        photos: How many it was shown.
        top1: How many its first guess was right for.
        top3: How many one of its first three guesses was right for.
        failed: How many could not be read, decoded or classified; they count as wrong.
        unknown: How many show a species that the model has no class for; they count as wrong.
    """

    model: str
    sha256: str
    photos: int
    top1: int
    top3: int
    failed: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """The answers of one model to labelled photos.

    Attributes:
        evaluation: The counts.
        answers: One per photo.
        places: The rank of the right guess of each photo, 1 to 3, or None.
        unknown: The species that the model has no class for, each once.
    """

    evaluation: Evaluation
    answers: tuple[Answer, ...]
    places: tuple[int | None, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRun:
    """A candidate, and what it would replace, on the same photos.

    Attributes:
        photos: What both were shown.
        candidate: The answers of the candidate.
        production: The answers of the model before it, or None if there is none.
    """

    photos: PhotoList
    candidate: Graded
    production: Graded | None


@dataclass(frozen=True, slots=True)
class Accept:
    """The candidate may follow; `reason` says why, to be shown."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The candidate may not follow; `reason` says why, to be shown."""

    reason: str

    def as_error(self) -> ModelError:
        """Returns the refusal as ``model.eval_below``."""
        return ModelError(
            ErrorCode.MODEL_EVAL_BELOW,
            self.reason,
            hint="`birdcli registry compare` shows the answers photo by photo.",
        )


def grade(model: str, labels: LabelSet, photos: PhotoList, answers: Sequence[Answer]) -> Graded:
    """Returns the answers of a model with what is right about them.

    Args:
        model: `name@version`.
        labels: Its class names.
        photos: The N photos.
        answers: N answers, in the order of the photos.
    """
    places = tuple(
        place_of(photo.species, answer) if isinstance(answer, tuple) else None
        for photo, answer in zip(photos.photos, answers, strict=True)
    )
    unknown = unknown_species(labels, (photo.species for photo in photos.photos))
    without_class = frozenset(unknown)
    return Graded(
        evaluation=Evaluation(
            model=model,
            sha256=photos.sha256,
            photos=len(places),
            top1=places.count(1),
            top3=sum(place is not None and place <= TOP_K for place in places),
            failed=sum(not isinstance(answer, tuple) for answer in answers),
            unknown=sum(photo.species in without_class for photo in photos.photos),
        ),
        answers=tuple(answers),
        places=places,
        unknown=unknown,
    )


def changed_sides(before: Graded, after: Graded, *, best: int) -> tuple[list[int], list[int]]:
    """Returns which photos one model named right and the other did not.

    Args:
        before: One model.
        after: Another one, on the same photos.
        best: How many guesses count, 1 or 3.

    Returns:
        The places in the list, from 0, of the photos that only `before` named right, and of those
        that only `after` did.
    """
    lost, won = [], []
    for index, places in enumerate(zip(before.places, after.places, strict=True)):
        was_right, is_right = (place is not None and place <= best for place in places)
        if was_right and not is_right:
            lost.append(index)
        elif is_right and not was_right:
            won.append(index)
    return lost, won


def allowed_losses(tolerance: float, photos: int) -> int:
    """Returns how many photos fewer a candidate may name right.

    Args:
        tolerance: Share of the photos, 0 to 1.
        photos: How many there are.

    Raises:
        UsageError: ``usage.bad_flag`` if the tolerance is no share.
    """
    if not 0.0 <= tolerance <= 1.0:
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG, f"--tolerance {tolerance:g}: a share from 0 to 1 is expected"
        )
    # As it was written: 0.29 of 100 photos are 29, while the float is below that.
    return math.floor(Fraction(repr(float(tolerance))) * photos)


def plan_evaluation(
    candidate: Evaluation, production: Evaluation | None, tolerance: float
) -> Accept | Refuse:
    """Decides whether a candidate may follow the model in production.

    It may not if it names fewer photos right than production does, by its first guess or by its
    first three, by more than the tolerance. Nor may it, whatever production does, if none of its
    guesses is right: such a list (species of another naming, photos that are not there) would let
    every model pass.

    Args:
        candidate: Its evaluation.
        production: That of the model before it, or None if there is none.
        tolerance: Share of the photos, 0 to 1; 0 means not one photo fewer.

    Raises:
        UsageError: ``usage.bad_flag`` if the tolerance is no share.
        ValueError: The evaluations are of different lists.
    """
    allowed = allowed_losses(tolerance, candidate.photos)
    if candidate.top3 == 0:
        return Refuse(
            f"{candidate.model} names none of {counted(candidate.photos, 'photo')} right, not even "
            f"with its first {TOP_K} guesses: {candidate.failed:,} gave no answer, "
            f"{candidate.unknown:,} show a species that it has no class for"
        )
    if production is None:
        return Accept(f"there is no model to compare {candidate.model} with")
    if (candidate.sha256, candidate.photos) != (production.sha256, production.photos):
        raise ValueError("the evaluations are of different lists of photos")
    below = [
        f"{name} {_share(now, candidate)} against {_share(then, production)}"
        for name, now, then in (
            ("top-1", candidate.top1, production.top1),
            ("top-3", candidate.top3, production.top3),
        )
        if then - now > allowed
    ]
    if below:
        return Refuse(
            f"{candidate.model} is below {production.model}: {'; '.join(below)}; a tolerance of "
            f"{tolerance:g} allows {counted(allowed, 'photo')} fewer"
        )
    return Accept(
        f"{candidate.model} is not below {production.model} by more than "
        f"{counted(allowed, 'photo')}"
    )


def _share(right: int, evaluation: Evaluation) -> str:
    return f"{right:,} of {evaluation.photos:,} ({right / evaluation.photos:.1%})"
