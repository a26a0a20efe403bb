"""What the numbers are that a model gives: told by the numbers, never by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import OutputKind

if TYPE_CHECKING:
    from birdcli.items import ScoreBatch

_SUM_TOLERANCE: Final = 0.02
STEP: Final = 1 / 256


def detect_output(scores: ScoreBatch, *, model: str, eight_bit: bool) -> OutputKind:
    """Tells probabilities from logits.

    Args:
        scores: The model's own numbers for several pictures, float32 [N, C].
        model: What to call the model in the message.
        eight_bit: Whether they come in 256 steps: then classes below half a step are lost to the
            sum.

    Raises:
        ModelError: ``model.golden_mismatch`` for numbers that are none; ``model.load_failed`` for
            scores from 0 to 1 that are no distribution, as of a sigmoid for each class: their
            softmax would be a plausible lie.
    """
    if not np.isfinite(scores).all():
        raise ModelError(
            ErrorCode.MODEL_GOLDEN_MISMATCH,
            f"{model} gives scores that are no numbers (NaN or infinite): its weights are damaged",
            part="scores",
        )
    if not ((scores >= 0.0) & (scores <= 1.0 + 1e-5)).all():
        return OutputKind.LOGITS
    rounding = scores.shape[1] * STEP / 2 if eight_bit else 0.0
    sums = scores.sum(axis=1)
    worst = float(sums[np.abs(sums - 1.0).argmax()])
    if abs(worst - 1.0) > _SUM_TOLERANCE + rounding:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"the scores of {model} lie between 0 and 1 but sum to {worst:.3g}, not to 1: they "
            "are neither probabilities of one species per picture nor logits",
            hint="It looks like a sigmoid for each class. Export it with a softmax at its end, or "
            "without the sigmoid.",
            sum=worst,
        )
    return OutputKind.PROBABILITIES_8BIT if eight_bit else OutputKind.PROBABILITIES
