"""Lines for people: on a line of their own, visible, and without passwords."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from birdcli.cli.context import print_error, print_people
from birdcli.cli.installing import print_line
from birdcli.cli.people import configure_logging, fresh_line
from birdcli.errors import ErrorCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "see http://user:hunter2@host/a?token=hunter2 \x1b[2J"
SHOWN = r"see http://***@host/a?token=*** \x1b[2J"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def _loggers() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("birdcli")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.mark.usefixtures("_loggers")
def test_a_log_shows_no_secrets_whoever_writes_it() -> None:
    people = io.StringIO()
    configure_logging("debug", people)
    logging.getLogger("birdcli.fetch").debug("%s", SECRET)
    logging.getLogger("aiohttp.client").warning(SECRET)
    assert people.getvalue() == f"birdcli: DEBUG: {SHOWN}\nbirdcli: WARNING: {SHOWN}\n"


def test_lines_show_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    people = io.StringIO()
    print_line(people, SECRET)
    print_people(SECRET)
    print_error(UsageError(ErrorCode.USAGE_NO_INPUT, SECRET, hint=SECRET))
    assert people.getvalue() == f"{SHOWN}\n"
    assert capsys.readouterr().err.splitlines() == [
        SHOWN,
        f"birdcli: error[usage.no_input]: {SHOWN}",
        f"  hint: {SHOWN}",
    ]


def test_a_line_on_a_terminal_takes_the_place_of_the_live_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    people = Terminal()
    print_line(people, "words")
    assert people.getvalue() == "\r\x1b[2Kwords\n"


def test_a_terminal_that_obeys_nothing_gets_no_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert fresh_line(Terminal()) == ""
