"""The JSON model manifest as a type."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SCHEMA = 1
LARGEST_INPUT = 4096
"""Pixels."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ModelFormat(StrEnum):
    """How a model's source is laid out."""

    TF1_HUB = "tf1-hub"
    SAVED_MODEL = "saved-model"
    FROZEN_GRAPH = "frozen-graph"
    TFLITE = "tflite"
    EFFICIENTNET_LITE0 = "efficientnet-lite0"
    """PyTorch weights of a Python package, converted into a SavedModel while installing."""


class Scale(StrEnum):
    """What becomes of the 256 levels of a channel before the model sees them."""

    UNIT = "unit"
    """x / 255, a division: 0 to 1."""
    SYMMETRIC = "symmetric"
    """x / 127.5 - 1: -1 to 1."""
    NONE = "none"
    """0 to 255."""


class InputType(StrEnum):
    """The numbers that a model takes."""

    FLOAT32 = "float32"
    UINT8 = "uint8"
    """The levels as they are."""
    INT8 = "int8"
    """The levels minus 128."""


class Layout(StrEnum):
    """The order of a picture's axes: images, height, width, channels."""

    NHWC = "NHWC"
    NCHW = "NCHW"


class OutputKind(StrEnum):
    """What the numbers are that a model gives."""

    PROBABILITIES = "probabilities"
    PROBABILITIES_8BIT = "probabilities-8bit"
    """In steps of 1/256, so that most classes get exactly 0."""
    LOGITS = "logits"


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything in the manifest; an unknown field is an error, never dropped."""


class FileEntry(_Entry, frozen=True, kw_only=True):
    """One file of an installed version.

    Attributes:
        path: Relative to the version's folder, with `/`.
        bytes: Length.
        sha256: Digest, lowercase hex.
    """

    path: str
    bytes: int
    sha256: str


class LabelsSpec(_Entry, frozen=True, kw_only=True):
    """The label map: class ids to the model's own names.

    Attributes:
        path: Relative to the version's folder.
        sha256: Digest; None in a declaration that pins it when it is first fetched.
        source: Where it comes from, or None.
        background_id: The class that means "no bird", or None.
    """

    path: str
    sha256: str | None = None
    source: str | None = None
    background_id: int | None = None


class NamesSpec(_Entry, frozen=True, kw_only=True):
    """The English names; `path`, `sha256` and `source` as for labels."""

    path: str
    sha256: str | None = None
    source: str | None = None


class InputSpec(_Entry, frozen=True, kw_only=True):
    """What the model is fed.

    Attributes:
        height: Pixels.
        width: Pixels.
        scale: Levels to numbers; `none` for integer types.
        preprocessing: Name of the recipe from a picture to pixels.
        dtype: Type of the numbers.
        layout: Order of the axes.
    """

    height: int = 224
    width: int = 224
    scale: Scale = Scale.UNIT
    preprocessing: str = "squash-antialias@1"
    dtype: InputType = InputType.FLOAT32
    layout: Layout = Layout.NHWC


class Evidence(_Entry, frozen=True, kw_only=True):
    """A proof that one kind of host reproduced the golden outputs.

    Attributes:
        host: CPU architecture and features; never a host's name, so that containers share it.
        backend: Engine and precision.
        libraries: Name to version of the libraries that matter.
        deviation: Largest RMS difference of log-probabilities over the probes, nat.
        at: When, ISO 8601 in UTC.
    """

    host: str
    backend: str
    libraries: dict[str, str]
    deviation: float
    at: str

    def same_circumstances(self, other: Evidence) -> bool:
        """Tells whether both were made by the same kind of host, engine and libraries."""
        return (self.host, self.backend, self.libraries) == (
            other.host,
            other.backend,
            other.libraries,
        )


class ModelVersion(_Entry, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a model, declared or installed.

    Attributes:
        name: Model name; in JSON it is the key, not a field.
        version: Any short word; in JSON it is the key, not a field.
        format: Layout of the source.
        sources: Where it can be had, in order of preference.
        labels: Class ids to the model's own names.
        names: English names, or None.
        input: What it is fed.
        signature: Name of the SavedModel signature, or `INPUT,OUTPUT` of a frozen graph.
        output: Kind of its numbers; None until installed.
        licence: SPDX identifier or empty.
        limits: The model card's limits, in a sentence.
        provenance: Where this version came from, as key and value.
        files: Files, pinned in a declaration or once installed; None means pinned on first pull.
        golden: Expected outputs, made while installing.
        prepared: Graphs derived from `files`, faster to load.
        evidence: Which kinds of host reproduced the golden outputs.
        folder: Where the files are, below the version's own folder; each installation has a new
            one, so that a second installation never passes through a state without files.
    """

    name: str = ""
    version: str = ""
    format: ModelFormat
    sources: tuple[str, ...] = ()
    labels: LabelsSpec
    names: NamesSpec | None = None
    input: InputSpec = InputSpec()
    signature: str = "default"
    output: OutputKind | None = None
    licence: str = ""
    limits: str = ""
    provenance: dict[str, str] = {}
    files: tuple[FileEntry, ...] | None = None
    golden: FileEntry | None = None
    prepared: tuple[FileEntry, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    folder: str = ""

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def installed(self) -> bool:
        """Whether its bytes were on this machine when the manifest was written."""
        return self.files is not None and self.golden is not None

    @property
    def digest(self) -> str:
        """Digest of all that decides an answer: weights, labels, names, input and output."""
        parts = [
            [[entry.path, entry.sha256] for entry in self.files or ()],
            [self.labels.sha256, self.labels.background_id],
            [self.names.sha256 if self.names else None],
            [self.input.height, self.input.width, self.input.scale, self.input.preprocessing],
            [self.input.dtype, self.input.layout],
            [self.signature, self.output],
        ]
        return sha256_of_bytes(json.dumps(parts).encode())

    def same_model(self, other: ModelVersion) -> bool:
        """Tells whether both give the same scores to the same classes."""
        return (self.files, self.labels.sha256, self.labels.background_id) == (
            other.files,
            other.labels.sha256,
            other.labels.background_id,
        ) and (self.input, self.signature, self.output) == (
            other.input,
            other.signature,
            other.output,
        )

    def with_names(self, names: NamesSpec | None) -> ModelVersion:
        """Returns this version with another list of names."""
        return msgspec.structs.replace(self, names=names)

    def placed_in(self, folder: str) -> ModelVersion:
        """Returns this version with its files in another folder below its own."""
        return msgspec.structs.replace(self, folder=folder)

    def installed_again(self, other: ModelVersion) -> ModelVersion:
        """Returns this version with what a second installation of the same model made anew."""
        return msgspec.structs.replace(
            self,
            names=other.names,
            golden=other.golden,
            prepared=other.prepared,
            evidence=other.evidence,
            folder=other.folder,
        )

    def with_evidence(self, evidence: Evidence) -> ModelVersion:
        """Returns this version with one proof more, replacing one of the same circumstances."""
        kept = tuple(old for old in self.evidence if not old.same_circumstances(evidence))
        return msgspec.structs.replace(self, evidence=(*kept, evidence))

    def without_evidence(self, *, host: str, libraries: Mapping[str, str]) -> ModelVersion:
        """Returns this version without the proofs of one kind of host."""
        kept = tuple(
            old for old in self.evidence if (old.host, old.libraries) != (host, dict(libraries))
        )
        return msgspec.structs.replace(self, evidence=kept)


class HistoryMark(_Entry, frozen=True, kw_only=True):
    """How far the history belongs to a manifest; what follows is of a change that never ended.

    Attributes:
        bytes: Length of that part.
        sha256: Its digest, lowercase hex.
    """

    bytes: int
    sha256: str


class Manifest(_Entry, frozen=True, kw_only=True):
    """All versions and aliases of a registry, in the order they came.

    Attributes:
        versions: The versions.
        aliases: Alias to `name@version`.
        history: The part of the history that belongs to it; None for all of it.
    """

    versions: tuple[ModelVersion, ...] = ()
    aliases: dict[str, str] = {}
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
        return msgspec.structs.replace(self, versions=(*self.versions, *extra))


class _ManifestFile(_Entry, frozen=True, kw_only=True):
    """The manifest as it stands in JSON."""

    schema: int
    models: dict[str, dict[str, ModelVersion]] = {}
    aliases: dict[str, str] = {}
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
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
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


def check_model_id(name: str, version: str) -> None:
    """Raises unless both words are fit for a folder and a command line.

    Raises:
        ModelError: ``model.manifest_invalid``.
    """
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
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
