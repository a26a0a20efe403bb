"""Text from outside: shown without being obeyed, recorded without being lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.outside_text import recordable, visible_lines, visible_text


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("gpj.\u202efdp", r"gpj.\u202efdp"),
        ("\udcff", r"\xff"),
        ("\ud800", r"\ud800"),
        ("Möwe 鳥 👨‍👩‍👧", "Möwe 鳥 👨‍👩‍👧"),
    ],
)
def test_what_cannot_be_seen_is_shown_as_an_escape(hidden: str, shown: str) -> None:
    assert visible_text(hidden) == shown


def test_line_ends_of_our_own_stay() -> None:
    assert visible_lines("mend it\n  \x1b[31mlike this\r\n") == "mend it\n  \\x1b[31mlike this\\r\n"


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("plain", "plain"),
        ("Möwe\n\x1b", "Möwe\n\x1b"),
        ("bad\udcff", r"bad\xff"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_only_what_utf8_cannot_say_is_recorded_as_an_escape(text: str, recorded: str) -> None:
    assert recordable(text) == recorded


@given(st.text(st.characters(min_codepoint=0xD700, max_codepoint=0xE0FF, categories=None)))
def test_everything_recorded_is_utf8(text: str) -> None:
    recordable(text).encode()
