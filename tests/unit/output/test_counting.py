"""Keys counted on disk."""

from __future__ import annotations

import sqlite3

import pytest

from birdcli.errors import ErrorCode, OutputError
from birdcli.output.counting import KeyCounts


def test_a_key_is_held_until_it_is_forgotten_and_taken_as_often_as_it_was_added() -> None:
    counts = KeyCounts()
    counts.add_all([b"a", b"b", b"a"])
    assert counts.holds(b"a")
    assert not counts.holds(b"c")
    assert [counts.take(b"a") for _ in range(3)] == [True, True, False]
    counts.close()


def test_a_full_disk_is_told_with_what_helps() -> None:
    counts = KeyCounts()
    counts.add_all([b"a"])
    counts.close()  # whatever is asked of SQLite now fails

    for ask in (counts.holds, counts.take):
        with pytest.raises(OutputError) as caught:
            ask(b"a")
        assert caught.value.code is ErrorCode.OUTPUT_DISK_FULL
        assert isinstance(caught.value.__cause__, sqlite3.Error)
        assert "SQLITE_TMPDIR" in caught.value.hint
