"""URLs, files, folders or stdin as one stream of inputs."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes, urlsplit

from birdcli.errors import ErrorCode, SourceError
from birdcli.items import ErrorInfo, Failed, ImageRef, SourceKind, Timings
from birdcli.lists import (
    BadEntry,
    ListFormat,
    iter_entries,
    list_format_of,
    open_list,
    verify_list,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from io import BufferedIOBase

    from birdcli.settings import ListSettings

_log = logging.getLogger(__name__)

STDIN: Final = "-"
IMAGE_SUFFIXES: Final = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff",
    ".avif", ".heic", ".heif", ".jp2", ".mpo",
)  # fmt: skip

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_NEVER_IN_URLS: Final = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class _Found:
    """An input before it is numbered; with an error it has failed already."""

    source: str
    kind: SourceKind
    id: str | None = None
    error: ErrorInfo | None = None


def iter_inputs(
    arguments: Sequence[str],
    lists: Sequence[str],
    settings: ListSettings,
    *,
    stdin: BufferedIOBase,
    clock: Callable[[], float],
) -> Iterator[ImageRef | Failed]:
    """Yields the arguments, then the entries of the lists, each as soon as it is known.

    Folders become the picture files in them, sorted by the parts of their paths, without hidden
    ones and without following links to folders. A file that does not exist is an input too.

    Args:
        arguments: URLs, files or folders; `-` is a list of lines on stdin.
        lists: Paths of lists; `-` again is stdin.
        settings: How to read lists, and which shard of all inputs to keep.
        stdin: Standard input.
        clock: Seconds, for the timings of inputs that fail here.

    Raises:
        UsageError: ``usage.input_unreadable``, at once for a list that cannot be opened, between
            inputs for one that turns out broken.
    """
    for path in lists:
        if path != STDIN:
            verify_list(path)
    return _number(_iter_found(arguments, lists, settings, stdin), settings.shard, clock)


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


def _number(
    found: Iterator[_Found], shard: tuple[int, int] | None, clock: Callable[[], float]
) -> Iterator[ImageRef | Failed]:
    kept, count = shard or (0, 1)
    for index, item in enumerate(found):
        if index % count != kept:
            continue
        ref = ImageRef(index=index, source=item.source, kind=item.kind, id=item.id)
        if item.error is None:
            yield ref
        else:
            yield Failed(ref=ref, error=item.error, timings=Timings(clock()))


def _iter_found(
    arguments: Sequence[str], lists: Sequence[str], settings: ListSettings, stdin: BufferedIOBase
) -> Iterator[_Found]:
    for argument in arguments:
        if argument == STDIN:
            yield from _iter_list(stdin, ListFormat.LINES, settings, "stdin")
        else:
            yield from _expand(argument)
    for path in lists:
        if path == STDIN:
            yield from _iter_list(stdin, ListFormat.LINES, settings, "stdin")
        else:
            with open_list(path) as stream:
                yield from _iter_list(stream, list_format_of(path), settings, path)


def _iter_list(
    stream: BufferedIOBase, list_format: ListFormat, settings: ListSettings, name: str
) -> Iterator[_Found]:
    for entry in iter_entries(stream, list_format, settings, name):
        if isinstance(entry, BadEntry):
            # The place stands for the row, which may be long, or hold half a URL with a password.
            place = f"{name}:{entry.line}"
            yield _Found(place, SourceKind.FILE, entry.id, _bad_entry(entry, name))
        else:
            yield from _expand(entry.source, entry.id)


def _bad_entry(entry: BadEntry, name: str) -> ErrorInfo:
    return ErrorInfo(
        code=entry.code,
        message=f"Line {entry.line} of {name} {entry.reason}",
        attempts=0,
        details=(("list", name), ("line", entry.line)),
    )


def _expand(source: str, row_id: str | None = None) -> Iterator[_Found]:
    scheme = _SCHEME.match(source)
    try:
        if scheme is not None and scheme[1].lower() != "file":
            _verify_web_url(source, scheme[1].lower())
            yield _Found(source, SourceKind.URL, row_id)
            return
        path = local_path(source)
    except SourceError as err:
        yield _Found(source, SourceKind.URL, row_id, ErrorInfo.from_error(err))
        return
    if _is_folder(path):
        empty = True
        for found in _walk(path, row_id):
            empty = False
            yield found
        if empty:
            _log.warning("the folder %r holds no pictures", path)
    else:
        yield _Found(source, SourceKind.FILE, row_id)


def _verify_web_url(source: str, scheme: str) -> None:
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


def _invalid_url(message: str, *, hint: str = "") -> SourceError:
    return SourceError(ErrorCode.SOURCE_INVALID_URL, message, hint=hint, attempts=0)


def _is_folder(path: str) -> bool:
    if not path:  # pathlib would take it for the current folder
        return False
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError):  # reading it will say why
        return False


def _walk(folder: str, row_id: str | None) -> Iterator[_Found]:
    """Yields the pictures under a folder; a stack, as a hostile tree is deeper than Python's."""
    stack: list[Iterator[tuple[str, bool]]] = [iter([(folder, True)])]
    while stack:
        for path, is_folder in stack[-1]:
            if not is_folder:
                yield _Found(path, SourceKind.FILE, row_id)
                continue
            try:
                names, folders = _list_folder(path)
            except OSError as err:
                error = ErrorInfo.from_error(source_error(err))
                yield _Found(path, SourceKind.FILE, row_id, error)
                continue
            stack.append(_iter_paths(path, names, folders))
            break  # its content first, then the rest of this folder
        else:
            stack.pop()


def _iter_paths(
    folder: str, names: list[str], folders: frozenset[str]
) -> Iterator[tuple[str, bool]]:
    for name in names:
        # pathlib would drop the "./" that the user typed
        yield os.path.join(folder, name), name in folders  # noqa: PTH118


def _list_folder(folder: str) -> tuple[list[str], frozenset[str]]:
    """The sorted names of pictures and subfolders, and which of them are subfolders."""
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


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: reading it will tell
        return False
