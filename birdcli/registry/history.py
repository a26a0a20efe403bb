"""What happened to the models of a registry, one JSON line per change, never rewritten."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from birdcli.errors import ErrorCode, ModelError
from birdcli.evaluation import Evaluation  # noqa: TC001 - msgspec reads annotations at run time
from birdcli.model_version import Evidence  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from birdcli.model_version import ModelVersion


class Action(StrEnum):
    """What a change did."""

    INSTALL = "install"
    PREPARE = "prepare"
    REMOVE = "remove"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    UNALIAS = "unalias"


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """One line of the history.

    Attributes:
        at: When, ISO 8601 in UTC.
        who: The user's name.
        action: What was done.
        model: The version that was installed or removed, or that the alias points to since; of an
            alias that was taken away, the one it pointed to.
        digest: `ModelVersion.digest` of the version at that time, empty if it was removed.
        derived: Its `ModelVersion.derived_digest`, likewise.
        alias: The alias that moved, if one did.
        source: What the alias pointed to before (`from` in JSON).
        note: Why, in the user's words.
        evidence: The proof that a promotion or rollback rests on.
        evaluations: How often it was right on labelled photos, and the model before it, if a
            promotion was made to depend on that.
    """

    at: str
    who: str
    action: Action
    model: str
    digest: str = ""
    derived: str = ""
    alias: str | None = None
    source: str | None = None
    note: str = ""
    evidence: Evidence | None = None
    evaluations: tuple[Evaluation, ...] = ()

    def of(self, version: ModelVersion) -> HistoryEntry:
        """Returns this entry about a version with its digests."""
        return msgspec.structs.replace(self, digest=version.digest, derived=version.derived_digest)


def parse_history(data: bytes) -> tuple[HistoryEntry, ...]:
    """Reads a history, oldest entry first.

    Raises:
        ModelError: ``model.manifest_invalid`` naming the line that cannot be read.
    """
    entries = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            entries.append(msgspec.json.decode(line, type=HistoryEntry))
        except (ValueError, RecursionError) as err:
            raise ModelError(
                ErrorCode.MODEL_MANIFEST_INVALID,
                f"the history is invalid in line {number}: {err}",
                hint="It was left untouched; restore it from a backup.",
                line=number,
            ) from err
    return tuple(entries)


def render_entry(entry: HistoryEntry) -> bytes:
    """Returns an entry as one JSON line."""
    return msgspec.json.encode(entry) + b"\n"


def alias_targets(history: Iterable[HistoryEntry]) -> dict[str, tuple[str, ...]]:
    """Returns what each alias points to, last, after what it would go back to, step by step.

    A promotion adds a step and a rollback takes one away, so that a second rollback goes further
    back and never returns to the version that the first one left. An alias that was taken away is
    absent.
    """
    steps: dict[str, list[str]] = {}
    for entry in history:
        if entry.alias is None:
            continue
        targets = steps.setdefault(entry.alias, [])
        match entry.action:
            case Action.UNALIAS:
                del steps[entry.alias]
            case Action.ROLLBACK:
                while targets and targets[-1] != entry.model:
                    targets.pop()
                if not targets:
                    targets.append(entry.model)
            case _:
                if targets[-1:] != [entry.model]:
                    targets.append(entry.model)
    return {alias: tuple(targets) for alias, targets in steps.items()}


def installed_entries(history: Iterable[HistoryEntry]) -> dict[str, HistoryEntry]:
    """Returns the last entry with digests of each version that the history says is installed."""
    last: dict[str, HistoryEntry] = {}
    for entry in history:
        if entry.action is Action.REMOVE:
            last.pop(entry.model, None)
        elif entry.digest:
            last[entry.model] = entry
    return last


def promoted_digest(history: Iterable[HistoryEntry], alias: str, model: str) -> str | None:
    """Returns the digest of a version when an alias last pointed to it, or None."""
    moved = [it for it in history if it.alias == alias and it.model == model and it.digest]
    return moved[-1].digest if moved else None
