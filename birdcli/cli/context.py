"""What commands share: the home folder, the registry, the user, errors as exit codes."""

from __future__ import annotations

import errno
import functools
import getpass
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import typer

from birdcli.errors import BirdError, ErrorCode, OutputError, UsageError
from birdcli.masking import masked_message, visible_message
from birdcli.outside_text import recordable, visible_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.registry import Registry

P = ParamSpec("P")

EXIT_INTERRUPTED = 130
EXIT_READER_GONE = 141
# Where several apply, the first of these wins.
_PRECEDENCE = (5, 3, 2, 4)


def home_folder() -> Path:
    """Returns the folder of all state: `BIRDCLI_HOME`, or the platform's user data folder.

    Raises:
        UsageError: ``usage.bad_flag`` if the variable names no possible folder.
    """
    named = os.environ.get("BIRDCLI_HOME")
    if named:
        return _expanded(named)
    import platformdirs

    return Path(platformdirs.user_data_dir("birdcli", appauthor=False))


def _expanded(named: str) -> Path:
    try:
        folder = Path(named).expanduser()
        folder.stat()
    except RuntimeError as err:  # pathlib's word for an unknown user
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG, f"BIRDCLI_HOME is {named}, and that user has no home folder"
        ) from err
    except OSError as err:
        if err.errno == errno.ENAMETOOLONG:
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG, f"BIRDCLI_HOME is no name of a folder: {err.strerror}"
            ) from err
    return folder


def open_registry() -> Registry:
    """Returns the registry of the home folder."""
    from birdcli.registry import Registry, load_builtin_manifest

    return Registry(home_folder(), load_builtin_manifest())


def user_name() -> str:
    """Returns the user's login name, for the history."""
    try:
        return recordable(getpass.getuser())
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def say(text: str) -> None:
    """Prints text on stdout; what its encoding lacks, as escapes.

    Raises:
        OutputError: ``output.unwritable``; a closed pipe stays a `BrokenPipeError`.
    """
    try:
        typer.echo(encodable(text))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as err:
        silence_stdout()
        raise OutputError(
            ErrorCode.OUTPUT_UNWRITABLE, f"standard output cannot be written: {err.strerror}"
        ) from err


def encodable(text: str) -> str:
    """Returns text without characters that the encoding of stdout lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def print_people(text: str) -> None:
    """Prints a line for people on stderr, without the passwords of URLs in it."""
    typer.echo(visible_message(text), err=True)


def print_error(error: BirdError) -> None:
    """Prints an error and its hint on stderr, without the passwords of URLs in them."""
    typer.echo(f"birdcli: error[{error.code}]: {visible_message(error.message)}", err=True)
    if error.hint:
        typer.echo(f"  hint: {visible_lines(masked_message(error.hint))}", err=True)


def _leaf_errors(group: BaseExceptionGroup[BirdError]) -> list[BirdError]:
    errors: list[BirdError] = []
    for error in group.exceptions:
        errors += _leaf_errors(error) if isinstance(error, BaseExceptionGroup) else [error]
    return errors


def _report(errors: list[BirdError]) -> int:
    if any(isinstance(e, OutputError) and e.code is ErrorCode.OUTPUT_CLOSED for e in errors):
        return EXIT_READER_GONE  # quietly, as `head` and `grep -q` expect
    code = min((error.exit_code for error in errors), key=_PRECEDENCE.index)
    for error in errors:
        if error.exit_code == code:
            print_error(error)
            break
    return code


def reports_errors(command: Callable[P, int | None]) -> Callable[P, None]:
    """Makes a command print our errors and leave with their exit codes; bugs keep a traceback."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        errors: list[BirdError] = []
        code = 0
        before = signal.getsignal(signal.SIGINT)
        try:
            if before is signal.SIG_DFL:  # see `main`: from here on it is caught
                signal.signal(signal.SIGINT, signal.default_int_handler)
            code = command(*args, **kwargs) or 0
        except* BirdError as group:
            errors = _leaf_errors(group)
        except* KeyboardInterrupt:
            code = EXIT_INTERRUPTED
        except* BrokenPipeError:
            silence_stdout()
            code = EXIT_READER_GONE
        finally:
            if before is signal.SIG_DFL:
                signal.signal(signal.SIGINT, before)
        if errors:
            code = _report(errors)
        raise typer.Exit(code)

    return wrapper


def silence_stdout() -> None:
    """Keeps Python from complaining about the closed pipe when it flushes at its end."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)
