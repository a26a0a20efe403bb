"""All that is known of a version, as text for people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from birdcli.cli.history_rows import history_cells, history_rows
from birdcli.cli.installing import deviation_unit
from birdcli.cli.tables import aligned_lines
from birdcli.outside_text import visible_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from birdcli.cli.history_rows import Row
    from birdcli.model_version import Evidence, FileEntry, LabelsSpec, ModelVersion, NamesSpec
    from birdcli.registry.history import HistoryEntry

_COLUMN: Final = 12
_WIDTH: Final = 140
"""Of a pipe or a file, where lines should be easy to find and cut."""
_ONE_LINE: Final = 120


def version_lines(
    version: ModelVersion, fields: Row, history: Sequence[HistoryEntry], *, width: int | None = None
) -> list[str]:
    """Returns what `registry show` prints.

    Args:
        version: The version.
        fields: What `version_fields` found out about it here.
        history: The registry's history.
        width: Cells of a line, None outside of a terminal; digests, paths and addresses are never
            broken.
    """
    lines = [version.id, ""]
    width = width or _WIDTH
    room = width - _COLUMN
    for key, values in _sections(version, fields, stacked=width < _ONE_LINE):
        told = [line for value in values for line in _fitted(visible_text(value), room)]
        for position, line in enumerate(told):
            name = key if position == 0 else ""
            lines.append(f"{name:<{_COLUMN}}{line}".rstrip())
    rows = history_cells(history_rows(history, version.id))
    if rows:
        lines += ["", *aligned_lines(("When (UTC)", "Who", "What", "Note"), rows)]
    return lines


def _fitted(text: str, room: int) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return (
        textwrap.wrap(
            text.strip(),
            room,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        if len(text) > room
        else [text]
    )


def _sections(version: ModelVersion, fields: Row, *, stacked: bool) -> list[tuple[str, list[str]]]:
    state = str(fields["state"])
    unit = deviation_unit(version)
    if fields.get("validated_here") is False:
        state += ", not yet validated here"
    sections = [
        ("state", [state]),
        ("aliases", _joined(fields["aliases"])),
        ("folder", [str(fields["folder"])] if "folder" in fields else []),
        ("disk", [f"{fields['disk_bytes']:,} bytes"] if "disk_bytes" in fields else []),
        ("digest", [str(fields["digest"])] if "digest" in fields else []),
        (
            "format",
            [str(version.format) + f", signature {version.signature}" * bool(version.signature)],
        ),
        ("input", [_input(version)]),
        ("output", [str(version.output)] if version.output else []),
        ("licence", [version.licence] if version.licence else []),
        ("limits", [version.limits] if version.limits else []),
        ("sources", list(version.sources)),
        ("provenance", [f"{key}={value}" for key, value in version.provenance.items()]),
        ("labels", _text(version.labels, stacked=stacked)),
        ("names", _text(version.names, stacked=stacked)),
        ("files", _files(version.files, stacked=stacked)),
        ("golden", _files((version.golden,) if version.golden else (), stacked=stacked)),
        ("prepared", _files(version.prepared, stacked=stacked)),
        ("validated", [line for proof in version.evidence for line in _proof(proof, unit)]),
    ]
    return [(key, values) for key, values in sections if values]


def _joined(names: object) -> list[str]:
    return [", ".join(names)] if isinstance(names, list) and names else []


def _input(version: ModelVersion) -> str:
    spec = version.input
    return (
        f"{spec.height} x {spec.width} RGB, {spec.dtype} {spec.layout}, scale {spec.scale}, "
        f"{spec.preprocessing}"
    )


def _text(spec: LabelsSpec | NamesSpec | None, *, stacked: bool) -> list[str]:
    if spec is None:
        return []
    sha256 = spec.sha256 or "pinned on first pull"
    lines = [spec.path, f"  {sha256}"] if stacked else [f"{sha256:64}  {spec.path}"]
    if spec.source:
        lines.append(f"from {spec.source}")
    background_id = getattr(spec, "background_id", None)
    if background_id is not None:
        lines.append(f"class {background_id} means that there is no bird")
    return lines


def _files(files: Sequence[FileEntry] | None, *, stacked: bool) -> list[str]:
    """Digest, size and path of each file, on one line or, where that is too long, on two."""
    if files is None:
        return ["pinned on first pull"]
    if stacked:
        pairs = ((f"{it.path}  {it.bytes:,} bytes", f"  {it.sha256}") for it in files)
        return [line for pair in pairs for line in pair]
    widest = max((len(f"{entry.bytes:,}") for entry in files), default=0)
    return [f"{entry.sha256}  {entry.bytes:>{widest},}  {entry.path}" for entry in files]


def _proof(proof: Evidence, unit: str) -> list[str]:
    libraries = ", ".join(f"{name} {version}" for name, version in proof.libraries.items())
    at = proof.at[:16].replace("T", " ")
    return [
        f"{at} UTC by {proof.backend}, within {proof.deviation:.3f} {unit} of the golden outputs",
        f"  {libraries}",
        f"  {proof.host}",
    ]
