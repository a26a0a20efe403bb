"""Local models: every change under a lock, whole or not at all, and on record."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, ModelError
from birdcli.files import sync_folder, sync_tree
from birdcli.manifest import check_model_id
from birdcli.registry.history import Action, HistoryEntry, alias_targets
from birdcli.registry.locking import held_lock, unwritable
from birdcli.registry.plans import (
    plan_installation,
    plan_prepared,
    plan_prune,
    plan_removal,
    plan_rollback,
    verify_declared,
)
from birdcli.registry.prepared_files import store_prepared, sweep_prepared
from birdcli.registry.reader import RegistryReader
from birdcli.registry.staging import folder_name, remove_tree, staged_folder, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from birdcli.evaluation import Evaluation
    from birdcli.manifest import Manifest
    from birdcli.model_version import Evidence, ModelVersion
    from birdcli.registry.plans import PrunePlan
    from birdcli.registry.state_files import Snapshot

_LOCK_TIMEOUT_S = 60.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _still(proven: ModelVersion, snapshot: Snapshot) -> ModelVersion:
    """Returns what stands in the manifest for a version that was proven without a lock."""
    version = snapshot.manifest.version(proven.id)
    if version is None or not version.installed:
        raise ModelError(
            ErrorCode.MODEL_NOT_INSTALLED, f"{proven.id} is not installed", model=proven.id
        )
    if version.folder == proven.folder:  # others may have prepared graphs for it, too
        proven = proven.with_prepared(version.prepared)
    if not version.same_bytes(proven):
        raise ModelError(
            ErrorCode.MODEL_LOCKED,
            f"another process has just replaced {proven.id}; what was proven is gone",
            hint="Look at `birdcli registry history`, then try again.",
            model=proven.id,
        )
    return version


class Registry(RegistryReader):
    """The models of one home folder, to be changed.

    Every change is written beside, synced and renamed while a file lock is held, so that readers
    never see half of one; the system takes the lock back from a process that dies.
    """

    def __init__(
        self,
        home: Path,
        declared: Manifest,
        *,
        now: Callable[[], datetime] = _utc_now,
        lock_timeout_s: float = _LOCK_TIMEOUT_S,
    ) -> None:
        """Opens the registry below `home`; nothing is created before the first change."""
        super().__init__(home, declared)
        self._now = now
        self._lock_timeout_s = lock_timeout_s

    @contextmanager
    def _locked(self) -> Iterator[Snapshot]:
        """Holds the registry's lock, with what changes that never ended have left swept away."""
        with held_lock(self.folder, timeout_s=self._lock_timeout_s):
            self._files.begin()
            snapshot = self._files.load()
            sweep(self.folder, snapshot.manifest)
            yield snapshot

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Gives a temporary folder beside the models, gone afterwards unless it was installed.

        Raises:
            ModelError: ``model.unwritable``, ``model.locked``, ``model.manifest_invalid``.
        """
        try:
            with staged_folder(self.folder / "models", self._locked()) as staged:
                yield staged
        except OSError as err:
            raise unwritable(err, self.folder) from err

    def install(
        self, version: ModelVersion, staged: Path, *, who: str, exact: bool = False
    ) -> ModelVersion:
        """Makes a staged version part of the registry; it never moves an alias.

        The same version again replaces what is there, which may be damaged or lack its names.

        Args:
            version: The version with all its files, as they are in `staged`.
            staged: A folder of `staging`; it is moved.
            who: The user's name, for the history.
            exact: Whether a version that is installed must have the same golden outputs, prepared
                graphs and names, because these were not made here.

        Returns:
            The version as it is installed.

        Raises:
            ModelError: ``model.exists`` if the version is installed with another model, label map
                or input, or its name is an alias; ``model.unwritable``, ``model.locked``.
        """
        check_model_id(version.name, version.version)
        with self._locked() as snapshot:
            old = snapshot.manifest.version(version.id)
            version = plan_installation(
                version.placed_in(folder_name(staged)),
                snapshot.manifest,
                snapshot.history,
                exact=exact,
            )
            verify_declared(version, self._declared)
            target = self.version_folder(version)
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_tree(staged)
            staged.rename(target)
            for folder in (target.parent, target.parent.parent, self.folder / "models"):
                sync_folder(folder)
            entry = HistoryEntry(
                at=self._timestamp(), who=who, action=Action.INSTALL, model=version.id
            )
            self._files.commit(
                snapshot, snapshot.manifest.with_version(version), [entry.of(version)]
            )
            if old is not None and old.installed:
                remove_tree(self.version_folder(old))
        return version

    def keep_proof(
        self,
        version: ModelVersion,
        evidence: Evidence | None,
        made: Mapping[str, bytes],
        *,
        who: str,
    ) -> ModelVersion:
        """Keeps a proof that this kind of host reproduces a version's golden outputs.

        Args:
            version: The version.
            evidence: The proof, or None if only what was prepared for it is to be kept.
            made: Graphs that were prepared for it: path below the version's folder, and content.
            who: The user's name, for the history.

        Returns:
            The version as it is recorded; another process may have added to it, too.

        Raises:
            ModelError: ``model.not_installed``, ``model.locked`` if the version was replaced since
                it was proven, ``model.unwritable``.
        """
        with self._locked() as snapshot:
            now = _still(version, snapshot)
            folder = self.version_folder(now)
            added = store_prepared(folder, made, {entry.path for entry in now.prepared})
            after = plan_prepared(now, added)
            after = after if evidence is None else after.with_evidence(evidence)
            entry = HistoryEntry(at=self._timestamp(), who=who, action=Action.PREPARE, model=now.id)
            self._files.commit(
                snapshot,
                snapshot.manifest.with_version(after),
                [entry.of(after)] if added else [],
            )
            if added:
                sweep_prepared(folder, after)
        return after

    def withdraw_evidence(self, model_id: str, *, host: str, installed: Mapping[str, str]) -> None:
        """Takes back the proofs of a kind of host that no longer reproduces the golden outputs."""
        with self._locked() as snapshot:
            version = snapshot.manifest.version(model_id)
            if version is not None:
                doubted = version.without_evidence(host=host, installed=installed)
                self._files.commit(snapshot, snapshot.manifest.with_version(doubted), [])

    def promote(
        self,
        version: ModelVersion,
        evidence: Evidence,
        *,
        alias: str,
        note: str,
        who: str,
        evaluations: tuple[Evaluation, ...] = (),
    ) -> str | None:
        """Points an alias to a version that has just been proven on this host.

        Args:
            version: An installed version.
            evidence: The proof, made by running its golden outputs now.
            alias: Which alias to move.
            note: Why, in the user's words.
            who: The user's name.
            evaluations: How often it was right on labelled photos, and the model in production.

        Returns:
            What the alias pointed to before, or None if it was not set.

        Raises:
            ModelError: ``model.not_installed``, ``model.sha256_mismatch``, ``model.exists`` if the
                alias is the name of a model, ``model.unwritable``, ``model.locked``, also if the
                version was replaced since it was proven.
        """
        self.check_alias(alias)
        with self._locked() as snapshot:
            targets = alias_targets(snapshot.history).get(alias, ())
            entry = HistoryEntry(
                at=self._timestamp(),
                who=who,
                action=Action.PROMOTE,
                model=version.id,
                alias=alias,
                source=targets[-1] if targets else None,
                note=note,
                evidence=evidence,
                evaluations=evaluations,
            )
            self._move_alias(snapshot, version, entry, evidence)
        return entry.source

    def rollback(
        self, version: ModelVersion, evidence: Evidence, *, alias: str, note: str, who: str
    ) -> str | None:
        """Points an alias back to `rollback_target`, which has just been proven on this host.

        Args:
            version: What `rollback_target` returned.
            evidence: The proof, made by running its golden outputs now.
            alias: Which alias to move.
            note: Why, in the user's words.
            who: The user's name.

        Returns:
            What the alias pointed to before.

        Raises:
            ModelError: As `rollback_target` and `promote`; ``model.locked`` if somebody moved the
                alias meanwhile.
        """
        with self._locked() as snapshot:
            if plan_rollback(alias, snapshot.manifest, snapshot.history) != version.id:
                raise ModelError(
                    ErrorCode.MODEL_LOCKED,
                    f"another process has just moved {alias!r}",
                    hint="Look at `birdcli registry history`, then try again.",
                )
            left = snapshot.manifest.aliases.get(alias)
            entry = HistoryEntry(
                at=self._timestamp(),
                who=who,
                action=Action.ROLLBACK,
                model=version.id,
                alias=alias,
                source=left,
                note=note,
                evidence=evidence,
            )
            self._move_alias(snapshot, version, entry, evidence)
        return left

    def _move_alias(
        self, snapshot: Snapshot, proven: ModelVersion, entry: HistoryEntry, evidence: Evidence
    ) -> None:
        version = _still(proven, snapshot)
        self._verify(version, snapshot)
        manifest = snapshot.manifest.with_version(version.with_evidence(evidence))
        self._files.commit(
            snapshot, manifest.with_alias(entry.alias or "", version.id), [entry.of(version)]
        )

    def remove_alias(self, alias: str, *, note: str, who: str) -> str:
        """Takes an alias away; the version it points to stays.

        Returns:
            What it pointed to.

        Raises:
            ModelError: ``model.not_found``, ``model.unwritable``, ``model.locked``.
        """
        with self._locked() as snapshot:
            target = snapshot.manifest.aliases.get(alias)
            if target is None:
                raise ModelError(ErrorCode.MODEL_NOT_FOUND, f"there is no alias {alias!r}")
            entry = HistoryEntry(
                at=self._timestamp(),
                who=who,
                action=Action.UNALIAS,
                model=target,
                alias=alias,
                source=target,
                note=note,
            )
            self._files.commit(snapshot, snapshot.manifest.without_alias(alias), [entry])
        return target

    def remove(self, model_id: str, *, note: str, who: str) -> None:
        """Removes an installed version; one that ships with the package is declared again.

        Raises:
            ModelError: ``model.not_installed``, ``model.in_use`` while an alias points to it,
                ``model.unwritable``, ``model.locked``.
        """
        with self._locked() as snapshot:
            plan_removal(model_id, snapshot.manifest)
            self._remove(snapshot, [model_id], note=note, who=who)

    def prune(self, *, default: str, note: str, who: str) -> PrunePlan:
        """Removes every version that no alias needs, now or after any number of rollbacks.

        Args:
            default: What answers while `production` is not set, and stays.
            note: Why, in the user's words.
            who: The user's name.

        Raises:
            ModelError: ``model.unwritable``, ``model.locked``.
        """
        with self._locked() as snapshot:
            plan = plan_prune(snapshot.manifest, snapshot.history, default=default)
            if plan.removed:
                removed = [version.id for version in plan.removed]
                self._remove(snapshot, removed, note=note, who=who)
        return plan

    def _remove(self, snapshot: Snapshot, model_ids: Iterable[str], *, note: str, who: str) -> None:
        removed = [version for version in snapshot.manifest.versions if version.id in model_ids]
        self._files.commit(
            snapshot,
            snapshot.manifest.without_versions([version.id for version in removed]),
            [
                HistoryEntry(
                    at=self._timestamp(), who=who, action=Action.REMOVE, model=version.id, note=note
                )
                for version in removed
            ],
        )
        for version in removed:  # what a crash leaves of them is swept by the next change
            remove_tree(self.folder / "models" / version.name / version.version)

    def _timestamp(self) -> str:
        return self._now().isoformat(timespec="seconds")
