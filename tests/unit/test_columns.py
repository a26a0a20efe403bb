"""Aligned columns at any width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from birdcli.cli.columns import aligned

ROWS = [("Photo", "Bird", "Score"), ("deep/IMG_0001.jpg", "American Crow", "9.5%")]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert aligned(ROWS, right=(2,)) == [
        "Photo              Bird           Score",
        "deep/IMG_0001.jpg  American Crow   9.5%",
    ]


def test_what_fits_is_not_cut() -> None:
    assert aligned(ROWS, width=39) == aligned(ROWS)


def test_the_widest_column_gives_way_first_and_a_path_in_its_middle() -> None:
    assert aligned(ROWS, width=35, right=(2,)) == [
        "Photo          Bird           Score",
        "deep/I…01.jpg  American Crow   9.5%",
    ]


def test_wide_characters_take_two_cells() -> None:
    lines = aligned([("鳥.jpg", "x"), ("a.jpg", "y")])
    assert {cell_len(line) for line in lines} == {9}


@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="ascii", categories=["L"]))] * 3), min_size=1),
    st.integers(22, 200),
)
def test_no_line_is_wider_than_it_may_be(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = aligned(rows, width=width, right=(2,))
    assert len(lines) == len(rows)
    assert max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize("width", [1, 10])
def test_no_column_vanishes(width: int) -> None:
    (line,) = aligned([("a" * 40, "b" * 40)], width=width)
    assert line == "aa…aaa  bbbbb…"
