"""Lists of photos with the species that each one shows."""

from __future__ import annotations

import io
import os
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, UsageError
from birdcli.hashing import sha256_of_bytes
from birdcli.list_lines import iter_lines, reading_list, without_bom
from birdcli.list_rows import BrokenRow, iter_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from birdcli.list_rows import Row

_PATH: Final = "path"
_SPECIES: Final = "species"
_WEB: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
_SHOWN_COLUMNS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPhoto:
    """One photo, and what it shows.

    Attributes:
        source: The path as the list has it; bytes that are no UTF-8 as surrogate escapes.
        path: Where the file is.
        species: A scientific or English name.
    """

    source: str
    path: str
    species: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoList:
    """A list of labelled photos; the same photo may stand in it more than once.

    Attributes:
        photos: At least one, in the order of the list.
        sha256: Digest of the list itself, lowercase hex.
    """

    photos: tuple[LabelledPhoto, ...]
    sha256: str


def load_photos(path: Path) -> PhotoList:
    """Reads a csv, or a tsv by its suffix, with the columns `path` and `species` in any order.

    Paths are relative to the list's own folder. Other columns are ignored.

    Raises:
        UsageError: ``usage.input_unreadable`` if the list cannot be read or has no such column, or
            for the first row that is broken, lacks a path or a species, has more cells than the
            header, or is a URL; ``usage.no_input`` if it holds no photo.
    """
    with reading_list(str(path)):
        data = path.read_bytes()
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    lines = without_bom(iter_lines(io.BytesIO(data), str(path), end=b"\n"), str(path))
    photos = tuple(_iter_photos(iter_rows(lines, delimiter=delimiter), path))
    if not photos:
        raise UsageError(ErrorCode.USAGE_NO_INPUT, f"the list {path} holds no photo")
    return PhotoList(photos=photos, sha256=sha256_of_bytes(data))


def _iter_photos(rows: Iterator[Row | BrokenRow], path: Path) -> Iterator[LabelledPhoto]:
    header = next(rows, None)
    if header is None:
        raise _unreadable(path, f"the list {path} is empty")
    if isinstance(header, BrokenRow):
        raise _bad_row(path, header.line, header.reason)
    names = [cell.strip() for cell in header.cells]
    for name in (_PATH, _SPECIES):
        if names.count(name) != 1:
            found = ", ".join(repr(column) for column in names[:_SHOWN_COLUMNS])
            what = f"no column {name!r}" if name not in names else f"two columns {name!r}"
            raise _unreadable(path, f"the list {path} has {what}: its header is {found}")
    path_at, species_at = names.index(_PATH), names.index(_SPECIES)
    for row in rows:
        if isinstance(row, BrokenRow):
            raise _bad_row(path, row.line, row.reason)
        if any(cell.strip() for cell in row.cells[len(names) :]):
            # a comma in a name that is not quoted would put half of it into the next column
            reason = (
                f"has {len(row.cells)} cells, the header {len(names)}: quote what holds a comma"
            )
            raise _bad_row(path, row.line, reason)
        source, species = (
            row.cells[at].strip(string.whitespace) if at < len(row.cells) else ""
            for at in (path_at, species_at)
        )
        _verify_row(path, row.line, source, species)
        yield LabelledPhoto(
            source=source,
            path=os.path.join(path.parent, source),  # noqa: PTH118 - pathlib takes "" for a folder
            species=species,
        )


def _verify_row(path: Path, line: int, source: str, species: str) -> None:
    for name, cell in ((_PATH, source), (_SPECIES, species)):
        if not cell:
            raise _bad_row(path, line, f"has no {name}")
    if _WEB.match(source):
        raise _bad_row(path, line, "is a URL; download the photo and name the file")
    if _NOT_UTF8.search(species):
        raise _bad_row(path, line, "has a species that is not UTF-8")


def _unreadable(path: Path, message: str) -> UsageError:
    return UsageError(
        ErrorCode.USAGE_INPUT_UNREADABLE,
        message,
        hint="A csv with the header path,species is expected, one photo a row.",
        list=str(path),
    )


def _bad_row(path: Path, line: int, reason: str) -> UsageError:
    return _unreadable(path, f"line {line} of the list {path} {reason}")
