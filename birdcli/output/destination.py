"""What the name of an output leads to, links followed."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from birdcli.errors import ErrorCode, OutputError
from birdcli.outside_text import visible_text
from birdcli.writer import FULL_DISK

_MOST_LINKS: Final = 40
_DESCRIPTORS: Final = re.compile(r"/dev/fd|/proc/(\d+)(?:/task/\d+)?/fd")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What this process was given as descriptor `number`, such as 1 for ``/dev/stdout``."""

    number: int


@dataclass(frozen=True, slots=True)
class Stream:
    """A pipe, a device or a socket that is neither a file nor a folder."""

    path: Path


@dataclass(frozen=True, slots=True)
class File:
    """A file, or where one is to be made.

    Attributes:
        path: Its own, no link to it.
        found: What is there, or None.
        linked: Whether the name is a link to it.
    """

    path: Path
    found: os.stat_result | None
    linked: bool


Destination: TypeAlias = Descriptor | Stream | File


def find_destination(name: Path | None) -> Destination:
    """Returns what the name of an output leads to; no name, and ``-``, are standard output.

    Descriptors are found by name and never looked at, for while libraries are kept off 1 and 2
    these lead elsewhere.

    Raises:
        OutputError: ``output.unwritable`` for a folder, links in a circle, a name that is too long
            or a folder that is missing or may not be entered.
    """
    if name is None or str(name) == "-":
        return Descriptor(1)
    try:
        return _follow(name)
    except OSError as err:
        raise unwritable(name, err) from err


def unwritable(path: Path, err: OSError) -> OutputError:
    """Returns why a file cannot be made or changed."""
    hint = ""
    if isinstance(err, FileNotFoundError):
        hint = "Its folder does not exist: create it first."
    elif isinstance(err, IsADirectoryError):
        hint = "Name a file in it."
    return OutputError(
        ErrorCode.OUTPUT_DISK_FULL if err.errno in FULL_DISK else ErrorCode.OUTPUT_UNWRITABLE,
        f"{visible_text(str(path))} cannot be written: {err.strerror}",
        hint=hint,
        path=str(path),
    )


def _follow(name: Path) -> Destination:
    place = os.fspath(name)
    for links in range(_MOST_LINKS):
        folder, last = os.path.split(place)
        if last in ("", ".", ".."):
            raise _folder()
        folder = os.path.realpath(folder, strict=True)
        number = _descriptor(folder, last)
        if number is not None:
            return Descriptor(number)
        place = os.path.join(folder, last)  # noqa: PTH118 - pathlib drops what a link means
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return File(Path(place), None, linked=links > 0)
        if not stat.S_ISLNK(found.st_mode):
            return _of_kind(Path(place), found, linked=links > 0)
        target = os.path.join(folder, os.readlink(place))  # noqa: PTH115, PTH118
        if not os.path.lexists(target) and os.path.exists(place):  # noqa: PTH110
            return Stream(Path(place))  # what another process has open; its name is no path
        place = target
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _descriptor(folder: str, last: str) -> int | None:
    found = _DESCRIPTORS.fullmatch(folder)
    if found is None or found[1] not in (None, str(os.getpid())):
        return None
    return int(last) if last.isascii() and last.isdigit() else None


def _of_kind(path: Path, found: os.stat_result, *, linked: bool) -> Destination:
    if stat.S_ISDIR(found.st_mode):
        raise _folder()
    if stat.S_ISREG(found.st_mode):
        return File(path, found, linked)
    return Stream(path)


def _folder() -> IsADirectoryError:
    return IsADirectoryError(errno.EISDIR, "it is a folder")
