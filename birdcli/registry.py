"""Local models: install, list, verify, promote, resolve."""

from __future__ import annotations

import errno
import json
import re
import shutil
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import msgspec

from birdcli.errors import ErrorCode, ModelError
from birdcli.files import atomic_writer, sync_folder
from birdcli.hashing import verify_digest
from birdcli.manifest import (
    Evidence,
    Manifest,
    ModelVersion,
    check_model_id,
    parse_manifest,
    render_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRODUCTION = "production"
_LOCK_TIMEOUT_S = 60.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """One line of the history.

    Attributes:
        at: When, ISO 8601 in UTC.
        who: The user's name.
        action: `install` or `promote`.
        model: The version that was installed or promoted.
        alias: The alias that moved, if one did.
        source: What the alias pointed to before (`from` in JSON).
        note: Why, in the user's words.
        evidence: The proof that a promotion rests on.
    """

    at: str
    who: str
    action: str
    model: str
    alias: str | None = None
    source: str | None = None
    note: str = ""
    evidence: Evidence | None = None


def load_builtin_manifest() -> Manifest:
    """Returns the declarations that ship with the package."""
    return parse_manifest((resources.files("birdcli") / "builtin_models.json").read_bytes())


def _natural_key(version: str) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", version)
    ]


def _unwritable(err: OSError, path: Path) -> ModelError:
    if err.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ModelError(
            ErrorCode.MODEL_UNWRITABLE,
            f"the disk of {path} is full; the registry is unchanged",
            path=str(path),
        )
    return ModelError(
        ErrorCode.MODEL_UNWRITABLE,
        f"the registry {path} cannot be written: {err.strerror or err}",
        hint="Set BIRDCLI_HOME to a folder that you may write.",
        path=str(path),
    )


class Registry:
    """The models of one home folder, merged over the declarations that ship with the package.

    Readers take no lock and never see half a change: every change is written beside, synced and
    renamed while a file lock is held.
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
        self.folder = home / "registry"
        self._declared = declared
        self._now = now
        self._lock_timeout_s = lock_timeout_s

    def _load_own(self) -> Manifest:
        path = self.folder / "manifest.json"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return Manifest()
        except OSError as err:
            raise ModelError(
                ErrorCode.MODEL_MANIFEST_INVALID,
                f"{path} cannot be read: {err.strerror}",
                path=str(path),
            ) from err
        return parse_manifest(data)

    def load(self) -> Manifest:
        """Returns all versions, own and declared, and all aliases.

        Raises:
            ModelError: ``model.manifest_invalid``.
        """
        return self._load_own().merged_over(self._declared)

    def resolve(self, reference: str) -> ModelVersion:
        """Returns the version that a `NAME@VERSION`, an alias or a bare name stands for.

        A bare name means its newest installed version, or its newest declared one.

        Raises:
            ModelError: ``model.not_found``.
        """
        manifest = self.load()
        target = manifest.aliases.get(reference, reference)
        exact = manifest.version(target)
        if exact is not None:
            return exact
        named = [version for version in manifest.versions if version.name == reference]
        if named:
            return max(named, key=lambda v: (v.installed, _natural_key(v.version)))
        known = ", ".join(sorted({v.name for v in manifest.versions} | set(manifest.aliases)))
        raise ModelError(
            ErrorCode.MODEL_NOT_FOUND,
            f"there is no model {reference!r}",
            hint=f"Known: {known}. `birdcli registry list` shows them.",
            model=reference,
        )

    def version_folder(self, version: ModelVersion) -> Path:
        """Returns where the files of an installed version are."""
        return self.folder / "models" / version.name / version.version

    def verify_files(self, version: ModelVersion) -> None:
        """Hashes every byte of an installed version.

        Raises:
            ModelError: ``model.not_installed``, or ``model.sha256_mismatch`` naming the file that
                differs, is missing, is a link, or is not in the manifest.
        """
        if version.files is None or version.golden is None:
            raise ModelError(
                ErrorCode.MODEL_NOT_INSTALLED,
                f"{version.id} is declared, but not installed",
                hint=f"birdcli registry pull {version.id}",
                model=version.id,
            )
        folder = self.version_folder(version)
        expected = {
            entry.path: entry.sha256
            for entry in (*version.files, *version.prepared, version.golden)
        }
        for text in (version.labels, version.names):
            if text is not None and text.sha256 is not None:
                expected[text.path] = text.sha256
        if folder.resolve() != self.folder.resolve() / "models" / version.name / version.version:
            raise ModelError(
                ErrorCode.MODEL_SHA256_MISMATCH, f"{folder} is a link", path=str(folder)
            )
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or (not path.is_dir() and relative not in expected):
                raise ModelError(
                    ErrorCode.MODEL_SHA256_MISMATCH,
                    f"{path} does not belong to {version.id}",
                    hint="Somebody put it there after the model was installed.",
                    path=str(path),
                )
        for relative, sha256 in expected.items():
            verify_digest(folder / relative, sha256)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            (self.folder / "models").mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / "lock", timeout=self._lock_timeout_s)
            with lock:
                yield
        except filelock.Timeout as err:
            raise ModelError(
                ErrorCode.MODEL_LOCKED,
                f"another process has held {self.folder / 'lock'} for {self._lock_timeout_s:g} s",
            ) from err
        except OSError as err:
            raise _unwritable(err, self.folder) from err

    def _save(self, manifest: Manifest, entry: HistoryEntry | None) -> None:
        if entry is not None:
            with (self.folder / "history.jsonl").open("ab") as history:
                history.write(msgspec.json.encode(entry) + b"\n")
                history.flush()
        with atomic_writer(self.folder / "manifest.json") as out:
            out.write(render_manifest(manifest))

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Gives a temporary folder beside the models, gone afterwards unless it was installed.

        Raises:
            ModelError: ``model.unwritable``.
        """
        try:
            models = self.folder / "models"
            models.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=".staging-", dir=models))
        except OSError as err:
            raise _unwritable(err, self.folder) from err
        try:
            yield staged
        except OSError as err:
            raise _unwritable(err, self.folder) from err
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def install(self, version: ModelVersion, staged: Path, *, who: str) -> None:
        """Makes a staged version part of the registry; it never moves an alias.

        The same version again replaces what is there, which may be damaged or lack its names.

        Args:
            version: The version with all its files, as they are in `staged`.
            staged: A folder of `staging`; it is moved.
            who: The user's name, for the history.

        Raises:
            ModelError: ``model.exists`` if the version is installed with another model, label map
                or input, ``model.unwritable``, ``model.locked``.
        """
        check_model_id(version.name, version.version)
        with self._locked():
            own = self._load_own()
            old = own.version(version.id)
            if old is not None and old.installed:
                if old.same_model(version):
                    version = old.installed_again(version)
                else:
                    raise ModelError(
                        ErrorCode.MODEL_EXISTS,
                        f"{version.id} is installed with other bytes; versions never change",
                        hint="Give the new bytes a new version.",
                        model=version.id,
                    )
            target = self.version_folder(version)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_symlink():
                target.unlink()
            shutil.rmtree(target, ignore_errors=True)  # damaged, or left over by a crash
            for folder in {path.parent for path in staged.rglob("*")}:
                sync_folder(folder)
            staged.rename(target)
            sync_folder(target.parent)
            entry = HistoryEntry(at=self._timestamp(), who=who, action="install", model=version.id)
            self._save(own.with_version(version), entry)

    def add_evidence(self, model_id: str, evidence: Evidence) -> None:
        """Keeps a proof that this kind of host reproduces a version's golden outputs."""
        with self._locked():
            own = self._load_own()
            version = own.version(model_id)
            if version is not None:
                self._save(own.with_version(version.with_evidence(evidence)), None)

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

    def promote(
        self, model_id: str, evidence: Evidence, *, alias: str, note: str, who: str
    ) -> str | None:
        """Points an alias to a version that has just been proven on this host.

        Args:
            model_id: `name@version`, installed.
            evidence: The proof, made by running the golden outputs now.
            alias: Which alias to move.
            note: Why, in the user's words.
            who: The user's name.

        Returns:
            What the alias pointed to before, or None if it was not set.

        Raises:
            ModelError: ``model.not_installed``, ``model.sha256_mismatch``, ``model.exists`` if the
                alias is the name of a model, ``model.unwritable``, ``model.locked``.
        """
        self.check_alias(alias)
        with self._locked():
            own = self._load_own()
            version = own.version(model_id)
            if version is None:
                raise ModelError(
                    ErrorCode.MODEL_NOT_INSTALLED, f"{model_id} is not installed", model=model_id
                )
            self.verify_files(version)
            previous = own.aliases.get(alias)
            entry = HistoryEntry(
                at=self._timestamp(),
                who=who,
                action="promote",
                model=model_id,
                alias=alias,
                source=previous,
                note=note,
                evidence=evidence,
            )
            changed = own.with_version(version.with_evidence(evidence))
            self._save(changed.with_alias(alias, model_id), entry)
        return previous

    def history(self) -> tuple[HistoryEntry, ...]:
        """Returns what happened, oldest first.

        Raises:
            ModelError: ``model.manifest_invalid`` if a line cannot be read.
        """
        path = self.folder / "history.jsonl"
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        try:
            return tuple(msgspec.json.decode(line, type=HistoryEntry) for line in lines)
        except (msgspec.DecodeError, json.JSONDecodeError) as err:
            raise ModelError(
                ErrorCode.MODEL_MANIFEST_INVALID, f"{path} is invalid: {err}", path=str(path)
            ) from err

    def _timestamp(self) -> str:
        return self._now().isoformat(timespec="seconds")
