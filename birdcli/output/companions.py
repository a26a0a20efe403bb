"""The files beside an output, looked at before anything is changed."""

from __future__ import annotations

import errno
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from birdcli.files import sync_folder
from birdcli.output.destination import unwritable
from birdcli.output.fingerprint import fingerprint_path, fingerprint_stored
from birdcli.output.retry import drop_retried, retry_path
from birdcli.settings import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from birdcli.output.fingerprint import Fingerprint


def companions_of(output: Path) -> tuple[Path, ...]:
    """Returns the paths of the files that may lie beside an output."""
    retried = (retry_path(output, retry) for retry in (Retry.RETRYABLE, Retry.ALL))
    return fingerprint_path(output), *retried


def verify_companions(output: Path) -> None:
    """Raises unless the files beside an output are files, or can be made.

    Raises:
        OutputError: ``output.unwritable``.
    """
    for path in companions_of(output):
        # The name that it has while it is written is the longest.
        longest = path.with_name(f".{path.name}.{'0' * 12}.tmp")
        try:
            for name in (longest, path):
                if not stat.S_ISREG(_mode(name)):
                    raise OSError(errno.EINVAL, "it is no file")
        except OSError as err:
            raise unwritable(path, err) from err


@contextmanager
def begun_beside(output: Path, fingerprint: Fingerprint) -> Iterator[None]:
    """Puts the files beside an output in order, whose old content the block throws away.

    Raises:
        OSError: The folder cannot be written, which is known before the block.
    """
    with fingerprint_stored(output, fingerprint):
        yield
        drop_retried(output)
        sync_folder(output.parent)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return stat.S_IFREG  # as it will be
