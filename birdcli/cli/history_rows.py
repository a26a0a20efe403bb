"""The history as rows for people and programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from birdcli.registry.history import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

    from birdcli.registry.history import HistoryEntry

Row: TypeAlias = dict[str, object]

HISTORY_COLUMNS = ("When (UTC)", "Who", "What", "Note")


def _concerns(entry: HistoryEntry, reference: str) -> bool:
    models = (entry.model, entry.source or "")
    return reference in (entry.alias, *models, *(model.partition("@")[0] for model in models))


def history_rows(history: Iterable[HistoryEntry], reference: str | None = None) -> list[Row]:
    """Returns the history as JSON values, oldest first.

    Args:
        history: All entries.
        reference: An alias, a version or a model's name; None for all.
    """
    return [
        json.loads(msgspec.json.encode(entry))
        for entry in history
        if reference is None or _concerns(entry, reference)
    ]


def _what(row: Row) -> str:
    """What was done, such as `promote production: birds@1 -> birds@2`."""
    action, model, alias, before = row["action"], row["model"], row["alias"], row["from"]
    if alias is None:
        return f"{action} {model}"
    after = None if action == Action.UNALIAS else model
    return f"{action} {alias}: {' -> '.join(str(it) for it in (before, after) if it)}"


def _note(row: Row) -> str:
    """The note, and how the photos of `promote --eval` were named."""
    told = [str(row["note"])] if row["note"] else []
    evaluations = row["evaluations"]
    if isinstance(evaluations, list):
        told += [f"{it['model']}: {it['top1']} of {it['photos']} right" for it in evaluations]
    return "; ".join(told)


def history_cells(rows: Iterable[Row]) -> list[list[str]]:
    """Returns the rows of `history_rows` as the cells of a table of `HISTORY_COLUMNS`."""
    return [
        [str(row["at"])[:16].replace("T", " "), str(row["who"]), _what(row), _note(row)]
        for row in rows
    ]
