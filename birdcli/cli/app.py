"""The commands, and the way into them."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import Annotated, Final

import typer

from birdcli import __version__
from birdcli.cli import bench, cache, classify, registry
from birdcli.cli.options import option
from birdcli.streams import open_missing_streams, tolerate_lost_stderr

_ENGINES: Final = ("tensorflow", "openvino", "ai_edge_litert")

app = typer.Typer(
    name="birdcli",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # `birdcli --help` answers in a third of the time
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "BIRDCLI"},
)
app.add_typer(classify.app)
app.add_typer(registry.app, name="registry")
app.add_typer(bench.app)
app.add_typer(cache.app, name="cache")


def _print_version(wanted: bool) -> None:  # Typer's signature of a callback
    if wanted:
        typer.echo(f"birdcli {__version__}")
        raise typer.Exit


@app.callback()
def birdcli(
    _version: Annotated[
        bool,
        option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Names the bird in a picture, for one picture or ten million.

    Records go to standard output: a table on a terminal, JSON lines in a pipe or a file. What
    people read (progress, summary, errors) goes to standard error.

    Every option can also be set in the environment, such as BIRDCLI_CLASSIFY_TOP_K=5.
    BIRDCLI_HOME moves models and caches.
    """


def main() -> None:
    """Runs the command line."""
    open_missing_streams()
    tolerate_lost_stderr()
    try:
        app(prog_name="birdcli")
    except SystemExit as err:
        if isinstance(err.code, int):
            _leave(err.code)
        raise


def _leave(code: int) -> None:
    """Ends the process at once if an engine was imported, or a thread is still at work.

    Taking an engine apart would cost up to a second. One that is still being loaded, for pictures
    that never came, would be waited for, and so would a disk that never answers. Everything that we
    opened is closed by now.
    """
    working = any(thread.name.startswith("birdcli-") for thread in threading.enumerate())
    if working or not sys.modules.keys().isdisjoint(_ENGINES):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
