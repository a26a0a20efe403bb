"""What a history says of aliases and versions."""

from __future__ import annotations

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.registry.history import (
    Action,
    HistoryEntry,
    alias_targets,
    installed_entries,
    parse_history,
    render_entry,
)


def entry(action: Action, model: str, alias: str | None = "production") -> HistoryEntry:
    return HistoryEntry(
        at="2026-01-01", who="me", action=action, model=model, alias=alias, digest=f"{model}!"
    )


def after(*steps: str) -> tuple[str, ...]:
    """The targets after promotions (`1`), rollbacks (`<1`) and removals of the alias (`-1`)."""
    actions = {"<": Action.ROLLBACK, "-": Action.UNALIAS}
    return alias_targets(
        entry(actions.get(step[0], Action.PROMOTE), step.lstrip("<-")) for step in steps
    ).get("production", ())


@pytest.mark.parametrize(
    ("steps", "targets"),
    [
        ((), ()),
        (("1",), ("1",)),
        (("1", "2"), ("1", "2")),
        (("1", "2", "3", "<2"), ("1", "2")),
        (("1", "2", "3", "<2", "<1"), ("1",)),
        (("1", "2", "<1", "3"), ("1", "3")),
        (("1", "2", "2"), ("1", "2")),
        (("1", "2", "1"), ("1", "2", "1")),
        (("1", "2", "-2"), ()),
        (("1", "2", "-2", "3"), ("3",)),
        (("<4",), ("4",)),
    ],
)
def test_a_rollback_takes_a_step_back_that_a_promotion_made(
    steps: tuple[str, ...], targets: tuple[str, ...]
) -> None:
    assert after(*steps) == targets


def test_every_alias_has_its_own_steps() -> None:
    history = [entry(Action.PROMOTE, "1"), entry(Action.PROMOTE, "2", alias="canary")]
    assert alias_targets(history) == {"production": ("1",), "canary": ("2",)}


def test_what_was_removed_is_not_installed() -> None:
    history = [
        entry(Action.INSTALL, "1", alias=None),
        entry(Action.INSTALL, "2", alias=None),
        entry(Action.REMOVE, "1", alias=None),
    ]
    assert {it: kept.digest for it, kept in installed_entries(history).items()} == {"2": "2!"}


def test_a_line_reads_back_as_it_was_written() -> None:
    written = entry(Action.PROMOTE, "1")
    assert parse_history(render_entry(written) * 2) == (written, written)
    assert b'"from":null' in render_entry(written)


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"at":1}', b"\xff", b"[" * 5000])
def test_a_broken_line_is_named(line: bytes) -> None:
    good = render_entry(entry(Action.PROMOTE, "1"))
    with pytest.raises(ModelError, match="line 2") as caught:
        parse_history(good + line + b"\n")
    assert caught.value.code is ErrorCode.MODEL_MANIFEST_INVALID
