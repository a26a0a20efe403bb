"""An output must be none of the files that are read: it would destroy them, or grow for ever."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, SourceError, UsageError
from birdcli.output.companions import companions_of
from birdcli.outside_text import visible_text
from birdcli.sources import IMAGE_SUFFIXES, STDIN, local_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from birdcli.output.destination import File


def verify_apart(output: File, read: Sequence[str]) -> None:
    """Raises if a file that records go to, or one beside it, is among those that are read.

    Args:
        output: Where records go.
        read: The inputs and lists that were named; `-` is standard input.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    written = [output.found, *(_found(path) for path in companions_of(output.path))]
    for source in read:
        found = _found_input(source)
        if found is None:
            continue
        name = visible_text(str(output.path))
        if stat.S_ISDIR(found.st_mode):
            if _would_be_picture(output.path, found):
                raise _clash(f"{name} would be a picture in {_shown(source)}")
        elif any(one is not None and os.path.samestat(one, found) for one in written):
            raise _clash(f"{name} or a file beside it is {_shown(source)}")


def verify_descriptor_apart(descriptor: int, read: Sequence[str]) -> None:
    """Raises if a descriptor that records go to leads to a file among those that are read.

    Raises:
        UsageError: ``usage.bad_flag``.
    """
    output = os.fstat(descriptor)
    if not stat.S_ISREG(output.st_mode):
        return
    for source in read:
        found = _found_input(source)
        if found is not None and os.path.samestat(output, found):
            raise _clash(f"the output is {_shown(source)}")


def _found(path: Path) -> os.stat_result | None:
    with suppress(OSError):
        return path.stat()
    return None


def _found_input(source: str) -> os.stat_result | None:
    """Returns what is read, if it is a file or a folder."""
    with suppress(OSError, ValueError, SourceError):
        found = os.fstat(0) if source == STDIN else os.stat(local_path(source))  # noqa: PTH116
        if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
            return found
    return None


def _would_be_picture(output: Path, folder: os.stat_result) -> bool:
    """Whether whoever looks for pictures in a folder would find the output."""
    if not output.name.lower().endswith(IMAGE_SUFFIXES):
        return False
    inside = (_found(parent) for parent in output.parents)
    return any(parent is not None and os.path.samestat(parent, folder) for parent in inside)


def _shown(source: str) -> str:
    return "standard input" if source == STDIN else visible_text(source)


def _clash(how: str) -> UsageError:
    return UsageError(
        ErrorCode.USAGE_BAD_FLAG,
        f"records would go into what is read: {how}",
        hint="Choose another output.",
    )
