"""The lock under which a registry is changed, and what keeps it from being changed."""

from __future__ import annotations

import errno
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import filelock

from birdcli.errors import ErrorCode, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SILENT_S: Final = 2.0
_LOG = logging.getLogger(__name__)


@contextmanager
def held_lock(folder: Path, *, timeout_s: float) -> Iterator[None]:
    """Holds the lock of a registry, whose folder is made if it is not there.

    The system takes the lock back from a process that dies.

    Args:
        folder: The registry's folder.
        timeout_s: How long to wait for another process.

    Raises:
        ModelError: ``model.locked``, or ``model.unwritable`` for what the system refuses while the
            lock is held.
    """
    lock = filelock.FileLock(folder / "lock", timeout=timeout_s)
    try:
        (folder / "models").mkdir(parents=True, exist_ok=True)
        with _patiently(lock):
            yield
    except filelock.Timeout as err:
        raise ModelError(
            ErrorCode.MODEL_LOCKED,
            f"another process has held {folder / 'lock'} for {timeout_s:g} s",
            hint="Wait for it; a process that has died holds nothing.",
        ) from err
    except OSError as err:
        raise unwritable(err, folder) from err


def unwritable(err: OSError, path: Path) -> ModelError:
    """Returns the error of a registry that cannot be written, with what helps."""
    if err.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ModelError(
            ErrorCode.MODEL_UNWRITABLE,
            f"the disk of {path} is full; the registry is unchanged",
            hint="Make room, or set BIRDCLI_HOME to a folder on another disk.",
            path=str(path),
        )
    return ModelError(
        ErrorCode.MODEL_UNWRITABLE,
        f"the registry {path} cannot be written: {err.strerror or err}",
        hint="Set BIRDCLI_HOME to a folder that you may write.",
        path=str(path),
    )


@contextmanager
def _patiently(lock: filelock.BaseFileLock) -> Iterator[None]:
    """Holds a lock; a wait that is felt is told."""
    try:
        lock.acquire(timeout=min(_SILENT_S, lock.timeout))
    except filelock.Timeout:
        if lock.timeout > _SILENT_S:
            _LOG.warning("waiting for another process, which holds %s", lock.lock_file)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
