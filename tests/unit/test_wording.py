"""Counts and times as people read them."""

from __future__ import annotations

import pytest

from birdcli.wording import counted, duration, figures


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 pictures"), (1, "1 picture"), (1200, "1,200 pictures")]
)
def test_words_follow_their_count(count: int, words: str) -> None:
    assert counted(count, "picture") == words


@pytest.mark.parametrize(("count", "words"), [(1, "1 line was"), (2, "2 lines were")])
def test_words_that_take_no_s_are_given(count: int, words: str) -> None:
    assert counted(count, "line was", "lines were") == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.042, "0.04 s"), (59.96, "1 min 00 s"), (7530.0, "2 h 05 min")]
)
def test_time_is_told_in_the_units_it_fills(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("value", "words"), [(0.416, "0.42"), (4.08, "4.1"), (1204.2, "1,204")])
def test_figures_are_as_many_as_tell_something(value: float, words: str) -> None:
    assert figures(value) == words
