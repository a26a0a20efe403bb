"""`birdcli registry export | import`: versions carried to machines without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from birdcli.cli.context import open_registry, reports_errors, user_name
from birdcli.cli.options import option
from birdcli.cli.values import parse_sha256
from birdcli.errors import ErrorCode, OutputError


@reports_errors
def export_version(
    model: Annotated[str, typer.Argument(metavar="NAME@VERSION", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
) -> None:
    """Write a version into one archive for another machine.

    It holds model, labels, names, golden outputs and provenance.
    """
    from birdcli.cli.context import print_people
    from birdcli.hashing import sha256_of_file
    from birdcli.models.bundle import export_version as export

    registry = open_registry()
    version = registry.resolve(model)
    if file.exists():
        raise OutputError(
            ErrorCode.OUTPUT_EXISTS, f"{file} exists", hint="Take another name, or remove it first."
        )
    try:
        export(registry, version, file)
        sha256, size = sha256_of_file(file), file.stat().st_size
    except OSError as err:
        raise OutputError(
            ErrorCode.OUTPUT_UNWRITABLE, f"{file} cannot be written: {err.strerror or err}"
        ) from err
    print_people(f"{file} holds {version.id} ({size / 1e6:,.1f} MB)")
    print_people(f"  there: birdcli registry import {file.name} --sha256 {sha256}")


@reports_errors
def import_version(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    *,
    sha256: Annotated[
        str | None, option(metavar="HEX", help="Digest that the archive must have.")
    ] = None,
) -> None:
    """Install a version from an archive of `export`, and verify it."""
    from birdcli.cli.installing import print_line
    from birdcli.host import usable_cpus
    from birdcli.models.bundle import import_version as install
    from birdcli.streams import protected_streams

    with protected_streams() as streams:
        imported = install(
            open_registry(),
            file,
            sha256=parse_sha256(sha256),
            who=user_name(),
            threads=usable_cpus(),
            warn=lambda text: print_line(streams.people, f"birdcli: warning: {text}"),
        )
        model = imported.version.id
        if imported.unchanged:
            print_line(streams.people, f"{model} is installed already, and its files are intact.")
            return
        works = " and works on this machine" if imported.validated else ""
        print_line(streams.people, f"{model} is installed{works}, every byte as it was exported.")
        if not imported.validated:
            print_line(streams.people, "  not validated here: its engine is not installed")
        print_line(streams.people, f"  next: birdcli registry promote {model}")
