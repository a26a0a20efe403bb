"""Two models' answers to the same photos as text and JSON."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rich.text import Text

from birdcli.cli.columns import aligned
from birdcli.cli.evaluation_lines import (
    answer_name,
    answer_score,
    count_of,
    evaluation_lines,
    failure_lines,
)
from birdcli.evaluation import TOP_K, changed_sides
from birdcli.items import ErrorInfo
from birdcli.masking import visible_source
from birdcli.outside_text import recordable
from birdcli.record import error_fields, prediction_fields
from birdcli.significance import mcnemar_p, wilson_interval
from birdcli.species import same_class

if TYPE_CHECKING:
    from rich.console import Console

    from birdcli.evaluation import Answer, EvaluationRun, Graded
    from birdcli.record import JsonValue

SCHEMA: Final = 1
_PIPE_WIDTH: Final = 200  # a pipe has none: wide enough to cut few names
_SCORES: Final = (2, 4)


class Change(StrEnum):
    """What became of the first guess for one photo."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    """At least one of the models has no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two models say about the same photos.

    Attributes:
        models: Both `name@version`.
        sources: The N photos as the user gave them.
        answers: N answers of each model.
        evaluation: The same answers held against labels, the second model being the candidate; or
            None without labels.
    """

    models: tuple[str, str]
    sources: tuple[str, ...]
    answers: tuple[tuple[Answer, ...], tuple[Answer, ...]]
    evaluation: EvaluationRun | None

    def changes(self) -> tuple[Change, ...]:
        """Returns what became of each photo's first guess."""
        return tuple(change_of(one, other) for one, other in zip(*self.answers, strict=True))


def change_of(one: Answer, other: Answer) -> Change:
    """Returns whether first guesses differ, by label and by English name."""
    if isinstance(one, ErrorInfo) or isinstance(other, ErrorInfo):
        return Change.FAILED
    return Change.UNCHANGED if same_class(one[0], other[0]) else Change.CHANGED


def comparison_text(comparison: Comparison, console: Console, *, everything: bool) -> str:
    """Returns the answers side by side and a summary.

    Args:
        comparison: The answers.
        console: Of stdout; on a terminal no line is wider than that, elsewhere no answer is cut.
            Characters that its encoding lacks become `?`.
        everything: Whether to show unchanged answers as well.
    """
    width = console.width if console.is_terminal else _PIPE_WIDTH
    lines = _side_by_side(comparison, console, everything=everything)
    counts = Counter(comparison.changes())
    told = ", ".join(f"{counts[change]:,} {change}" for change in Change)
    lines.append(f"{count_of(len(comparison.sources))}: {told}")
    if comparison.evaluation is None:
        lines += failure_lines(comparison.sources, comparison.answers, width=width)
    else:
        lines += ["", *evaluation_lines(comparison.evaluation, width=width)]
    return "\n".join(lines).encode(console.encoding, "replace").decode(console.encoding)


def comparison_fields(comparison: Comparison) -> dict[str, JsonValue]:
    """Returns everything as JSON values: models, counts, every photo, the evaluation or null."""
    changes = comparison.changes()
    counts = Counter(changes)
    summary: dict[str, JsonValue] = {"photos": len(changes)}
    summary |= {change.value: counts[change] for change in Change}
    run = comparison.evaluation
    photos: list[JsonValue] = []
    for index, change in enumerate(changes):
        photo: dict[str, JsonValue] = {"photo": recordable(comparison.sources[index])}
        if run is not None:
            photo["species"] = run.photos.photos[index].species
        photo["change"] = change.value
        for side, answers in zip("ab", comparison.answers, strict=True):
            photo[side] = _answer_fields(answers[index])
        photos.append(photo)
    return {
        "schema": SCHEMA,
        "models": dict(zip("ab", comparison.models, strict=True)),
        "summary": summary,
        "evaluation": (
            None
            if run is None or run.production is None
            else _evaluation_fields(run.production, run.candidate)
        ),
        "photos": photos,
    }


def _side_by_side(comparison: Comparison, console: Console, *, everything: bool) -> list[str]:
    first, second = comparison.models
    rows = [["Photo", first, "", second, "", *(["Change"] if everything else [])]]
    shown: list[Change] = []
    for source, one, other, change in zip(
        comparison.sources, *comparison.answers, comparison.changes(), strict=True
    ):
        if change is Change.UNCHANGED and not everything:
            continue
        cells = [visible_source(source)]
        for answer in (one, other):
            cells += [answer_name(answer), answer_score(answer)]
        rows.append([*cells, change.value] if everything else cells)
        shown.append(change)
    if not shown:
        return []
    if not console.is_terminal:
        return [*aligned(rows, right=_SCORES), ""]
    header, *lines = aligned(rows, width=console.width, right=_SCORES)
    styles = ["dim" if change is Change.UNCHANGED else "" for change in shown]
    return [
        _styled(header, "bold underline", console),
        *(_styled(line, style, console) for line, style in zip(lines, styles, strict=True)),
        "",
    ]


def _styled(line: str, style: str, console: Console) -> str:
    with console.capture() as capture:
        # Text, never markup: names of files and species are not ours
        console.print(Text(line, style=style), end="", no_wrap=True, overflow="ignore", crop=False)
    return capture.get()


def _answer_fields(answer: Answer) -> JsonValue:
    if isinstance(answer, ErrorInfo):
        return {"error": error_fields(answer)}
    return {"predictions": [prediction_fields(at, guess) for at, guess in enumerate(answer, 1)]}


def _evaluation_fields(before: Graded, after: Graded) -> JsonValue:
    fields: dict[str, JsonValue] = {"a": _graded_fields(before), "b": _graded_fields(after)}
    for name, best in (("top1", 1), ("top3", TOP_K)):
        lost, won = changed_sides(before, after, best=best)
        fields[name] = {
            "lost": [*lost],
            "won": [*won],
            "mcnemar_p": mcnemar_p(len(lost), len(won)),
        }
    return fields


def _graded_fields(graded: Graded) -> JsonValue:
    found = graded.evaluation
    fields: dict[str, JsonValue] = dataclasses.asdict(found)
    fields["top1_interval"] = [*wilson_interval(found.top1, found.photos)]
    fields["top3_interval"] = [*wilson_interval(found.top3, found.photos)]
    fields["unknown_species"] = [*graded.unknown]
    return fields
