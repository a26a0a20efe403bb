"""The versions of a registry as rows for people and programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from birdcli.cli.history_rows import Row, history_rows
from birdcli.models.engines import this_machine
from birdcli.registry.reader import natural_key
from birdcli.states import State, state_of

if TYPE_CHECKING:
    from birdcli.model_version import ModelVersion
    from birdcli.registry import Registry


LIST_COLUMNS = ("Model", "State", "Aliases", "Size", "Licence")


def shown_bytes(count: int) -> str:
    """Returns a number of bytes for people."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


def list_rows(registry: Registry) -> list[Row]:
    """Returns one row per version: model, state, validated here, aliases, bytes, licence."""
    manifest = registry.load()
    machine = this_machine()
    return [
        {
            "model": version.id,
            "state": str(state_of(version, manifest, proven=machine.proves(version))),
            "validated_here": machine.proves(version),
            "aliases": list(manifest.aliases_of(version.id)),
            "bytes": registry.disk_bytes(version),
            "licence": version.licence,
        }
        for version in sorted(manifest.versions, key=lambda v: (v.name, natural_key(v.version)))
    ]


def list_cells(rows: list[Row]) -> list[list[str]]:
    """Returns the rows of `list_rows` as the cells of a table of `LIST_COLUMNS`."""
    cells = []
    for row in rows:
        size, aliases, state = row["bytes"], row["aliases"], str(row["state"])
        if state == State.PROMOTED and not row["validated_here"]:
            state += ", not yet validated here"
        cells.append(
            [
                str(row["model"]),
                state,
                ", ".join(aliases) if isinstance(aliases, list) and aliases else "-",
                shown_bytes(size) if isinstance(size, int) and size else "-",
                str(row["licence"]) or "-",
            ]
        )
    return cells


def version_fields(registry: Registry, version: ModelVersion) -> Row:
    """Returns all that is known of a version, as JSON values."""
    manifest = registry.load()
    proven = this_machine().proves(version)
    fields: Row = {
        "model": version.id,
        "state": str(state_of(version, manifest, proven=proven)),
        "aliases": list(manifest.aliases_of(version.id)),
    }
    if version.installed:
        fields["validated_here"] = proven
        fields["disk_bytes"] = registry.disk_bytes(version)
        fields["folder"] = str(registry.version_folder(version))
        fields["digest"] = version.digest
    known = json.loads(msgspec.json.encode(version))
    fields |= {
        key: value for key, value in known.items() if key not in ("name", "version", "folder")
    }
    if version.files is None:
        fields["files"] = "pinned on first pull"
    fields["history"] = history_rows(registry.history(), version.id)
    return fields
