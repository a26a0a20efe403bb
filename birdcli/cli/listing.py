"""The registry as tables and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from birdcli.host import cpu_features, library_versions
from birdcli.models.libraries import ANSWERING_LIBRARIES
from birdcli.states import state_of

if TYPE_CHECKING:
    from birdcli.manifest import ModelVersion
    from birdcli.registry import Registry

Row: TypeAlias = dict[str, object]


def _size(version: ModelVersion) -> int:
    entries = [*(version.files or ()), *version.prepared]
    return sum(entry.bytes for entry in entries)


def list_rows(registry: Registry) -> list[Row]:
    """Returns one row per version: model, state, aliases, bytes, licence."""
    manifest = registry.load()
    host, libraries = cpu_features(), library_versions(*ANSWERING_LIBRARIES)
    return [
        {
            "model": version.id,
            "state": str(state_of(version, manifest, host=host, libraries=libraries)),
            "aliases": list(manifest.aliases_of(version.id)),
            "bytes": _size(version),
            "licence": version.licence,
        }
        for version in sorted(manifest.versions, key=lambda v: (v.name, v.version))
    ]


def table_lines(rows: list[Row]) -> list[str]:
    """Returns the rows of `list_rows` as aligned text; rich would double the command's time."""
    cells = [("MODEL", "STATE", "ALIASES", "SIZE", "LICENCE")]
    for row in rows:
        size, aliases = row["bytes"], row["aliases"]
        cells.append(
            (
                str(row["model"]),
                str(row["state"]),
                ", ".join(aliases) if isinstance(aliases, list) and aliases else "-",
                f"{size / 1e6:.1f} MB" if isinstance(size, int) and size else "-",
                str(row["licence"]) or "-",
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def version_fields(registry: Registry, version: ModelVersion) -> Row:
    """Returns all that is known of a version, as JSON values."""
    manifest = registry.load()
    host, libraries = cpu_features(), library_versions(*ANSWERING_LIBRARIES)
    fields: Row = {
        "model": version.id,
        "state": str(state_of(version, manifest, host=host, libraries=libraries)),
        "aliases": list(manifest.aliases_of(version.id)),
    }
    if version.installed:
        fields["folder"] = str(registry.version_folder(version))
        fields["digest"] = version.digest
    known = json.loads(msgspec.json.encode(version))
    fields |= {key: value for key, value in known.items() if key not in ("name", "version")}
    if version.files is None:
        fields["files"] = "pinned on first pull"
    fields["history"] = [
        json.loads(msgspec.json.encode(entry))
        for entry in registry.history()
        if entry.model == version.id
    ]
    return fields


def _value_lines(key: str, value: object, indent: int) -> list[str]:
    start = f"{' ' * indent}{key}"
    if isinstance(value, dict):
        lines = [start]
        for inner, nested in value.items():
            lines += _value_lines(str(inner), nested, indent + 2)
        return lines
    if isinstance(value, list):
        if all(not isinstance(item, dict | list) for item in value):
            return [f"{start}: {', '.join(str(item) for item in value) or '-'}"]
        lines = [start]
        for item in value:
            lines.append(f"{' ' * (indent + 2)}-")
            if isinstance(item, dict):
                for inner, nested in item.items():
                    lines += _value_lines(str(inner), nested, indent + 4)
        return lines
    return [f"{start}: {'-' if value in (None, '') else value}"]


def field_lines(fields: Row) -> list[str]:
    """Returns the fields of `version_fields` as text."""
    return [line for key, value in fields.items() for line in _value_lines(key, value, 0)]
