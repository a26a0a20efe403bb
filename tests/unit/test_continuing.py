"""The command that continues a run does continue it, and holds no secret."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from birdcli.cli.continuing import Continuation, hinted
from birdcli.errors import BirdError, ErrorCode, ModelError, OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping

FULL = OutputError(ErrorCode.OUTPUT_DISK_FULL, "full")


def line_of(
    command: str,
    *inputs: str,
    past_bound: bool = False,
    resumable: bool = True,
    environment: Mapping[str, str] | None = None,
) -> str:
    continuation = Continuation(
        arguments=shlex.split(command),
        environment=environment or {},
        inputs=inputs,
        resumable=resumable,
    )
    return continuation.line(past_bound=past_bound)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("classify a -o x", "classify a -o x --resume"),
        ("classify a -o x --resume", "classify a -o x --resume"),
        ("classify a -o x --retry-failed=all", "classify a -o x --retry-failed=all"),
        ("classify a -o x --fresh", "classify a -o x --resume"),
        ("classify -o x -- --fresh --resume", "classify -o x --resume -- --fresh --resume"),
        ("classify 'a b' -o '$x'", "classify 'a b' -o '$x' --resume"),
        ("classify a --max-failures 3 -o x", "classify a --max-failures 3 -o x --resume"),
    ],
)
def test_the_command_is_the_same_with_resume(command: str, line: str) -> None:
    assert line_of(command) == f"Continue with: birdcli {line}"


@pytest.mark.parametrize("bound", ["--max-failures 3", "--max-failures=3", ""])
def test_past_its_bound_a_run_is_continued_without_it(bound: str) -> None:
    line = line_of(f"classify a {bound} -o x", past_bound=True)
    assert line == "Continue with: birdcli classify a -o x --resume"


def test_a_list_on_standard_input_has_to_come_again() -> None:
    line = line_of("classify - -o x", "-")
    told = "Continue with (the same list on standard input): birdcli classify - -o x --resume"
    assert line == told


def test_options_of_the_environment_stand_before_the_command() -> None:
    environment = {
        "BIRDCLI_HOME": "/my birds",
        "BIRDCLI_CLASSIFY_TOP_K": "2",
        "BIRDCLI_CLASSIFY_SHARD": "",
        "HOME": "/root",
    }
    line = line_of("classify a -o x", environment=environment)
    assert line == (
        "Continue with: BIRDCLI_CLASSIFY_TOP_K=2 BIRDCLI_HOME='/my birds' "
        "birdcli classify a -o x --resume"
    )


def test_variables_that_would_end_or_refuse_the_run_are_emptied() -> None:
    environment = {"BIRDCLI_CLASSIFY_FRESH": "1", "BIRDCLI_CLASSIFY_MAX_FAILURES": "3"}
    line = line_of("classify a -o x", environment=environment, past_bound=True)
    assert line.startswith(
        "Continue with: BIRDCLI_CLASSIFY_FRESH= BIRDCLI_CLASSIFY_MAX_FAILURES= birdcli"
    )


@pytest.mark.parametrize(
    "word",
    [
        "http://user:hunter2@host/a",
        "--from-file=http:/user:hunter2@host/a",
        "-fhttp://user:hunter2@host/a",
        "http://host/a?token=hunter2",
        "http://user:hun/ter2@host/hunter2@x",
    ],
)
def test_secrets_are_not_shown_and_the_line_says_so(word: str) -> None:
    line = line_of(f"classify {word} -o x")
    assert line.startswith("Continue with (its secrets in the place of ***): birdcli classify")
    assert "ter2" not in line


def test_secrets_of_variables_are_not_shown() -> None:
    environment = {"BIRDCLI_CLASSIFY_FROM_FILE": "http:/user:hunter2@host/a"}
    assert "hunter2" not in line_of("classify -o x", environment=environment)


def test_without_a_file_of_records_the_line_says_what_it_takes() -> None:
    assert "-o FILE" in line_of("classify a", resumable=False)


@pytest.mark.parametrize(
    ("error", "resumable", "told"),
    [
        (FULL, True, True),
        (FULL, False, False),
        (OutputError(ErrorCode.OUTPUT_CLOSED, "gone"), True, False),
        (ModelError(ErrorCode.MODEL_LOAD_FAILED, "broken"), True, False),
    ],
)
def test_an_output_that_fails_is_told_with_the_command(
    error: BirdError, resumable: bool, told: bool
) -> None:
    error.hint = ""
    continuation = Continuation(
        arguments=["classify", "a"], environment={}, inputs=["a"], resumable=resumable
    )
    with pytest.raises(ExceptionGroup), hinted(lambda: continuation):
        raise ExceptionGroup("several", [ExceptionGroup("inner", [error])])
    assert error.hint == ("Continue with: birdcli classify a --resume" if told else "")


def test_a_hint_of_the_error_itself_stays() -> None:
    continuation = Continuation(arguments=["a"], environment={}, inputs=["a"], resumable=True)
    error = OutputError(ErrorCode.OUTPUT_DISK_FULL, "full", hint="make room")
    with pytest.raises(OutputError), hinted(lambda: continuation):
        raise error
    assert error.hint == "make room"
