"""A small run of the fuzzer of lists; the full one is `python -m scripts.fuzz_lists`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from birdcli.lists import ListEntry, ListFormat
from scripts import fuzz_lists

if TYPE_CHECKING:
    from pytest_mock import MockerFixture


def test_no_damaged_list_crashes_or_gives_more_entries_than_lines() -> None:
    assert fuzz_lists.fuzz(seed=5, count=400) == []


def test_the_fuzzer_would_find_a_crash(mocker: MockerFixture) -> None:
    mocker.patch.object(fuzz_lists, "iter_entries", side_effect=RecursionError("deep"))
    assert "RecursionError" in fuzz_lists.problem_of(ListFormat.LINES, b"a")


def test_the_fuzzer_would_find_an_invented_entry(mocker: MockerFixture) -> None:
    mocker.patch.object(fuzz_lists, "iter_entries", return_value=[ListEntry("a")] * 2)
    assert fuzz_lists.problem_of(ListFormat.LINES, b"a") == "2 entries from 1 lines"
