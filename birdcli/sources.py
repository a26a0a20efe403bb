"""What the text of one input stands for: a URL, a file or a folder."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from birdcli.errors import ErrorCode, SourceError

STDIN: Final = "-"
IMAGE_SUFFIXES: Final = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff",
    ".avif", ".heic", ".heif", ".jp2", ".mpo",
)  # fmt: skip

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_NEVER_IN_URLS: Final = re.compile(r"[\x00-\x20\x7f]")


def web_scheme(source: str) -> str | None:
    """Returns the scheme of a URL, lowercase; None for a path and for a `file://` URL."""
    scheme = _SCHEME.match(source)
    if scheme is None or (name := scheme[1].lower()) == "file":
        return None
    return name


def local_path(source: str) -> str:
    """Returns the path of an input of kind FILE: itself, or what a `file://` URL stands for.

    Raises:
        SourceError: ``source.invalid_url`` if it is a `file://` URL of no local path.

    Source:
        RFC 8089.
    """
    scheme = _SCHEME.match(source)
    if scheme is None or scheme[1].lower() != "file":
        return source
    host, slash, path = source[scheme.end() :].partition("/")
    if host.lower() not in ("", "localhost") or not slash or "?" in path or "#" in path:
        raise _invalid_url("This file:// URL names no local path", hint="Give the path itself.")
    try:
        return os.fsdecode(unquote_to_bytes(f"/{path}".encode("utf-8", "surrogateescape")))
    except UnicodeEncodeError as err:  # half a character
        raise _invalid_url("This file:// URL is no text") from err


def source_error(err: OSError) -> SourceError:
    """Returns why a file or folder cannot be read, for people and programs."""
    reason = err.strerror or str(err)
    name = errno.errorcode.get(err.errno or 0, str(err.errno))
    if isinstance(err, FileNotFoundError | NotADirectoryError):
        return SourceError(ErrorCode.SOURCE_NOT_FOUND, "There is no such file", errno=name)
    if isinstance(err, PermissionError):
        return SourceError(ErrorCode.SOURCE_PERMISSION, f"It may not be read: {reason}", errno=name)
    return SourceError(ErrorCode.SOURCE_UNREADABLE, f"It cannot be read: {reason}", errno=name)


def verify_web_url(source: str, scheme: str) -> None:
    """Raises unless text can be the URL of a picture.

    Args:
        source: The text.
        scheme: See `web_scheme`.

    Raises:
        SourceError: ``source.bad_scheme`` or ``source.invalid_url``.
    """
    if scheme not in ("http", "https"):
        raise SourceError(
            ErrorCode.SOURCE_BAD_SCHEME,
            f"{scheme}:// is no scheme birdcli can read",
            hint="http://, https://, file:// and plain paths work.",
            attempts=0,
            scheme=scheme,
        )
    if _NEVER_IN_URLS.search(source):
        raise _invalid_url(
            "A URL holds no spaces and no control characters", hint="Write a space as %20."
        )
    try:
        parts = urlsplit(source)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError as err:
        raise _invalid_url("This is no valid URL") from err
    if not usable:
        raise _invalid_url("This URL names no host or no port")


def is_folder(path: str) -> bool:
    """Tells whether a path leads to a folder; not so whatever cannot be looked at."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - pathlib takes "" for "."
    except (OSError, ValueError):  # reading it will say why
        return False


def list_folder(folder: str) -> tuple[list[str], frozenset[str]]:
    """Returns the sorted names of pictures and subfolders, and which of them are subfolders.

    Raises:
        OSError: It cannot be listed.
    """
    names: list[str] = []
    folders: set[str] = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.add(entry.name)
                names.append(entry.name)
            elif entry.name.lower().endswith(IMAGE_SUFFIXES) and not _leads_to_folder(entry):
                names.append(entry.name)
    return sorted(names), frozenset(folders)


def _invalid_url(message: str, *, hint: str = "") -> SourceError:
    return SourceError(ErrorCode.SOURCE_INVALID_URL, message, hint=hint, attempts=0)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: reading it will tell
        return False
