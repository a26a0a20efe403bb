"""`birdcli registry`: the models of this machine."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from birdcli.cli import aliases, bundles, comparing, removing
from birdcli.cli.context import open_registry, print_people, reports_errors, say
from birdcli.cli.options import option
from birdcli.cli.values import parse_model_id, parse_sha256, parse_size
from birdcli.errors import ErrorCode, ModelError, UsageError
from birdcli.model_version import InputSpec, LabelsSpec, ModelFormat, NamesSpec, Scale
from birdcli.registry import load_builtin_manifest

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Install, check and promote models."
)

ModelId = Annotated[str, typer.Argument(metavar="NAME@VERSION", show_default=False)]
Json = Annotated[bool, option("--json", help="Print JSON.")]
LabelsFrom = Annotated[
    str | None, option("--labels", metavar="PATH|URL", help="The label map, a copy.")
]
NamesFrom = Annotated[
    str | None, option("--names", metavar="PATH|URL", help="English names, a copy.")
]


@app.command("list")
@reports_errors
def list_versions(*, as_json: Json = False) -> None:
    """List the models of this machine and how far each one has come."""
    from birdcli.cli.listing import LIST_COLUMNS, list_cells, list_rows
    from birdcli.cli.tables import print_table

    registry = open_registry()
    rows = list_rows(registry)
    for problem in registry.problems():
        print_people(f"birdcli: warning: {problem.message}")
    if as_json:
        say(json.dumps(rows, indent=2))
    else:
        print_table(LIST_COLUMNS, list_cells(rows))


@app.command()
@reports_errors
def show(model: ModelId, *, as_json: Json = False) -> None:
    """Show everything that is known of a version."""
    from birdcli.cli.listing import version_fields
    from birdcli.cli.showing import version_lines
    from birdcli.cli.tables import terminal_width

    registry = open_registry()
    version = registry.resolve(model)
    fields = version_fields(registry, version)
    if as_json:
        say(json.dumps(fields, indent=2))
    else:
        lines = version_lines(version, fields, registry.history(), width=terminal_width())
        say("\n".join(lines))


@app.command()
@reports_errors
def pull(
    model: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", show_default=False)],
    *,
    source: Annotated[
        str | None,
        option("--from", metavar="PATH|URL", help="A copy instead of its own sources."),
    ] = None,
    labels: LabelsFrom = None,
    names: NamesFrom = None,
) -> None:
    """Install a declared version from its own sources, or from a copy."""
    from birdcli.cli.installing import damage, install_tools, partials_folder, print_line
    from birdcli.models.install import SourceOverrides, install
    from birdcli.streams import protected_streams

    registry = open_registry()
    version = registry.resolve(model)
    with protected_streams() as streams:
        if version.installed:
            problem = damage(registry, version)
            wants_names = names is not None and (version.names is None or not version.names.sha256)
            if problem is None and not wants_names:
                print_line(streams.people, f"{version.id} is installed and its files are intact.")
                return
            if problem is not None:
                print_line(streams.people, f"birdcli: {problem}; installing it again")
            declared = load_builtin_manifest().version(version.id)
            if declared is not None:  # what was pinned for names that were missing till now
                version = version.with_names(declared.names)
        overrides = SourceOverrides(model=source, labels=labels, names=names)
        tools = install_tools(streams.people, name=version.id, partials=partials_folder(registry))
        install(registry, version, overrides, tools)
        print_line(streams.people, f"{version.id} is installed and works on this machine.")
        if not registry.load().aliases_of(version.id):
            print_line(streams.people, f"  next: birdcli registry promote {version.id}")


@app.command()
@reports_errors
def add(
    model: ModelId,
    source: Annotated[str, typer.Argument(metavar="PATH|URL", show_default=False)],
    *,
    labels: Annotated[
        str,
        option(metavar="PATH|URL", help="The label map: a csv with id,name, or a line per class."),
    ],
    names: Annotated[
        str | None,
        option(
            metavar="PATH|URL", help="Lines of `Scientific name (English name)`, one per class."
        ),
    ] = None,
    model_format: Annotated[
        ModelFormat | None,
        option("--format", help="Format of the source.", show_default="by its content"),
    ] = None,
    signature: Annotated[
        str | None,
        option(
            help="Name of the signature, or INPUT,OUTPUT of a frozen graph.",
            show_default="the usual or only one",
        ),
    ] = None,
    input_size: Annotated[
        str | None,
        option(
            metavar="N|HxW",
            help="Pixels, for models that take any.",
            show_default="what the model says",
        ),
    ] = None,
    scale: Annotated[
        Scale | None,
        option(
            help="What levels become: 0..1, -1..1, or 0..255 as they are. float32 models need it.",
            show_default="0..1 for hub modules",
        ),
    ] = None,
    preprocessing: Annotated[
        str, option(help="squash-antialias@1 or squash-bilinear@1.")
    ] = InputSpec().preprocessing,
    background_id: Annotated[
        int | None, option(min=0, help="The class that means no bird.")
    ] = None,
    sha256: Annotated[
        str | None, option(metavar="HEX", help="Digest that the archive must have.")
    ] = None,
    provenance: Annotated[
        list[str] | None, option(metavar="KEY=VALUE", help="Where it came from; repeatable.")
    ] = None,
) -> None:
    """Register a new version from a folder, a file or a URL.

    A file is a .tar.gz, .zip, .tflite or .pb; a URL may also be a handle of Kaggle or tfhub.dev.
    """
    from birdcli.cli.installing import install_tools, partials_folder, print_line
    from birdcli.models.claims import Claims
    from birdcli.models.install import Draft, SourceOverrides
    from birdcli.models.install import add as add_version
    from birdcli.streams import protected_streams

    name, number = parse_model_id(model)
    if model_format is ModelFormat.EFFICIENTNET_LITE0:
        raise UsageError(ErrorCode.USAGE_BAD_FLAG, f"--format {model_format} is built in only")
    draft = Draft(
        name=name,
        version=number,
        source=source,
        labels=LabelsSpec(path="labels.csv", source=labels, background_id=background_id),
        names=None if names is None else NamesSpec(path="names.txt", source=names),
        provenance=_parse_provenance(provenance or []),
        claims=Claims(
            format=model_format,
            signature=signature,
            size=parse_size(input_size, "--input-size"),
            scale=scale,
            preprocessing=preprocessing,
        ),
    )
    registry = open_registry()
    registry.check_name(name)
    if load_builtin_manifest().version(model) is not None:
        raise ModelError(
            ErrorCode.MODEL_EXISTS,
            f"{model} ships with birdcli",
            hint=f"birdcli registry pull {model}, or choose a name of your own.",
            model=model,
        )
    with protected_streams() as streams:
        overrides = SourceOverrides(labels=labels, names=names, sha256=parse_sha256(sha256))
        tools = install_tools(streams.people, name=model, partials=partials_folder(registry))
        add_version(registry, draft, overrides, tools)
        print_line(streams.people, f"{model} is installed and works on this machine.")
        print_line(streams.people, f"  next: birdcli registry promote {model}")


@app.command()
@reports_errors
def verify(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="NAME@VERSION", show_default=False)
    ] = None,
    *,
    digests_only: Annotated[
        bool, option("--digests-only", help="Hash the files, run nothing.")
    ] = False,
) -> None:
    """Hash every byte and reproduce the golden outputs.

    Without a version, all that are installed.
    """
    from birdcli.cli.installing import deviation_unit, print_line, prove, withdraw
    from birdcli.streams import protected_streams

    registry = open_registry()
    versions = [registry.resolve(model) for model in models or []]
    versions = versions or [v for v in registry.load().versions if v.installed]
    with protected_streams() as streams:
        failures: list[ModelError] = [] if models else list(registry.problems())
        for problem in failures:
            print_line(streams.people, f"{problem.code}: {problem.message}")
        for version in versions:
            try:
                found = "every byte is as installed"
                if digests_only:
                    registry.verify_files(version)
                else:
                    _, evidence = prove(registry, version, streams.people)
                    found += f"; {evidence.backend} reproduces the golden outputs within "
                    found += f"{evidence.deviation:.3f} {deviation_unit(version)}"
            except ModelError as err:
                if err.code is ErrorCode.MODEL_GOLDEN_MISMATCH:
                    withdraw(registry, version, streams.people)
                failures.append(err)
                found = f"{err.code}: {err.message}"
            print_line(streams.people, f"{version.id}: {found}")
        if not versions:
            print_line(streams.people, "no version is installed")
    if failures:
        raise failures[0]


def _parse_provenance(pairs: list[str]) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(
                ErrorCode.USAGE_BAD_FLAG, f"--provenance {pair!r}: KEY=VALUE is expected"
            )
        parsed[key] = value
    return parsed


app.command()(aliases.promote)
app.command()(comparing.compare)
app.command()(aliases.rollback)
app.command()(aliases.history)
app.command()(removing.remove)
app.command()(removing.prune)
app.command("export")(bundles.export_version)
app.command("import")(bundles.import_version)
