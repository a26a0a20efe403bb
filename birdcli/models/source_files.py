"""Files and folders of the user, read as sources of a model."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import BinaryIO, Final

from birdcli.errors import ErrorCode, ModelError

LARGEST_TEXT: Final = 64_000_000
"""Bytes of a label map or of names; those of 965 species take 37,000."""


def unreadable(source: str, reason: str) -> ModelError:
    """Returns the error of a source that cannot be read."""
    return ModelError(
        ErrorCode.MODEL_SOURCE_UNREADABLE, f"{source} cannot be read: {reason}", source=source
    )


def is_folder(source: str) -> bool:
    """Tells whether a source is a folder; False for what is not there.

    Raises:
        ModelError: ``model.source_unreadable`` for a name that no file can have.
    """
    try:
        return Path(source).is_dir()
    except OSError as err:
        raise unreadable(source, err.strerror or str(err)) from err


def open_regular(source: str) -> BinaryIO:
    """Opens a file that has an end: a pipe would be waited for, a device read for ever.

    Raises:
        ModelError: ``model.source_unreadable``.
    """
    path = Path(source)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise unreadable(source, "it is no regular file")
        return path.open("rb")
    except OSError as err:
        raise unreadable(source, err.strerror or str(err)) from err


def read_text_file(source: str, *, called: str | None = None) -> bytes:
    """Returns the bytes of a label map or of names.

    Args:
        source: The file.
        called: What messages call it, if not by its path.

    Raises:
        ModelError: ``model.source_unreadable``, also for more than `LARGEST_TEXT` bytes.
    """
    with open_regular(source) as file:
        data = file.read(LARGEST_TEXT + 1)
    if len(data) > LARGEST_TEXT:
        raise unreadable(
            called or source, f"it has more than {LARGEST_TEXT:,} bytes, too many for names"
        )
    return data


def copy_folder(source: Path, target: Path) -> None:
    """Copies a model's folder; what fails while writing is the registry's fault, not its own.

    Raises:
        ModelError: ``model.archive_unsafe`` for a link or no regular file,
            ``model.source_unreadable``.
        OSError: The copy cannot be written.
    """
    target.mkdir()
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ModelError(
                ErrorCode.MODEL_ARCHIVE_UNSAFE,
                f"{path} is a link or no regular file; a model holds regular files only",
                member=str(path),
            )
        if path.is_dir():
            copy.mkdir()
            continue
        with open_regular(str(path)) as original, copy.open("xb") as out:
            shutil.copyfileobj(original, out)
