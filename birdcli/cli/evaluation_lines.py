"""An evaluation on labelled photos as text for people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from birdcli.cli.columns import aligned
from birdcli.evaluation import TOP_K, changed_sides
from birdcli.items import ErrorInfo
from birdcli.masking import visible_message, visible_source
from birdcli.outside_text import visible_text
from birdcli.significance import mcnemar_p, wilson_interval
from birdcli.table import cut, guess_name
from birdcli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from birdcli.evaluation import Answer, EvaluationRun, Graded
    from birdcli.labelled_photos import PhotoList

_SHOWN_PHOTOS: Final = 10
_SHOWN_SPECIES: Final = 5
_INDENT: Final = "  "


def evaluation_lines(run: EvaluationRun, *, width: int) -> list[str]:
    """Returns what an evaluation found: counts, what changed, whether it means anything.

    Args:
        run: The answers of both models, or of the candidate alone.
        width: Cells of a line at the most.
    """
    candidate, production = run.candidate, run.production
    lines = [cut(_heading(run), width), *_count_lines(run, width)]
    if production is not None:
        lines += _change_lines(run.photos, production, candidate, width)
    for graded in _distinct(candidate, production):
        lines += _unknown_lines(graded, width)
    sources = [photo.source for photo in run.photos.photos]
    answers = [graded.answers for graded in (candidate, production) if graded is not None]
    return lines + failure_lines(sources, answers, width=width, more="; that counts as wrong")


def failure_lines(
    sources: Sequence[str], answers: Sequence[Sequence[Answer]], *, width: int, more: str = ""
) -> list[str]:
    """Returns which photos have no answer and why, none if all have.

    Args:
        sources: The N photos.
        answers: N answers of each model; where several failed, the first one tells.
        width: Cells of a line at the most.
        more: What follows from it, to end the sentence.
    """
    failures = [
        (source, next(answer for answer in each if isinstance(answer, ErrorInfo)))
        for source, *each in zip(sources, *answers, strict=True)
        if any(isinstance(answer, ErrorInfo) for answer in each)
    ]
    rows = [
        (visible_source(source), error.code.value, visible_message(error.message))
        for source, error in failures[:_SHOWN_PHOTOS]
    ]
    return _listed(f"{count_of(len(failures))} gave no answer{more}:", rows, len(failures), width)


def answer_name(answer: Answer) -> str:
    """Returns the first guess as people call it, or the code of the failure."""
    return f"✗ {answer.code}" if isinstance(answer, ErrorInfo) else guess_name(answer[0])


def answer_score(answer: Answer) -> str:
    """Returns the score of the first guess, empty for a failure."""
    return "" if isinstance(answer, ErrorInfo) else f"{answer[0].score:.1%}"


def count_of(photos: int) -> str:
    """Returns `1 photo`, `2 photos`."""
    return counted(photos, "photo")


def _heading(run: EvaluationRun) -> str:
    on = f"on {count_of(len(run.photos.photos))}"
    if run.production is None:
        return f"{run.candidate.evaluation.model} {on}; there is no model to compare it with"
    return f"{run.candidate.evaluation.model} against {run.production.evaluation.model} {on}"


def _distinct(candidate: Graded, production: Graded | None) -> list[Graded]:
    if production is None or production.evaluation.model == candidate.evaluation.model:
        return [candidate]
    return [candidate, production]


def _count_lines(run: EvaluationRun, width: int) -> list[str]:
    rows = [("Model", "", "Right", "Share", "95% interval")]
    for name in ("top-1", f"top-{TOP_K}"):
        for graded in (run.candidate, run.production):
            if graded is None:
                continue
            found = graded.evaluation
            right = found.top1 if name == "top-1" else found.top3
            low, high = wilson_interval(right, found.photos)
            rows.append(
                (
                    found.model,
                    name,
                    f"{right:,} of {found.photos:,}",
                    f"{right / found.photos:.1%}",
                    f"{low * 100:.1f}-{high * 100:.1f}%",
                )
            )
    return aligned(rows, width=width, right=(2, 3, 4))


def _change_lines(photos: PhotoList, before: Graded, after: Graded, width: int) -> list[str]:
    old, new = before.evaluation.model, after.evaluation.model
    lost, won = changed_sides(before, after, best=1)
    lost_3, won_3 = changed_sides(before, after, best=TOP_K)
    lines = [
        "",
        *textwrap.wrap(
            f"top-1: {len(lost):,} lost, {len(won):,} won, "
            f"{_p(mcnemar_p(len(lost), len(won)))}; top-{TOP_K}: {len(lost_3):,} lost, "
            f"{len(won_3):,} won, {_p(mcnemar_p(len(lost_3), len(won_3)))}. p is how often "
            "chance alone makes a difference this large (McNemar's exact test).",
            width,
        ),
    ]
    lines += _listed(
        f"{count_of(len(lost))} right with {old}, wrong with {new} (top-1):",
        _wrong_rows(photos, lost, after),
        len(lost),
        width,
    )
    lines += _listed(
        f"{count_of(len(won))} wrong with {old}, right with {new} (top-1):",
        _wrong_rows(photos, won, before),
        len(won),
        width,
    )
    return lines


def _wrong_rows(
    photos: PhotoList, indexes: Iterable[int], wrong: Graded
) -> list[tuple[str, str, str, str]]:
    rows = []
    for index in list(indexes)[:_SHOWN_PHOTOS]:
        photo, answer = photos.photos[index], wrong.answers[index]
        rows.append(
            (
                visible_source(photo.source),
                visible_text(photo.species),
                f"said {answer_name(answer)}" if isinstance(answer, tuple) else answer_name(answer),
                answer_score(answer),
            )
        )
    return rows


def _unknown_lines(graded: Graded, width: int) -> list[str]:
    found = graded.evaluation
    if not graded.unknown:
        return []
    names = ", ".join(visible_text(name) for name in graded.unknown[:_SHOWN_SPECIES])
    more = ", …" if len(graded.unknown) > _SHOWN_SPECIES else ""
    text = (
        f"{found.model} has no class for {len(graded.unknown):,} of the species, which count as "
        f"wrong ({count_of(found.unknown)}): {names}{more}"
    )
    return ["", *(cut(line, width) for line in textwrap.wrap(text, width))]


def _listed(heading: str, rows: Sequence[Sequence[str]], total: int, width: int) -> list[str]:
    if not rows:
        return []
    lines = ["", cut(heading, width)]
    last = len(rows[0]) - 1
    scores = (last,) if last == 3 else ()
    lines += [_INDENT + line for line in aligned(rows, width=width - len(_INDENT), right=scores)]
    if total > len(rows):
        lines.append(f"{_INDENT}and {total - len(rows):,} more")
    return lines


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"
