"""Scores to the best guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from birdcli.errors import ErrorCode, InferenceError
from birdcli.items import Prediction

if TYPE_CHECKING:
    from birdcli.items import ScoreVector
    from birdcli.labels import LabelSet

_ROUNDING: Final = 1e-3
"""How far outside 0 to 1 rounding may put a probability."""


def top_k(scores: ScoreVector, labels: LabelSet, k: int) -> tuple[Prediction, ...]:
    """Returns the k best guesses of one image, best first.

    Args:
        scores: Probabilities, shape [C], float32, each in [0, 1].
        labels: The C class names.
        k: How many to return; more than C gives C.

    Returns:
        k predictions; equal scores keep the lower class id first.

    Raises:
        InferenceError: ``inference.non_finite`` if a score is NaN or infinite;
            ``inference.failed`` if one is outside [0, 1] by more than rounding.

    Source:
        Stable descending sort: results do not depend on batch layout.
    """
    if not np.isfinite(scores).all():
        raise InferenceError(
            ErrorCode.INFERENCE_NON_FINITE, "the model gave a score that is not a number"
        )
    lowest, highest = float(scores.min()), float(scores.max())
    if lowest < -_ROUNDING or highest > 1 + _ROUNDING:
        worst = lowest if lowest < -_ROUNDING else highest
        raise InferenceError(
            ErrorCode.INFERENCE_FAILED, f"the model gave a score outside 0 to 1: {worst:.4g}"
        )
    scores = np.clip(scores, 0.0, 1.0)
    best = np.argsort(-scores, kind="stable")[:k]
    return tuple(
        Prediction(
            class_id=int(class_id),
            label=labels.labels[class_id],
            common_name=labels.common_names[class_id],
            score=float(scores[class_id]),
        )
        for class_id in best
    )
