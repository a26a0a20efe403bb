"""What is said about a file that is continued."""

from __future__ import annotations

import io

import pytest

from birdcli.cli.output import tell_earlier
from birdcli.output.repair import Repair
from birdcli.output.session import Earlier


def told(earlier: Earlier) -> str:
    people = io.StringIO()
    tell_earlier(earlier, people)
    return people.getvalue()


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (Earlier(named=1), "1 input has its record\n"),
        (Earlier(named=1, failed=1), "2 inputs have their records\n"),
        (Earlier(named=2, tried_again=1), "; 1 that failed is tried again\n"),
        (Earlier(named=2, tried_again=2), "; 2 that failed are tried again\n"),
    ],
)
def test_words_about_records_follow_their_count(earlier: Earlier, words: str) -> None:
    assert told(earlier).endswith(words)


@pytest.mark.parametrize(
    ("lines", "words"),
    [(1, "1 damaged or doubled line was"), (2, "2 damaged or doubled lines were")],
)
def test_words_about_damage_follow_its_count(lines: int, words: str) -> None:
    earlier = Earlier(repair=Repair(records=1, torn_bytes=0, damaged_lines=lines))
    assert words in told(earlier)
