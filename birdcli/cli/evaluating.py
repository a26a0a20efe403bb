"""The gate of `promote --eval`: a candidate against production on labelled photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from birdcli.cli.default_model import DEFAULT_MODEL
from birdcli.cli.evaluation_lines import evaluation_lines
from birdcli.cli.installing import print_line
from birdcli.evaluation import Refuse, plan_evaluation
from birdcli.host import usable_cpus
from birdcli.models.evaluate import run_evaluation
from birdcli.registry import PRODUCTION
from birdcli.table import console_on

if TYPE_CHECKING:
    from typing import IO

    from birdcli.evaluation import Evaluation
    from birdcli.labelled_photos import PhotoList
    from birdcli.model_version import ModelVersion
    from birdcli.registry import Registry


_LOG_WIDTH = 300


def evaluate_for_promotion(
    registry: Registry,
    candidate: ModelVersion,
    photos: PhotoList,
    *,
    tolerance: float,
    people: IO[str],
) -> tuple[Evaluation, ...]:
    """Shows labelled photos to a candidate and to production, and tells how they did.

    Args:
        registry: Where both are.
        candidate: What is to be promoted.
        photos: What both are shown.
        tolerance: Share of the photos by which the candidate may be below.
        people: Where the comparison is told.

    Returns:
        What was counted, of the candidate and, where there is one, of production.

    Raises:
        ModelError: ``model.eval_below``, and what keeps either model from answering.
        UsageError: ``usage.bad_flag`` if the tolerance is no share.
    """
    before = registry.resolve(registry.alias_target(PRODUCTION) or DEFAULT_MODEL)
    # Where nothing is promoted the default answers, if it has ever been installed.
    production = before if before.installed and before.id != candidate.id else None
    run = run_evaluation(
        registry,
        candidate,
        production,
        photos,
        threads=usable_cpus(),
        say=lambda text: print_line(people, f"birdcli: {text} …"),
    )
    # A log keeps whole paths; only a terminal has to be fitted.
    width = console_on(people).width if people.isatty() else _LOG_WIDTH
    for line in evaluation_lines(run, width=width):
        print_line(people, line)
    evaluations = [run.candidate.evaluation]
    if run.production is not None:
        evaluations.append(run.production.evaluation)
    former = run.production.evaluation if run.production else None
    plan = plan_evaluation(run.candidate.evaluation, former, tolerance)
    if isinstance(plan, Refuse):
        raise plan.as_error()
    print_line(people, plan.reason)
    return tuple(evaluations)
