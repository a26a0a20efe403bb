"""Decisions about changes of a registry, made without a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError
from birdcli.registry.history import alias_targets, installed_entries, promoted_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from birdcli.manifest import Manifest
    from birdcli.model_version import FileEntry, ModelVersion
    from birdcli.registry.history import HistoryEntry


PRODUCTION: Final = "production"
"""What answers when nobody chose a model."""
_MOST_PREPARED: Final = 8
"""Files: two TensorFlow graphs and two of OpenVINO for each of two environments."""


def verify_alias(alias: str, manifest: Manifest, history: Sequence[HistoryEntry]) -> None:
    """Raises unless an alias points where its last change in the history made it point.

    Raises:
        ModelError: ``model.history_mismatch``.
    """
    now = manifest.aliases.get(alias)
    targets = alias_targets(history).get(alias)
    wanted = targets[-1] if targets else None
    if now != wanted:
        raise ModelError(
            ErrorCode.MODEL_HISTORY_MISMATCH,
            f"the alias {alias!r} {_points_to(now)}, but by the history it {_points_to(wanted)}",
            hint="Somebody edited the manifest. `birdcli registry promote` sets the alias anew, "
            "with a proof.",
            alias=alias,
            found=now,
            expected=wanted,
        )


def _points_to(target: str | None) -> str:
    return f"points to {target}" if target else "does not exist"


def verify_recorded(version: ModelVersion, history: Sequence[HistoryEntry]) -> None:
    """Raises unless an installed version is what the history says was installed.

    Raises:
        ModelError: ``model.history_mismatch``.
    """
    if not version.installed:
        return
    entry = installed_entries(history).get(version.id)
    recorded = None if entry is None else (entry.digest, entry.derived or version.derived_digest)
    if recorded != (version.digest, version.derived_digest):
        raise ModelError(
            ErrorCode.MODEL_HISTORY_MISMATCH,
            f"the manifest's entry of {version.id} is not what was installed",
            hint="Somebody edited the manifest: restore it from a backup, or install the version "
            f"again: birdcli registry pull {version.id}",
            model=version.id,
        )


def verify_declared(version: ModelVersion, declared: Manifest) -> None:
    """Raises unless a version has what the package pins of it.

    Raises:
        ModelError: ``model.manifest_invalid`` naming what differs.
    """
    pinned = declared.version(version.id)
    if pinned is None:
        return
    names = (pinned.names and pinned.names.sha256, version.names and version.names.sha256)
    differs = {
        "format": version.format != pinned.format,
        "input": version.input != pinned.input,
        "signature": version.signature != pinned.signature,
        "background class": version.labels.background_id != pinned.labels.background_id,
        "label map": pinned.labels.sha256 not in (None, version.labels.sha256),
        "names": None not in names and names[0] != names[1],
        "files": pinned.files is not None and version.files not in (None, pinned.files),
    }
    found = [what for what, is_other in differs.items() if is_other]
    if found:
        raise ModelError(
            ErrorCode.MODEL_MANIFEST_INVALID,
            f"{version.id} is not the one that ships with birdcli: its {found[0]} differs",
            hint="Another model needs another name; the manifest was left untouched.",
            model=version.id,
        )


def plan_rollback(alias: str, manifest: Manifest, history: Sequence[HistoryEntry]) -> str:
    """Returns the version that an alias goes back to.

    Raises:
        ModelError: ``model.no_previous`` if the alias is not set or nothing is left to go back to,
            ``model.history_mismatch``, ``model.not_installed`` if the version it goes
            back to was removed.
    """
    verify_alias(alias, manifest, history)
    targets = alias_targets(history).get(alias, ())
    if len(targets) < 2:
        now = f"points to {targets[0]}, and to nothing before it" if targets else "is not set"
        raise ModelError(
            ErrorCode.MODEL_NO_PREVIOUS,
            f"the alias {alias!r} {now}: there is nothing to go back to",
            hint="`birdcli registry promote NAME@VERSION` points it to another version.",
            alias=alias,
        )
    target = targets[-2]
    version = manifest.version(target)
    if version is None or not version.installed:
        raise ModelError(
            ErrorCode.MODEL_NOT_INSTALLED,
            f"{alias} would go back to {target}, which was removed",
            hint=f"Install {target} again, or promote another version.",
            model=target,
        )
    if promoted_digest(history, alias, target) != version.digest:
        raise ModelError(
            ErrorCode.MODEL_NOT_INSTALLED,
            f"{alias} would go back to {target}, which was removed; another model has its name now",
            hint="Promote the version that you mean.",
            model=target,
        )
    return target


def plan_removal(model_id: str, manifest: Manifest) -> None:
    """Raises unless a version may be removed.

    Raises:
        ModelError: ``model.not_installed``, ``model.in_use`` naming the aliases.
    """
    if manifest.version(model_id) is None:
        raise ModelError(
            ErrorCode.MODEL_NOT_INSTALLED, f"{model_id} is not installed", model=model_id
        )
    aliases = manifest.aliases_of(model_id)
    if aliases:
        raise ModelError(
            ErrorCode.MODEL_IN_USE,
            f"{model_id} is what {', '.join(aliases)} points to",
            hint="Promote another version first, or take the alias away: "
            f"birdcli registry remove {aliases[0]}",
            model=model_id,
        )


def verify_name(name: str, manifest: Manifest, history: Sequence[HistoryEntry]) -> None:
    """Raises if a model would be called like an alias, in whose place it could then answer.

    Raises:
        ModelError: ``model.exists``.
    """
    if name in {PRODUCTION, *manifest.aliases, *alias_targets(history)}:
        raise ModelError(
            ErrorCode.MODEL_EXISTS,
            f"{name!r} is an alias, and no name for a model",
            hint=f"Add the model by another name; `birdcli registry promote NAME@VERSION --alias "
            f"{name}` points the alias to it.",
            model=name,
        )


def plan_installation(
    version: ModelVersion, manifest: Manifest, history: Sequence[HistoryEntry], *, exact: bool
) -> ModelVersion:
    """Returns a version as it is to stand in the manifest.

    The same model again repairs what is there, or brings English names that were missing.

    Args:
        version: What is to be installed.
        manifest: The registry's own versions.
        history: What led there.
        exact: Whether golden outputs, prepared graphs and names must be those that are installed,
            because they were not made here.

    Raises:
        ModelError: ``model.exists`` if the name is an alias, or the version is installed with
            other bytes.
    """
    verify_name(version.name, manifest, history)
    old = manifest.version(version.id)
    if old is None or not old.installed:
        return version
    same_names = (
        old.names is None
        or old.names.sha256 is None
        or version.names is None
        or version.names.sha256 in (None, old.names.sha256)
    )
    if not (old.same_model(version) and same_names) or (exact and not old.same_bytes(version)):
        what = "another model, label map or input"
        if old.same_model(version):
            what = "other golden outputs or prepared graphs" if same_names else "other names"
        raise ModelError(
            ErrorCode.MODEL_EXISTS,
            f"{version.id} is installed with {what}; versions never change",
            hint="Give the new bytes a new version.",
            model=version.id,
        )
    return old.installed_again(version)


def plan_prepared(version: ModelVersion, added: Sequence[FileEntry]) -> ModelVersion:
    """Returns a version with more prepared graphs.

    Those of other libraries stay as far as there is room: two environments may share a home.
    """
    paths = {entry.path for entry in added}
    kept = [entry for entry in version.prepared if entry.path not in paths]
    return version.with_prepared(tuple([*kept, *added][-_MOST_PREPARED:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What pruning takes away and why the rest stays.

    Attributes:
        removed: Versions that no alias points to or could go back to.
        kept: Version to the aliases that need it.
    """

    removed: tuple[ModelVersion, ...]
    kept: dict[str, tuple[str, ...]]


def plan_prune(manifest: Manifest, history: Sequence[HistoryEntry], *, default: str) -> PrunePlan:
    """Decides which installed versions no alias needs, now or after any number of rollbacks.

    Args:
        manifest: The registry's own versions.
        history: What led there.
        default: What answers while `production` is not set, and stays.
    """
    needed: dict[str, set[str]] = {}
    if PRODUCTION not in manifest.aliases:
        needed[default] = {f"unset {PRODUCTION}"}
    for alias, target in manifest.aliases.items():
        needed.setdefault(target, set()).add(alias)
    for alias, targets in alias_targets(history).items():
        for target in targets:
            needed.setdefault(target, set()).add(alias)
    return PrunePlan(
        removed=tuple(v for v in manifest.versions if v.installed and v.id not in needed),
        kept={
            version.id: tuple(sorted(needed[version.id]))
            for version in manifest.versions
            if version.id in needed
        },
    )
