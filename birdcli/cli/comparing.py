"""`birdcli registry compare`: where two models answer differently."""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from birdcli.cli.context import open_registry, reports_errors, say
from birdcli.cli.options import option
from birdcli.errors import ErrorCode, UsageError
from birdcli.host import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.cli.comparison import Comparison
    from birdcli.labelled_photos import PhotoList
    from birdcli.model_version import ModelVersion
    from birdcli.registry import Registry

_LISTS = (".csv", ".tsv")


class ChosenPhotos(NamedTuple):
    """What is compared.

    Attributes:
        sources: The photos as the user gave them.
        paths: Where their files are.
        labelled: The list they come from, if its rows say what they show.
    """

    sources: tuple[str, ...]
    paths: tuple[str, ...]
    labelled: PhotoList | None = None


@reports_errors
def compare(
    first: Annotated[str, typer.Argument(metavar="A", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", show_default=False)],
    photos: Annotated[list[str], typer.Argument(metavar="PHOTOS", show_default=False)],
    *,
    everything: Annotated[bool, option("--all", help="Show unchanged answers as well.")] = False,
    as_json: Annotated[bool, option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where two models name the birds in photos differently.

    A and B are names, versions or aliases; PHOTOS are files, folders (searched for images), or one
    csv with the columns path and species, which also tells how often each model is right.
    """
    from birdcli.cli.comparison import Change, comparison_fields, comparison_text
    from birdcli.cli.installing import print_line
    from birdcli.streams import protected_streams
    from birdcli.table import console_on

    registry = open_registry()
    versions = registry.resolve(first), registry.resolve(second)
    chosen = choose_photos(photos)
    with protected_streams() as streams:
        comparison = compare_models(
            registry,
            versions,
            chosen,
            say=lambda text: print_line(streams.people, f"birdcli: {text} …"),
        )
    if as_json:
        say(json.dumps(comparison_fields(comparison), indent=2))
    else:
        say(comparison_text(comparison, console_on(sys.stdout), everything=everything))
    if all(change is Change.FAILED for change in comparison.changes()):
        raise UsageError(ErrorCode.USAGE_NO_INPUT, "none of the photos could be compared")


def choose_photos(arguments: list[str]) -> ChosenPhotos:
    """Returns the photos that arguments stand for.

    Raises:
        UsageError: ``usage.bad_flag`` for a URL, stdin, or a list beside other photos;
            ``usage.input_unreadable`` for a list or a folder; ``usage.no_input`` if there is none.
    """
    if any(argument.lower().endswith(_LISTS) for argument in arguments):
        if len(arguments) > 1:
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG, "a list with species is compared alone, one at a time"
            )
        return _listed_photos(Path(arguments[0]))
    return find_photos(arguments)


def _listed_photos(path: Path) -> ChosenPhotos:
    from birdcli.labelled_photos import load_photos

    listed = load_photos(path)
    return ChosenPhotos(
        sources=tuple(photo.source for photo in listed.photos),
        paths=tuple(photo.path for photo in listed.photos),
        labelled=listed,
    )


def find_photos(arguments: list[str]) -> ChosenPhotos:
    """Returns the photos that files and folders stand for.

    Raises:
        UsageError: ``usage.bad_flag`` for a URL or stdin, ``usage.input_unreadable`` for a file or
            a folder, ``usage.no_input`` for a folder that holds none.
    """
    from birdcli.inputs import Inputs
    from birdcli.items import Failed, SourceKind
    from birdcli.masking import visible_source
    from birdcli.settings import ListSettings
    from birdcli.sources import STDIN, local_path

    if STDIN in arguments:
        raise UsageError(ErrorCode.USAGE_BAD_FLAG, "photos are files, folders or a csv, never -")
    sources, paths = [], []
    for found in Inputs(arguments, (), ListSettings(), stdin=io.BytesIO(), clock=time.perf_counter):
        ref = found.ref if isinstance(found, Failed) else found
        if ref.kind is SourceKind.URL:
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG,
                f"{visible_source(ref.source)} is a URL; download the photo and name the file",
            )
        if isinstance(found, Failed):
            empty = found.error.code is ErrorCode.SOURCE_EMPTY
            raise UsageError(
                ErrorCode.USAGE_NO_INPUT if empty else ErrorCode.USAGE_INPUT_UNREADABLE,
                f"{visible_source(ref.source)}: {found.error.message}",
            )
        sources.append(ref.source)
        paths.append(local_path(ref.source))
    return ChosenPhotos(sources=tuple(sources), paths=tuple(paths))


def compare_models(
    registry: Registry,
    versions: tuple[ModelVersion, ModelVersion],
    chosen: ChosenPhotos,
    *,
    say: Callable[[str], None],
) -> Comparison:
    """Shows the photos to both models, one after the other.

    Args:
        registry: Where both are.
        versions: The models.
        chosen: The photos.
        say: Takes what is being done, for people.

    Raises:
        ModelError: See `ask_models`.
    """
    from birdcli.cli.comparison import Comparison
    from birdcli.evaluation import EvaluationRun, grade
    from birdcli.models.evaluate import ask_models

    first, second = versions
    (names, before), (new_names, after) = ask_models(
        registry, versions, chosen.paths, threads=usable_cpus(), say=say
    )
    evaluation = None
    if chosen.labelled is not None:
        evaluation = EvaluationRun(
            photos=chosen.labelled,
            candidate=grade(second.id, new_names, chosen.labelled, after),
            production=grade(first.id, names, chosen.labelled, before),
        )
    return Comparison(
        models=(first.id, second.id),
        sources=chosen.sources,
        answers=(before, after),
        evaluation=evaluation,
    )
