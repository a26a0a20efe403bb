"""Options and help as birdcli shows them."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand


class PanelledCommand(TyperCommand):
    """A command whose help groups its options in panels.

    The other commands do without: rich triples the time of their help.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Makes the command; see `TyperCommand`."""
        super().__init__(*args, **(settings | {"rich_markup_mode": "markdown"}))


def option(*names: str, **settings: Any) -> Any:
    """Returns a `typer.Option` whose environment variable is not told: the rule is, once."""
    return typer.Option(*names, show_envvar=False, **settings)
