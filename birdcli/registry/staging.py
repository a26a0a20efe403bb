"""Folders of installations on their way, and what is swept when whoever made them is gone."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import filelock

from birdcli.registry.prepared_files import sweep_prepared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from birdcli.manifest import Manifest

_PREFIX = ".staging-"
_LOCK = ".lock"


@contextmanager
def staged_folder(models: Path, locked: AbstractContextManager[object]) -> Iterator[Path]:
    """Gives a temporary folder beside the models, gone afterwards unless it was moved.

    A lock beside the folder tells sweepers that its maker lives: the system gives the lock back
    however the process ends.

    Args:
        models: The folder of all models.
        locked: The registry's lock; held for the moment in which the folder is made.

    Raises:
        OSError: The folder cannot be made.
    """
    folder = models / f"{_PREFIX}{uuid.uuid4().hex[:12]}"
    alive = filelock.FileLock(folder.with_name(folder.name + _LOCK))
    with locked:
        alive.acquire(timeout=0)
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            _lock_file(folder).unlink()
        alive.release()


def folder_name(staged: Path) -> str:
    """Returns the name that a staged folder gets once it is installed; never given twice."""
    return staged.name.removeprefix(_PREFIX)


def _lock_file(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def _sweep_staging(folder: Path) -> None:
    path = _lock_file(folder)
    if path.is_symlink() or path.is_dir():  # no lock of ours
        remove_tree(path)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return  # its maker lives
    if os.path.lexists(folder):
        remove_tree(folder)
    path.unlink(missing_ok=True)
    lock.release()


def iter_leftovers(models: Path, manifest: Manifest) -> Iterator[Path]:
    """Yields folders of versions that the manifest does not name: changes that never ended.

    Args:
        models: The folder of all models.
        manifest: The registry's own versions.
    """
    known = {
        (version.name, version.version): version.folder
        for version in manifest.versions
        if version.installed
    }
    for name in _folders(models):
        for version in _folders(name):
            kept = known.get((name.name, version.name))
            if kept is None:
                yield version
            elif kept:
                yield from (child for child in version.iterdir() if child.name != kept)


def _folders(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def sweep(registry: Path, manifest: Manifest) -> None:
    """Takes away what changes that never ended have left; only under the registry's lock.

    What cannot be removed stays for the next time.

    Args:
        registry: The registry's folder.
        manifest: The registry's own versions.
    """
    models = registry / "models"
    leftovers: list[Path] = []
    staged: set[Path] = set()
    with suppress(OSError):
        leftovers += registry.glob(".manifest.json.*.tmp")
        leftovers += iter_leftovers(models, manifest)
        staged.update(
            path.with_name(path.name.removesuffix(_LOCK)) for path in models.glob(f"{_PREFIX}*")
        )
    for path in leftovers:
        with suppress(OSError):
            remove_tree(path)
    for path in staged:
        with suppress(OSError):
            _sweep_staging(path)
    for version in manifest.versions:
        sweep_prepared(models / version.name / version.version / version.folder, version)


def remove_tree(path: Path) -> None:
    """Removes a folder, file or link as far as it can be, and the folder above once empty."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.parent.rmdir()
