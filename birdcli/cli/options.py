"""Options and help as birdcli shows them."""

from __future__ import annotations

import os
from typing import Any, Final

import typer
from typer.core import TyperCommand

from birdcli.outside_text import visible_text

_UsageError: Any = typer.BadParameter.__base__  # which Typer does not export
_BARE: Final = {"--retry-failed": "retryable"}
_VALUES: Final = ("none", "retryable", "all")


class PanelledCommand(TyperCommand):
    """A command whose help groups its options in panels.

    The other commands do without: rich triples the time of their help.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Makes the command; see `TyperCommand`."""
        super().__init__(*args, **(settings | {"rich_markup_mode": "markdown"}))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses words; see `TyperCommand`.

        Typer knows no option whose value may be left out, so `--retry-failed` gets its value here.
        """
        end = args.index("--") if "--" in args else len(args)
        for position in range(end):
            if args[position] in _BARE:
                _verify_no_value(args[position], args[position + 1 : position + 2])
                args[position] += f"={_BARE[args[position]]}"
        files = [word for word in args[:end] if word.startswith("-") and _is_file(word)]
        try:
            return list(super().parse_args(ctx, args))
        except _UsageError as err:
            if files:
                name = visible_text(files[0])
                err.message += f" ({name} is a file: write ./{name}, or -- before it)"
            raise


def _is_file(word: str) -> bool:
    return os.path.isfile(word)  # noqa: PTH113 - takes any text


def _verify_no_value(name: str, following: list[str]) -> None:
    """Raises if an input looks like the value of the option before it."""
    if following and following[0] in _VALUES and not os.path.lexists(following[0]):
        raise typer.BadParameter(
            f"there is no input {following[0]!r}; a value is joined with =, as in {name}=all"
        )


def option(*names: str, **settings: Any) -> Any:
    """Returns a `typer.Option` whose environment variable is not told: the rule is, once."""
    return typer.Option(*names, show_envvar=False, **settings)
