"""One archive with all that another machine needs to install and verify a version."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError, OutputError
from birdcli.files import atomic_writer
from birdcli.hashing import digest_matches
from birdcli.manifest import Manifest, parse_manifest, render_manifest
from birdcli.models.archive import unpack_archive
from birdcli.models.engines import this_machine
from birdcli.models.load import load_labels
from birdcli.models.proof import keep_in_staging, prove_installed
from birdcli.models.source_files import open_regular
from birdcli.registry.integrity import expected_digests, verify_version_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from birdcli.model_version import ModelVersion
    from birdcli.registry import Registry

ENTRY_FILE: Final = "birdcli-model.json"
_COMPRESSION: Final = 1
"""Weights hardly shrink: gzip's fastest level takes a quarter of the time for 2 % more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of an import.

    Attributes:
        version: The version as it is installed.
        validated: Whether it has reproduced its golden outputs now.
        unchanged: Whether it was installed already, and its files are intact.
    """

    version: ModelVersion
    validated: bool = False
    unchanged: bool = False


def export_version(registry: Registry, version: ModelVersion, path: Path) -> None:
    """Writes a version into a .tar.gz, whole or not at all; the same version, the same bytes.

    Args:
        registry: Where it is installed.
        version: What to export; every byte is hashed first.
        path: The archive; one that is there is replaced.

    Raises:
        ModelError: As `Registry.verify_files`.
        OutputError: ``output.unwritable`` for a path in the registry.
        OSError: The archive cannot be written.
    """
    if path.resolve().is_relative_to(registry.folder.resolve()):
        raise OutputError(
            ErrorCode.OUTPUT_UNWRITABLE, f"{path} is in the registry, which nothing else may change"
        )
    registry.verify_files(version)
    folder = registry.version_folder(version)
    version = version.with_prepared(())  # whoever imports it makes them of the model itself
    entry = render_manifest(Manifest(versions=(version.placed_in(""),)))
    with (
        atomic_writer(path) as out,
        gzip.GzipFile("", "wb", _COMPRESSION, out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        # First, so that whoever looks into the archive need not read all of it.
        tar.addfile(_member(ENTRY_FILE, len(entry)), io.BytesIO(entry))
        for name in sorted(expected_digests(version)):
            with (folder / name).open("rb") as file:
                tar.addfile(_member(name, (folder / name).stat().st_size), file)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member


def import_version(
    registry: Registry,
    archive: Path,
    *,
    sha256: str | None,
    who: str,
    threads: int,
    warn: Callable[[str], None],
) -> Imported:
    """Installs a version from an archive of `export_version`, verified on arrival.

    Where its engine is installed, the version also has to reproduce its golden outputs; where it
    is not, the version stays `installed` until `verify` has done that.

    Args:
        registry: Where to install.
        archive: The file.
        sha256: Digest that the archive must have, or None.
        who: The user's name, for the history.
        threads: CPUs for the engine.
        warn: Tells people what is slower than it could be.

    Raises:
        ModelError: ``model.sha256_mismatch``, ``model.archive_unsafe``,
            ``model.source_unreadable``, ``model.manifest_invalid``, ``model.labels_invalid``,
            ``model.golden_mismatch``, ``model.exists`` and what `Registry.install` raises.
    """
    with registry.staging() as staged:
        open_regular(str(archive)).close()
        if sha256 is not None and not digest_matches(archive, sha256.lower()):
            raise ModelError(
                ErrorCode.MODEL_SHA256_MISMATCH, f"{archive} does not have the sha256 {sha256}"
            )
        unpack_archive(archive, staged)
        version = _read_entry(staged, archive)
        registry.verify_pins(version)
        installed = registry.load().version(version.id)
        if installed is not None and installed.digest == version.digest:
            registry.verify_files(installed)
            return Imported(version=installed, unchanged=True)
        verify_version_files(version, staged, registry.folder)
        load_labels(staged, version)  # where there is no engine nobody else reads them yet
        version = _without_prepared(version, staged)
        validates = this_machine().can_prove(version.format)
        if validates:
            proof = prove_installed(version, staged, threads=threads, warn=warn)
            version = keep_in_staging(version, staged, proof.made).with_evidence(proof.evidence)
        version = registry.install(version, staged, who=who, exact=True)
        return Imported(version=version, validated=validates)


def _without_prepared(version: ModelVersion, staged: Path) -> ModelVersion:
    """Drops prepared graphs: eight golden pictures cannot tell that they are of another model."""
    for entry in version.prepared:
        (staged / entry.path).unlink()
    return version.with_prepared(())


def _read_entry(staged: Path, archive: Path) -> ModelVersion:
    entry = staged / ENTRY_FILE
    if not entry.is_file():
        raise ModelError(
            ErrorCode.MODEL_SOURCE_UNREADABLE,
            f"{archive} is no archive of `birdcli registry export`",
            hint="`birdcli registry add` takes a model as its makers publish it.",
            source=str(archive),
        )
    versions = parse_manifest(entry.read_bytes()).versions
    if len(versions) != 1 or not versions[0].installed:
        raise ModelError(
            ErrorCode.MODEL_MANIFEST_INVALID,
            f"{archive} does not hold exactly one installed version",
            source=str(archive),
        )
    entry.unlink()
    return versions[0].placed_in("")
