"""`birdcli registry promote | rollback | history`: what answers, since when and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from birdcli.cli.context import open_registry, reports_errors, say, user_name
from birdcli.cli.options import option
from birdcli.cli.values import parse_alias
from birdcli.errors import ErrorCode, UsageError
from birdcli.outside_text import recordable
from birdcli.registry import PRODUCTION

if TYPE_CHECKING:
    from birdcli.evaluation import Evaluation

Alias = Annotated[str, option(help="Which alias to move.")]
Note = Annotated[str, option(help="Why, for the history.")]


@reports_errors
def promote(
    model: Annotated[str, typer.Argument(metavar="NAME@VERSION", show_default=False)],
    *,
    alias: Alias = PRODUCTION,
    note: Note = "",
    photos: Annotated[
        Path | None,
        option(
            "--eval",
            metavar="PHOTOS.csv",
            help="Labelled photos (path, species) on which it may not be below production.",
        ),
    ] = None,
    tolerance: Annotated[
        float, option(help="How much it may be below, as a share of the photos.")
    ] = 0.0,
) -> None:
    """Point an alias to a version, after proving it on this machine."""
    from birdcli.cli.evaluating import evaluate_for_promotion
    from birdcli.cli.installing import print_line, prove
    from birdcli.evaluation import allowed_losses
    from birdcli.labelled_photos import load_photos
    from birdcli.streams import protected_streams

    registry = open_registry()
    registry.check_alias(parse_alias(alias))
    version = registry.resolve(model)
    if version.id != model and registry.load().aliases.get(model) != version.id:
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG, f"say which version: {version.id} is the newest of {model}"
        )
    # Mistakes in what was given are told before minutes of work.
    allowed_losses(tolerance, 1)
    listed = None if photos is None else load_photos(photos)
    with protected_streams() as streams:
        version, evidence = prove(registry, version, streams.people)
        evaluations: tuple[Evaluation, ...] = ()
        if listed is not None:
            evaluations = evaluate_for_promotion(
                registry, version, listed, tolerance=tolerance, people=streams.people
            )
        previous = registry.promote(
            version,
            evidence,
            alias=alias,
            note=recordable(note),
            who=user_name(),
            evaluations=evaluations,
        )
        if previous == version.id:
            print_line(streams.people, f"{alias} is {version.id} as before, proven again")
            return
        before = f" (before: {previous})" if previous else ""
        print_line(streams.people, f"{alias} is now {version.id}{before}")


@reports_errors
def rollback(*, alias: Alias = PRODUCTION, note: Note = "") -> None:
    """Point an alias back to what it pointed to before.

    That version is proven on this machine first. A second rollback goes one step further back,
    never to the version that the first one left.
    """
    from birdcli.cli.installing import print_line, prove
    from birdcli.streams import protected_streams

    registry = open_registry()
    target = registry.rollback_target(alias)
    with protected_streams() as streams:
        target, evidence = prove(registry, target, streams.people)
        left = registry.rollback(
            target, evidence, alias=alias, note=recordable(note), who=user_name()
        )
        print_line(streams.people, f"{alias} is {target.id} again (left: {left})")


@reports_errors
def history(
    reference: Annotated[
        str | None, typer.Argument(metavar="[ALIAS|NAME@VERSION]", show_default=False)
    ] = None,
    *,
    as_json: Annotated[bool, option("--json", help="Print JSON.")] = False,
) -> None:
    """Show who changed what, when and why."""
    from birdcli.cli.history_rows import HISTORY_COLUMNS, history_cells, history_rows
    from birdcli.cli.tables import print_table

    registry = open_registry()
    rows = history_rows(registry.history(), reference)
    if not rows and reference is not None:
        registry.resolve(reference)  # a typo must not look like peace
    if as_json:
        say(json.dumps(rows, indent=2))
    else:
        print_table(HISTORY_COLUMNS, history_cells(rows))
