"""Lists of inputs: lines, csv, tsv or jsonl, gzipped or not, as a lazy stream of entries."""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat
import string
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, UsageError
from birdcli.list_lines import TOO_LONG, iter_lines, reading_list, text_of, without_bom
from birdcli.list_rows import BrokenRow, iter_rows
from birdcli.masking import masked_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase

    from birdcli.list_lines import Line
    from birdcli.settings import ListSettings

_SHOWN_COLUMNS: Final = 20


class ListFormat(StrEnum):
    """How a list holds its entries."""

    LINES = "lines"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One usable row.

    Attributes:
        source: A URL or path; bytes that are no UTF-8 as surrogate escapes.
        id: The user's own name for the row, or None.
    """

    source: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class BadEntry:
    """One row that names no input.

    Attributes:
        line: Where the row begins, from 1.
        code: ``source.unreadable`` or ``source.invalid_url``.
        reason: What is wrong with it, to follow "line 7".
        id: The user's own name for the row, if that much could be read.
    """

    line: int
    code: ErrorCode
    reason: str
    id: str | None = None


class _JsonNumber(str):
    """A number as it was written: 1.10 stays 1.10, and none has too many digits."""

    __slots__ = ()


def list_format_of(path: str) -> ListFormat:
    """Returns the format that a name's suffix stands for, after a `.gz`; lines if no other."""
    suffix = path.lower().removesuffix(".gz").rpartition(".")[2]
    return ListFormat(suffix) if suffix in ("csv", "tsv", "jsonl") else ListFormat.LINES


def verify_list(path: str) -> None:
    """Raises unless a list can be opened.

    Raises:
        UsageError: ``usage.input_unreadable``, also for a device, which may never end.
    """
    with reading_list(path):
        if stat.S_ISFIFO(Path(path).stat().st_mode):  # opening one would wait for its writer
            return
        with Path(path).open("rb") as file:
            kind = os.fstat(file.fileno()).st_mode
            if stat.S_ISBLK(kind) or (stat.S_ISCHR(kind) and not file.isatty()):
                raise OSError(errno.EINVAL, "this is a device")


@contextmanager
def open_list(path: str) -> Iterator[BufferedIOBase]:
    """Opens a list, unpacked if its name ends in `.gz`.

    Raises:
        UsageError: ``usage.input_unreadable``.
    """
    with reading_list(path):
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; errors of the block are not ours
    with file:
        if path.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
        else:
            yield file


def iter_entries(
    stream: BufferedIOBase, list_format: ListFormat, settings: ListSettings, name: str
) -> Iterator[ListEntry | BadEntry]:
    """Yields the entries of a list as they arrive; memory does not grow with the list.

    URLs and paths lose the whitespace around them, except with `null_separated`, which concerns
    the format of lines alone. Text is UTF-8, with or without a byte order mark.

    Args:
        stream: The list, unpacked.
        list_format: How to read it.
        settings: Names of fields, and whether NUL ends the lines.
        name: The list as the user knows it, for errors.

    Raises:
        UsageError: ``usage.input_unreadable`` if the list breaks off, after the entries before
            that, if it has no column with the URL, or if it is UTF-16 or UTF-32.
    """
    if list_format is ListFormat.LINES and settings.null_separated:
        return _iter_null_separated(iter_lines(stream, name, end=b"\0"))
    lines = without_bom(iter_lines(stream, name, end=b"\n"), name)
    if list_format is ListFormat.LINES:
        return _iter_plain(lines)
    if list_format is ListFormat.JSONL:
        return _iter_json(lines, settings)
    return _iter_table(lines, "," if list_format is ListFormat.CSV else "\t", settings, name)


def _unreadable(line: int, reason: str) -> BadEntry:
    return BadEntry(line, ErrorCode.SOURCE_UNREADABLE, reason)


def _entry(line: int, source: str, row_id: str | None, field: str) -> ListEntry | BadEntry:
    source = source.strip(string.whitespace)
    if not source:
        return BadEntry(line, ErrorCode.SOURCE_INVALID_URL, f"has no {field!r}", row_id)
    return ListEntry(source, row_id)


def _iter_null_separated(lines: Iterator[Line]) -> Iterator[ListEntry | BadEntry]:
    for line in lines:
        yield _unreadable(line.number, TOO_LONG) if line.too_long else ListEntry(text_of(line.data))


def _iter_plain(lines: Iterator[Line]) -> Iterator[ListEntry | BadEntry]:
    for line in lines:
        entry = line.data.strip()
        if entry.startswith(b"#"):
            continue
        if line.too_long:
            yield _unreadable(line.number, TOO_LONG)
        elif entry:
            yield ListEntry(text_of(entry))


def _iter_json(lines: Iterator[Line], settings: ListSettings) -> Iterator[ListEntry | BadEntry]:
    for line in lines:
        if line.too_long:
            yield _unreadable(line.number, TOO_LONG)
        elif line.data.strip():
            yield _json_entry(line.number, text_of(line.data), settings)


def _json_entry(line: int, text: str, settings: ListSettings) -> ListEntry | BadEntry:
    try:
        row = json.loads(
            text, parse_int=_JsonNumber, parse_float=_JsonNumber, parse_constant=_JsonNumber
        )
    except (ValueError, RecursionError):
        return _unreadable(line, "is no valid JSON")
    if not isinstance(row, dict):
        return _unreadable(line, "is no JSON object")
    row_id = row.get(settings.id_field)
    if isinstance(row_id, list | dict):
        return _unreadable(line, f"has an {settings.id_field!r} that is neither text nor number")
    if isinstance(row_id, bool):
        row_id = "true" if row_id else "false"
    elif row_id is not None:
        row_id = str(row_id)
    source = row.get(settings.url_field)
    if isinstance(source, str) and not isinstance(source, _JsonNumber):
        return _entry(line, source, row_id, settings.url_field)
    problem = "no" if source is None else "no text as"
    return BadEntry(
        line, ErrorCode.SOURCE_INVALID_URL, f"has {problem} {settings.url_field!r}", row_id
    )


def _iter_table(
    lines: Iterator[Line], delimiter: str, settings: ListSettings, name: str
) -> Iterator[ListEntry | BadEntry]:
    rows = iter_rows(lines, delimiter=delimiter)
    header = next(rows, None)
    if header is None:
        return
    if isinstance(header, BrokenRow):
        raise _no_column(name, settings.url_field, f"its header {header.reason}")
    names = [cell.strip() for cell in header.cells]
    for field, required in ((settings.url_field, True), (settings.id_field, settings.id_required)):
        if required and field not in names:
            columns = ", ".join(repr(column) for column in names[:_SHOWN_COLUMNS])
            more = ", …" if len(names) > _SHOWN_COLUMNS else ""
            raise _no_column(name, field, f"its columns are {columns}{more}")
    url_at = names.index(settings.url_field)
    id_at = names.index(settings.id_field) if settings.id_field in names else len(names)
    for row in rows:
        if isinstance(row, BrokenRow):
            yield _unreadable(row.line, row.reason)
        else:
            row_id = _cell(row.cells, id_at) or None
            yield _entry(row.line, _cell(row.cells, url_at), row_id, settings.url_field)


def _cell(cells: list[str], column: int) -> str:
    return cells[column] if column < len(cells) else ""


def _no_column(name: str, field: str, found: str) -> UsageError:
    return UsageError(
        ErrorCode.USAGE_INPUT_UNREADABLE,
        f"the list {masked_source(name)} has no column {field!r}: {found}",
        hint="Name the columns with --url-field and --id-field.",
        list=name,
    )
