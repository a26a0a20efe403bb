"""The JSON model manifest as a type."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import Entry, ModelVersion

if TYPE_CHECKING:
    from collections.abc import Collection

SCHEMA = 1
LARGEST_INPUT = 4096
"""Pixels."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class HistoryMark(Entry, frozen=True, kw_only=True):
    """How far the history belongs to a manifest; what follows is of a change that never ended.

    Attributes:
        bytes: Length of that part.
        sha256: Its digest, lowercase hex.
    """

    bytes: int
    sha256: str


class Manifest(Entry, frozen=True, kw_only=True):
    """All versions and aliases of a registry, in the order they came.

    Attributes:
        versions: The versions.
        aliases: Alias to `name@version`.
        history: The part of the history that belongs to it; None for all of it.
    """

    versions: tuple[ModelVersion, ...] = ()
    aliases: dict[str, str] = msgspec.field(default_factory=dict)
    history: HistoryMark | None = None

    def version(self, model_id: str) -> ModelVersion | None:
        """Returns the version with this `name@version`, or None if there is none."""
        return next((version for version in self.versions if version.id == model_id), None)

    def aliases_of(self, model_id: str) -> tuple[str, ...]:
        """Returns the aliases that point to a version, sorted."""
        return tuple(sorted(a for a, target in self.aliases.items() if target == model_id))

    def with_version(self, version: ModelVersion) -> Manifest:
        """Returns the manifest with a version added or replaced."""
        kept = tuple(old for old in self.versions if old.id != version.id)
        return msgspec.structs.replace(self, versions=(*kept, version))

    def without_versions(self, model_ids: Collection[str]) -> Manifest:
        """Returns the manifest without these versions."""
        kept = tuple(version for version in self.versions if version.id not in model_ids)
        return msgspec.structs.replace(self, versions=kept)

    def with_alias(self, alias: str, model_id: str) -> Manifest:
        """Returns the manifest with an alias set."""
        return msgspec.structs.replace(self, aliases=self.aliases | {alias: model_id})

    def without_alias(self, alias: str) -> Manifest:
        """Returns the manifest without an alias."""
        kept = {name: target for name, target in self.aliases.items() if name != alias}
        return msgspec.structs.replace(self, aliases=kept)

    def with_history(self, mark: HistoryMark) -> Manifest:
        """Returns the manifest with another mark in the history."""
        return msgspec.structs.replace(self, history=mark)

    def merged_over(self, declared: Manifest) -> Manifest:
        """Returns the union with read-only declarations; own versions win."""
        own = {version.id for version in self.versions}
        extra = tuple(version for version in declared.versions if version.id not in own)
        # The mark is of the file alone, which the union is not.
        return msgspec.structs.replace(self, versions=(*self.versions, *extra), history=None)


class _ManifestFile(Entry, frozen=True, kw_only=True):
    """The manifest as it stands in JSON."""

    schema: int
    models: dict[str, dict[str, ModelVersion]] = msgspec.field(default_factory=dict)
    aliases: dict[str, str] = msgspec.field(default_factory=dict)
    history: HistoryMark | None = None


class _SchemaOnly(msgspec.Struct):
    """What is read first: fields of a newer schema must not look like mistakes."""

    schema: int


def _invalid(message: str) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_MANIFEST_INVALID,
        f"the manifest is invalid: {message}",
        hint="It was left untouched; restore it from a backup, or move it away to start anew.",
    )


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise _invalid(f"the key {twice!r} stands twice")
    return fields


def _check_path(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or ":" in parts[0]:
        raise _invalid(f"the path {path!r} leaves the registry")


def _check_version(version: ModelVersion) -> None:
    check_model_id(version.name, version.version)
    if not (
        1 <= version.input.height <= LARGEST_INPUT and 1 <= version.input.width <= LARGEST_INPUT
    ):
        raise _invalid(f"an input of {version.input.height} x {version.input.width} pixels")
    entries = [*(version.files or ()), *version.prepared]
    if version.golden is not None:
        entries.append(version.golden)
    if version.folder and not _VERSION.fullmatch(version.folder):
        raise _invalid(f"{version.folder!r} is no name of a folder ({version.id})")
    for entry in entries:
        _check_path(entry.path)
    texts = [text for text in (version.labels, version.names) if text is not None]
    for text in texts:
        _check_path(text.path)
    digests = [entry.sha256 for entry in entries]
    digests += [text.sha256 for text in texts if text.sha256 is not None]
    for digest in digests:
        if not _SHA256.fullmatch(digest):
            raise _invalid(f"{digest!r} is no sha256 ({version.id})")


def is_model_id(name: str, version: str) -> bool:
    """Tells whether both words are fit for a folder and a command line."""
    return bool(_NAME.fullmatch(name) and _VERSION.fullmatch(version))


def check_model_id(name: str, version: str) -> None:
    """Raises unless both words are fit for a folder and a command line.

    Raises:
        ModelError: ``model.manifest_invalid``.
    """
    if not is_model_id(name, version):
        raise ModelError(
            ErrorCode.MODEL_MANIFEST_INVALID,
            f"{name}@{version} is no model id: lower-case letters, digits, . _ - only, as in "
            "my-birds@2",
        )


def parse_manifest(data: bytes) -> Manifest:
    """Reads a manifest.

    Args:
        data: JSON, UTF-8.

    Raises:
        ModelError: ``model.manifest_invalid`` for JSON that is cut or no JSON, duplicate keys,
            unknown fields, a newer schema, paths that leave the registry, malformed digests or
            an alias that points nowhere.
    """
    try:
        json.loads(data, object_pairs_hook=_refuse_duplicates)
        schema = msgspec.json.decode(data, type=_SchemaOnly).schema
        if schema != SCHEMA:
            raise _invalid(f"schema {schema} is not {SCHEMA}: a newer birdcli wrote it")
        file = msgspec.json.decode(data, type=_ManifestFile)
    except (ValueError, RecursionError) as err:
        raise _invalid(str(err)) from err
    versions = tuple(
        msgspec.structs.replace(entry, name=name, version=version)
        for name, by_version in file.models.items()
        for version, entry in by_version.items()
    )
    for version in versions:
        _check_version(version)
    known = {version.id for version in versions}
    for alias, target in file.aliases.items():
        check_model_id(alias, "1")
        if target not in known:
            raise _invalid(f"the alias {alias!r} points to {target!r}, which is not there")
    return Manifest(versions=versions, aliases=file.aliases, history=file.history)


def render_manifest(manifest: Manifest) -> bytes:
    """Returns the manifest as indented JSON that `parse_manifest` reads back to an equal value."""
    models: dict[str, dict[str, ModelVersion]] = {}
    for version in manifest.versions:
        entry = msgspec.structs.replace(version, name="", version="")
        models.setdefault(version.name, {})[version.version] = entry
    file = _ManifestFile(
        schema=SCHEMA, models=models, aliases=manifest.aliases, history=manifest.history
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"
