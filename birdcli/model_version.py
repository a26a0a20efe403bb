"""One version of a model, as the manifest describes it."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from birdcli.hashing import sha256_of_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping


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


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything in the manifest; an unknown field is an error, never dropped."""


class FileEntry(Entry, frozen=True, kw_only=True):
    """One file of an installed version.

    Attributes:
        path: Relative to the version's folder, with `/`.
        bytes: Length.
        sha256: Digest, lowercase hex.
    """

    path: str
    bytes: int
    sha256: str


class LabelsSpec(Entry, frozen=True, kw_only=True):
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


class NamesSpec(Entry, frozen=True, kw_only=True):
    """The English names; `path`, `sha256` and `source` as for labels."""

    path: str
    sha256: str | None = None
    source: str | None = None


class InputSpec(Entry, frozen=True, kw_only=True):
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


class Evidence(Entry, frozen=True, kw_only=True):
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

    def made_by(self, host: str, installed: Mapping[str, str]) -> bool:
        """Tells whether a kind of host made it with the libraries that are installed.

        Args:
            host: CPU architecture and features.
            installed: Name to version, also of libraries that the proof does not name.
        """
        return self.host == host and self.libraries.items() <= installed.items()


class ModelVersion(Entry, frozen=True, kw_only=True, omit_defaults=True):
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
        """Digest of all that decides an answer: weights, labels, names, input and output.

        Histories keep it for good, so it must never change for what exists: whatever is added to
        a version later must not count while it has its default.
        """
        defaults = InputSpec()
        parts = {
            "files": {entry.path: entry.sha256 for entry in self.files or ()},
            "labels": self.labels.sha256,
            "background_id": self.labels.background_id,
            "names": self.names.sha256 if self.names else None,
            "input": {
                name: value
                for name in InputSpec.__struct_fields__
                if (value := getattr(self.input, name)) != getattr(defaults, name)
            },
            "signature": self.signature,
            "output": self.output,
        }
        return sha256_of_bytes(json.dumps(parts, sort_keys=True).encode())

    @property
    def derived_digest(self) -> str:
        """Digest of what was made here of the model: golden outputs and prepared graphs."""
        made = [*((self.golden,) if self.golden else ()), *self.prepared]
        return sha256_of_bytes(json.dumps({it.path: it.sha256 for it in made}).encode())

    def same_bytes(self, other: ModelVersion) -> bool:
        """Tells whether both answer with the very same bytes, derived ones included."""
        return (self.digest, self.derived_digest) == (other.digest, other.derived_digest)

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

    def without_evidence(self, *, host: str, installed: Mapping[str, str]) -> ModelVersion:
        """Returns this version without the proofs of one kind of host and its libraries."""
        kept = tuple(old for old in self.evidence if not old.made_by(host, installed))
        return msgspec.structs.replace(self, evidence=kept)

    def with_prepared(self, prepared: tuple[FileEntry, ...]) -> ModelVersion:
        """Returns this version with other graphs derived from its files."""
        return msgspec.structs.replace(self, prepared=prepared)
