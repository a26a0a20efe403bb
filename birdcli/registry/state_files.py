"""The manifest with its history, changed together or not at all.

The manifest holds length and digest of the history that belongs to it, so its rename is the moment
at which a change happens: a line that was appended for a change that never ended lies behind the
mark, is never read, and goes with the next change.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, ModelError
from birdcli.files import atomic_writer, sync_folder
from birdcli.hashing import sha256_of_bytes
from birdcli.manifest import HistoryMark, Manifest, parse_manifest, render_manifest
from birdcli.registry.history import parse_history, render_entry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from birdcli.registry.history import HistoryEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a registry at one moment.

    Attributes:
        manifest: Its own versions and aliases.
        history: What led there, oldest first.
        recorded: The same as it stands in the file.
    """

    manifest: Manifest = field(default_factory=Manifest)
    history: tuple[HistoryEntry, ...] = ()
    recorded: bytes = b""


def _invalid(message: str, path: Path, hint: str) -> ModelError:
    return ModelError(ErrorCode.MODEL_MANIFEST_INVALID, message, hint=hint, path=str(path))


def _read(path: Path) -> bytes | None:
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):  # reading a FIFO or a device would never end
            what = "a link" if stat.S_ISLNK(mode) else "no regular file"
            raise _invalid(f"{path} is {what}", path, "Put the file itself there.")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as err:
        raise _invalid(
            f"{path} cannot be read: {err.strerror}", path, "Make it readable for you."
        ) from err


class StateFiles:
    """The files `manifest.json` and `history.jsonl` of a registry's folder."""

    def __init__(self, folder: Path) -> None:
        """Names the files; nothing is read yet."""
        self._manifest = folder / "manifest.json"
        self._history = folder / "history.jsonl"

    def load(self) -> Snapshot:
        """Reads the state; needs no lock.

        Raises:
            ModelError: ``model.manifest_invalid``.
        """
        # In this order: the history only grows up to what the manifest marks.
        data = _read(self._manifest)
        recorded = _read(self._history) or b""
        if data is None:
            if recorded:
                raise _invalid(
                    f"{self._manifest} is missing, but {self._history.name} is there",
                    self._manifest,
                    "Restore it from a backup, or move the whole folder away to start anew.",
                )
            return Snapshot()
        manifest = parse_manifest(data)
        if manifest.history is not None:
            recorded = recorded[: manifest.history.bytes]
            if sha256_of_bytes(recorded) != manifest.history.sha256:
                raise _invalid(
                    f"{self._history} is not the history that the manifest knows",
                    self._history,
                    "Somebody cut or changed it; restore it from a backup.",
                )
        return Snapshot(manifest=manifest, history=parse_history(recorded), recorded=recorded)

    def begin(self) -> None:
        """Makes the manifest of a registry that has none. To be called under the lock.

        From then on a history or models without a manifest are damage, and no change that broke.

        Raises:
            ModelError: ``model.manifest_invalid`` if there is such damage.
            OSError: The manifest cannot be written.
        """
        if os.path.lexists(self._manifest):
            return
        self.load()
        models = self._manifest.parent / "models"
        if any(not path.name.startswith(".") for path in models.iterdir()):
            raise _invalid(
                f"{self._manifest} is missing, but there are models",
                self._manifest,
                "Restore it from a backup, or move the whole folder away to start anew.",
            )
        self._write_manifest(Manifest().with_history(_mark(b"")))

    def commit(self, before: Snapshot, manifest: Manifest, entries: Sequence[HistoryEntry]) -> None:
        """Replaces the state, whole or not at all. To be called under the registry's lock.

        Args:
            before: What `load` returned under the same lock.
            manifest: The new versions and aliases.
            entries: What to add to the history.

        Raises:
            OSError: A file cannot be written; the old state stands.
        """
        kept = before.recorded
        added = b"".join(render_entry(entry) for entry in entries)
        if added:
            if kept and not kept.endswith(b"\n"):  # a last line that a person edited
                added = b"\n" + added
            with self._history.open("r+b" if self._history.exists() else "wb") as history:
                history.truncate(len(kept))
                history.seek(0, os.SEEK_END)
                history.write(added)
                history.flush()
                os.fsync(history.fileno())
            sync_folder(self._history.parent)
        self._write_manifest(manifest.with_history(_mark(kept + added)))

    def _write_manifest(self, manifest: Manifest) -> None:
        data = render_manifest(manifest)
        parse_manifest(data)  # nothing may be written that nobody could read any more
        with atomic_writer(self._manifest) as out:
            out.write(data)


def _mark(history: bytes) -> HistoryMark:
    return HistoryMark(bytes=len(history), sha256=sha256_of_bytes(history))
