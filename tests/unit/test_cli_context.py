"""Errors become exit codes, the gravest first."""

from __future__ import annotations

import io
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

from birdcli.cli.context import home_folder, print_people, reports_errors, user_name
from birdcli.cli.installing import print_line
from birdcli.cli.tables import print_table
from birdcli.errors import ErrorCode, FetchError, ModelError, OutputError, UsageError

if TYPE_CHECKING:
    from pytest_mock import MockerFixture

USAGE = UsageError(ErrorCode.USAGE_NO_INPUT, "nothing")
MODEL = ModelError(ErrorCode.MODEL_LOAD_FAILED, "broken", hint="mend it")
FULL = OutputError(ErrorCode.OUTPUT_DISK_FULL, "full")
CLOSED = OutputError(ErrorCode.OUTPUT_CLOSED, "gone")
ITEM = FetchError(ErrorCode.FETCH_DNS, "no such host")


def exit_code(*errors: BaseException) -> int:
    @reports_errors
    def command() -> None:
        if len(errors) == 1:
            raise errors[0]
        raise BaseExceptionGroup("several", errors)

    with pytest.raises(typer.Exit) as caught:
        command()
    return caught.value.exit_code


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ((USAGE,), 2),
        ((MODEL,), 3),
        ((ITEM,), 4),
        ((FULL,), 5),
        ((CLOSED,), 141),
        ((KeyboardInterrupt(),), 130),
        ((MODEL, FULL), 5),
        ((USAGE, MODEL), 3),
        ((ITEM, USAGE), 2),
        ((CLOSED, MODEL), 141),
        ((ExceptionGroup("inner", [MODEL]), ITEM), 3),
    ],
)
def test_the_gravest_error_decides(errors: tuple[BaseException, ...], code: int) -> None:
    assert exit_code(*errors) == code


def test_the_error_is_told_once_with_code_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code(MODEL, ITEM)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["birdcli: error[model.load_failed]: broken", "  hint: mend it"]


def test_controls_in_messages_are_shown_and_line_ends_of_hints_stay(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exit_code(ModelError(ErrorCode.MODEL_NOT_FOUND, "no \x1b]0;x\x07\nmodel", hint="say\n  a\x1bb"))
    assert capsys.readouterr().err.splitlines() == [
        r"birdcli: error[model.not_found]: no \x1b]0;x\x07\nmodel",
        "  hint: say",
        r"  a\x1bb",
    ]


def test_controls_in_lines_for_people_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_people("removed \x1b[2J")
    assert capsys.readouterr().err == "removed \\x1b[2J\n"


def test_controls_in_progress_are_shown() -> None:
    people = io.StringIO()
    print_line(people, "downloading \x1b[2J")
    assert people.getvalue() == "downloading \\x1b[2J\n"


def test_a_reader_that_left_is_not_worth_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code(CLOSED)
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback() -> None:
    @reports_errors
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_what_a_command_returns_is_its_exit_code() -> None:
    @reports_errors
    def command() -> int:
        return 4

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == 4


def test_the_home_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIRDCLI_HOME", "~/birds")
    assert home_folder() == Path("~/birds").expanduser()


def test_without_the_variable_the_home_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIRDCLI_HOME")
    assert home_folder().name == "birdcli"
    assert home_folder().is_absolute()


@pytest.mark.parametrize(
    ("home", "words"),
    [
        ("~nosuchuser/x", "~nosuchuser/x, and that user has no home folder"),
        ("/" + "x" * 300, "no name of a folder: File name too long"),
    ],
)
def test_a_home_that_cannot_be_is_refused(
    home: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIRDCLI_HOME", home)
    with pytest.raises(UsageError) as caught:
        home_folder()
    assert words in caught.value.message


def test_a_home_that_is_not_there_yet_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIRDCLI_HOME", str(tmp_path / "a" / "b"))
    assert home_folder() == tmp_path / "a" / "b"


def test_a_user_whose_name_is_no_utf8_is_recorded_with_escapes(mocker: MockerFixture) -> None:
    mocker.patch("getpass.getuser", return_value="bad\udcff")
    assert user_name() == r"bad\xff"


def test_a_command_is_interrupted_as_python_does_and_leaves_the_signal_as_it_was() -> None:
    seen = []

    @reports_errors
    def command() -> None:
        seen.append(signal.getsignal(signal.SIGINT))

    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with pytest.raises(typer.Exit):
            command()
        after = signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (seen, after) == ([signal.default_int_handler], signal.SIG_DFL)


def test_a_table_on_a_terminal_escapes_what_its_encoding_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(out, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", out)
    print_table(("Model",), [["Möwe"]])
    assert rb"M\xf6we" in out.buffer.getvalue()


def test_a_user_without_a_name_has_a_number(mocker: MockerFixture) -> None:
    mocker.patch("getpass.getuser", side_effect=KeyError)
    assert user_name().startswith("uid ")
