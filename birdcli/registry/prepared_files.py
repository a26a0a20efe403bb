"""The files of prepared graphs, which come after their version was installed."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

from birdcli.files import atomic_writer, sync_folder
from birdcli.hashing import sha256_of_bytes
from birdcli.model_version import FileEntry
from birdcli.registry.integrity import PREPARED_FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from birdcli.model_version import ModelVersion


def store_prepared(
    folder: Path, files: Mapping[str, bytes], known: Collection[str]
) -> tuple[FileEntry, ...]:
    """Writes prepared graphs beside a version, each whole and synced or not at all.

    A file that the manifest lists is left as it is: somebody may be reading it.

    Args:
        folder: The version's folder.
        files: Path below it, and content.
        known: Those that the manifest lists.

    Returns:
        The new files.

    Raises:
        OSError: A file cannot be written.
    """
    if (folder / PREPARED_FOLDER).is_symlink():
        raise OSError(errno.ELOOP, "the folder of prepared graphs is a link")
    added: list[FileEntry] = []
    for path, data in files.items():
        if path in known and (folder / path).exists():
            continue
        target = folder / path
        if not target.parent.is_dir():
            target.parent.mkdir()
            sync_folder(folder)
        try:
            with atomic_writer(target) as out:
                out.write(data)
        except OSError:
            for entry in added:  # a disk that is full needs the room
                (folder / entry.path).unlink()
            raise
        added.append(FileEntry(path=path, bytes=len(data), sha256=sha256_of_bytes(data)))
    return tuple(added)


def sweep_prepared(folder: Path, version: ModelVersion) -> None:
    """Removes prepared graphs that a version does not list; what cannot be removed stays."""
    listed = {folder / entry.path for entry in version.prepared}
    if (folder / PREPARED_FOLDER).is_symlink():  # nobody knows what is behind it
        return
    with suppress(OSError):
        for path in (folder / PREPARED_FOLDER).iterdir():
            if path not in listed:
                with suppress(OSError):
                    path.unlink()
