"""Manifest and history are one state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.manifest import Manifest
from birdcli.registry.history import Action, HistoryEntry, render_entry
from birdcli.registry.state_files import StateFiles

if TYPE_CHECKING:
    from pathlib import Path


def entry(note: str) -> HistoryEntry:
    return HistoryEntry(at="2026-01-01", who="me", action=Action.REMOVE, model="x@1", note=note)


def commit(folder: Path, note: str) -> None:
    files = StateFiles(folder)
    files.commit(files.load(), Manifest(), [entry(note)])


def notes(folder: Path) -> list[str]:
    return [it.note for it in StateFiles(folder).load().history]


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        StateFiles(folder).load()
    assert caught.value.code is ErrorCode.MODEL_MANIFEST_INVALID
    return caught.value.message


def test_nothing_there_is_the_empty_state(tmp_path: Path) -> None:
    assert StateFiles(tmp_path).load().manifest == Manifest()


def test_entries_add_up(tmp_path: Path) -> None:
    commit(tmp_path, "a")
    commit(tmp_path, "b")
    assert notes(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("tail", [b"{", render_entry(entry("never happened")), b"\x00" * 9])
def test_what_a_broken_change_appended_is_not_read_and_goes_with_the_next(
    tmp_path: Path, tail: bytes
) -> None:
    commit(tmp_path, "a")
    with (tmp_path / "history.jsonl").open("ab") as history:
        history.write(tail)
    assert notes(tmp_path) == ["a"]
    commit(tmp_path, "b")
    assert notes(tmp_path) == ["a", "b"]
    assert (tmp_path / "history.jsonl").read_bytes().count(b"\n") == 2


def test_a_history_that_was_cut_is_refused_and_left_untouched(tmp_path: Path) -> None:
    commit(tmp_path, "a")
    commit(tmp_path, "b")
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    before = path.read_bytes()
    assert "not the history" in refusal(tmp_path)
    with pytest.raises(ModelError):
        commit(tmp_path, "c")
    assert path.read_bytes() == before


def test_a_history_that_was_edited_is_refused(tmp_path: Path) -> None:
    commit(tmp_path, "a")
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"b"'))
    assert "not the history" in refusal(tmp_path)


def test_a_missing_history_is_refused(tmp_path: Path) -> None:
    commit(tmp_path, "a")
    (tmp_path / "history.jsonl").unlink()
    assert "not the history" in refusal(tmp_path)


def test_a_missing_manifest_beside_a_history_is_refused(tmp_path: Path) -> None:
    commit(tmp_path, "a")
    (tmp_path / "manifest.json").unlink()
    assert "missing" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["manifest.json", "history.jsonl"])
def test_a_link_is_refused_whatever_it_leads_to(tmp_path: Path, name: str) -> None:
    commit(tmp_path, "a")
    (tmp_path / name).rename(tmp_path / "elsewhere")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refusal(tmp_path)


def test_a_manifest_without_a_mark_takes_the_whole_history(tmp_path: Path) -> None:
    commit(tmp_path, "a")
    path = tmp_path / "manifest.json"
    fields = json.loads(path.read_bytes())
    del fields["history"]
    path.write_text(json.dumps(fields))
    history = tmp_path / "history.jsonl"
    history.write_bytes(history.read_bytes().rstrip(b"\n"))
    commit(tmp_path, "b")
    assert notes(tmp_path) == ["a", "b"]


def test_a_change_without_an_entry_keeps_the_history(tmp_path: Path) -> None:
    commit(tmp_path, "a")
    files = StateFiles(tmp_path)
    files.commit(files.load(), Manifest(), [])
    assert notes(tmp_path) == ["a"]
