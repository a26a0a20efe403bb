"""Local models as whoever uses them sees them: list, resolve, verify."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, ModelError
from birdcli.manifest import Manifest, check_model_id, parse_manifest
from birdcli.registry.history import alias_targets
from birdcli.registry.integrity import verify_version_files
from birdcli.registry.plans import (
    PRODUCTION,
    PrunePlan,
    plan_prune,
    plan_rollback,
    verify_alias,
    verify_declared,
    verify_name,
    verify_recorded,
)
from birdcli.registry.state_files import StateFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from birdcli.model_version import ModelVersion
    from birdcli.registry.history import HistoryEntry
    from birdcli.registry.state_files import Snapshot


def load_builtin_manifest() -> Manifest:
    """Returns the declarations that ship with the package."""
    return parse_manifest((resources.files("birdcli") / "builtin_models.json").read_bytes())


def natural_key(version: str) -> list[tuple[int, str]]:
    """Returns what sorts versions as people do: 9 before 10."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", version)
    ]


def _not_found(reference: str, manifest: Manifest) -> ModelError:
    name, at, number = reference.partition("@")
    versions = sorted((v.version for v in manifest.versions if v.name == name), key=natural_key)
    known = sorted({v.name for v in manifest.versions} | set(manifest.aliases))
    if at and versions:
        message = f"{name} has no version {number!r}, only {', '.join(versions)}"
    elif reference == PRODUCTION:
        message = "the alias 'production' is not set"
    else:
        message = f"there is no model or alias {reference!r}"
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"Did you mean {close[0]}? " if close and close[0] != name else ""
    return ModelError(
        ErrorCode.MODEL_NOT_FOUND,
        message,
        hint=f"{meant}Known: {', '.join(known)}. `birdcli registry list` shows them.",
        model=reference,
    )


class RegistryReader:
    """The models of one home folder, merged over the declarations that ship with the package.

    Nothing here takes a lock or writes, so a home that can only be read will do.
    """

    def __init__(self, home: Path, declared: Manifest) -> None:
        """Opens the registry below `home`."""
        self.folder = home / "registry"
        self._files = StateFiles(self.folder)
        self._declared = declared

    def load(self) -> Manifest:
        """Returns all versions, own and declared, and all aliases.

        Raises:
            ModelError: ``model.manifest_invalid``.
        """
        return self._files.load().manifest.merged_over(self._declared)

    def history(self) -> tuple[HistoryEntry, ...]:
        """Returns what happened, oldest first.

        Raises:
            ModelError: ``model.manifest_invalid`` if it was cut or changed.
        """
        return self._files.load().history

    def alias_target(self, alias: str) -> str | None:
        """Returns what an alias points to, or None if it is not set.

        Raises:
            ModelError: ``model.history_mismatch`` if the history says otherwise.
        """
        snapshot = self._files.load()
        verify_alias(alias, snapshot.manifest, snapshot.history)
        return snapshot.manifest.aliases.get(alias)

    def resolve(self, reference: str) -> ModelVersion:
        """Returns the version that a `NAME@VERSION`, an alias or a bare name stands for.

        A bare name means its newest installed version, or its newest declared one.

        Raises:
            ModelError: ``model.not_found``, ``model.history_mismatch``.
        """
        snapshot = self._files.load()
        manifest = snapshot.manifest.merged_over(self._declared)
        exact = manifest.version(reference)
        if exact is not None:
            return exact
        # Before names: nothing that is called like an alias may answer in its place.
        verify_alias(reference, snapshot.manifest, snapshot.history)
        aliased = manifest.version(manifest.aliases.get(reference, ""))
        if aliased is not None:
            return aliased
        named = [version for version in manifest.versions if version.name == reference]
        if named:
            return max(named, key=lambda v: (v.installed, natural_key(v.version)))
        raise _not_found(reference, manifest)

    def version_folder(self, version: ModelVersion) -> Path:
        """Returns where the files of an installed version are."""
        return self.folder / "models" / version.name / version.version / version.folder

    def verify_pins(self, version: ModelVersion) -> None:
        """Raises unless a version has what the package pins of one with its name.

        Raises:
            ModelError: ``model.manifest_invalid``.
        """
        verify_declared(version, self._declared)

    def disk_bytes(self, version: ModelVersion) -> int:
        """Returns how many bytes the files of an installed version take, whatever they are."""
        size = 0
        if version.installed:
            with suppress(OSError):  # somebody removes it at this moment
                for path in self.version_folder(version).rglob("*"):
                    size += 0 if path.is_dir() else path.lstat().st_size
        return size

    def verify_files(self, version: ModelVersion) -> None:
        """Holds an installed version against its history, and every byte against its digest.

        Raises:
            ModelError: ``model.not_installed``, ``model.history_mismatch`` if the manifest was
                edited, or ``model.sha256_mismatch`` naming the file that differs, is missing, is a
                link, or is not in the manifest.
        """
        self._verify(version, self._files.load())

    def _verify(self, version: ModelVersion, snapshot: Snapshot) -> None:
        now = snapshot.manifest.version(version.id)
        # Another process may have prepared graphs for it since it was looked up.
        if now is not None and (now.digest, now.folder) == (version.digest, version.folder):
            verify_recorded(now, snapshot.history)
        else:
            verify_recorded(version, snapshot.history)
        verify_declared(version, self._declared)
        verify_version_files(version, self.version_folder(version), self.folder)

    def problems(self) -> tuple[ModelError, ...]:
        """Returns where the manifest disagrees with the history: aliases, then versions."""
        snapshot = self._files.load()
        manifest, history = snapshot.manifest, snapshot.history
        checks: list[Callable[[], None]] = [
            partial(verify_alias, alias, manifest, history)
            for alias in sorted({*manifest.aliases, *alias_targets(history)})
        ]
        checks += [partial(verify_recorded, version, history) for version in manifest.versions]
        problems = []
        for check in checks:
            try:
                check()
            except ModelError as err:
                problems.append(err)
        return tuple(problems)

    def check_name(self, name: str) -> None:
        """Raises unless a model may have this name.

        Raises:
            ModelError: ``model.exists`` for an alias.
        """
        snapshot = self._files.load()
        verify_name(name, snapshot.manifest, snapshot.history)

    def check_alias(self, alias: str) -> None:
        """Raises unless a word may be an alias.

        Raises:
            ModelError: ``model.manifest_invalid`` for a malformed word, ``model.exists`` for the
                name of a model.
        """
        check_model_id(alias, "1")
        if any(version.name == alias for version in self.load().versions):
            raise ModelError(
                ErrorCode.MODEL_EXISTS, f"{alias!r} is the name of a model, not an alias"
            )

    def rollback_target(self, alias: str) -> ModelVersion:
        """Returns the version that an alias would go back to.

        Raises:
            ModelError: ``model.no_previous``, ``model.history_mismatch``, ``model.not_installed``.
        """
        snapshot = self._files.load()
        return self.resolve(plan_rollback(alias, snapshot.manifest, snapshot.history))

    def plan_prune(self, *, default: str) -> PrunePlan:
        """Returns what `prune` would remove."""
        snapshot = self._files.load()
        return plan_prune(snapshot.manifest, snapshot.history, default=default)

    def aliases_back_to(self, model_id: str) -> tuple[str, ...]:
        """Returns the aliases that could be rolled back to a version."""
        targets = alias_targets(self.history())
        return tuple(sorted(alias for alias, ids in targets.items() if model_id in ids[:-1]))
