"""Class ids to scientific and English names."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from birdcli.errors import ErrorCode, ModelError

_CLASS_ID = re.compile(r"0|[1-9][0-9]{0,8}")
_HYBRID_SIGN = "\u00d7"
_LONGEST_NAME = 1000
"""Characters; golden outputs hold names, and nothing is read from outside without a bound."""
_EXPECTED = (
    "a csv with the header id,name is expected, or the names alone, one per line in the order of "
    "the classes"
)
_SEPARATOR = re.compile(r"[,;|\t:]")
_COLUMN_WORDS = frozenset(
    {"id", "ids", "index", "idx", "class", "classid", "name", "names", "label", "labels"}
)
_SPACED_COLUMN_WORDS = frozenset({"id", "index", "name", "label"})
_NUMBER_FIRST = re.compile(r"""\s*["']?[0-9]+["']?\s*[,;|\t:]""")
_NUMBER_LAST = re.compile(r""".*[,;|\t:] *["']?[0-9]+["']? *$""")
_NUMBERED = re.compile(r"""\s*["'(\[]?[0-9]+[^\w]""")
_NAMED = re.compile(r"(?P<label>.+?) \((?P<common>[^()]+(?:\([^()]*\)[^()]*)*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """The names of a model's classes.

    Attributes:
        labels: The model's own names, by class id.
        common_names: English names by class id, None where there is none.
        background_id: The class that means "no bird", or None.
    """

    labels: tuple[str, ...]
    common_names: tuple[str | None, ...]
    background_id: int | None = None

    def __len__(self) -> int:
        """The number of classes."""
        return len(self.labels)


def _invalid(message: str, row: int) -> ModelError:
    return ModelError(ErrorCode.MODEL_LABELS_INVALID, f"label map, row {row}: {message}", row=row)


def _decode_text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        row = data.count(b"\n", 0, err.start) + 1
        raise _invalid("not UTF-8", row) from err


def _check_length(name: str, row: int) -> None:
    if len(name) > _LONGEST_NAME:
        raise _invalid(f"a name of more than {_LONGEST_NAME:,} characters", row)


def _parse_id_rows(text: str) -> dict[int, tuple[int, str]]:
    """Returns row number and name by class id."""
    labels: dict[int, tuple[int, str]] = {}
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    next(rows)
    try:
        for row in rows:
            if not row:
                continue
            if len(row) < 2 or not row[1].strip():
                raise _invalid("an id and a name are expected", rows.line_num)
            if not _CLASS_ID.fullmatch(row[0]):
                raise _invalid(f"{row[0][:40]!r} is no class id", rows.line_num)
            class_id = int(row[0])
            _check_length(row[1], rows.line_num)
            if class_id in labels:
                raise _invalid(f"class id {class_id} stands twice", rows.line_num)
            labels[class_id] = rows.line_num, row[1].strip()
    except csv.Error as err:
        raise _invalid(str(err), rows.line_num) from err
    return labels


def _has_our_header(line: str) -> bool:
    try:
        cells = next(csv.reader([line]))
    except csv.Error:  # a cell of more than 131,072 characters
        return False
    return [cell.strip().lower() for cell in cells[:2]] == ["id", "name"]


def _is_column_name(cell: str) -> bool:
    """Tells whether a cell is a usual header such as `id`, `class_id` or `common name`."""
    cell = cell.strip(" \"'").lower()
    parts = re.split("[_.-]", cell)
    return parts[-1] in _COLUMN_WORDS or (" " in cell and cell.split()[-1] in _SPACED_COLUMN_WORDS)


def _find_table(lines: list[str]) -> int | None:
    """Returns the row (from 1) that shows that lines are a table of ids and names, or None.

    Taken for plain names, its rows would name classes by their position, that is wrongly.
    """
    cells = _SEPARATOR.split(lines[0])
    if len(cells) > 1 and any(_is_column_name(cell) for cell in cells[:2]):
        return 1
    for row, line in enumerate(lines, start=1):
        if _NUMBER_FIRST.match(line):
            return row
    # The first line may be the header of a table in any language.
    below, row = (lines[1:], 2) if len(lines) > 1 else (lines, 1)
    for pattern in (_NUMBER_LAST, _NUMBERED):
        if all(pattern.match(line) for line in below):
            return row
    return None


def parse_label_map(data: bytes) -> tuple[str, ...]:
    """Reads the model's own class names.

    Args:
        data: A csv with the header `id,name`, in any order of rows, mapped by id and never by
            row; or plain lines, where line i (from 0) names class i. Any other table is refused.

    Returns:
        The labels, by class id.

    Raises:
        ModelError: ``model.labels_invalid`` with the row (from 1) for an id that stands twice, a
            gap, an empty or an endless name, text that is no UTF-8, or a table of another kind.
    """
    text = _decode_text(data)
    lines = text.splitlines()
    if not lines:
        raise _invalid("it is empty", 1)
    if not _has_our_header(lines[0]):
        table = _find_table(lines)
        if table is not None:
            raise _invalid(
                f"{lines[table - 1][:40]!r} is of another kind of table; {_EXPECTED}", table
            )
        for row, line in enumerate(lines, start=1):
            if not line.strip():
                raise _invalid("a name is missing", row)
            _check_length(line, row)
        return tuple(line.strip() for line in lines)
    labels = _parse_id_rows(text)
    if not labels:
        raise _invalid("it names no class", 2)
    for class_id in range(len(labels)):
        if class_id not in labels:
            above = min(other for other in labels if other > class_id)
            raise _invalid(f"class id {class_id} is missing before {above}", labels[above][0])
    return tuple(labels[class_id][1] for class_id in range(len(labels)))


def check_class_count(labels: tuple[str, ...], class_count: int) -> None:
    """Raises unless there is one label for each of the model's outputs.

    Raises:
        ModelError: ``model.labels_invalid``.
    """
    if len(labels) != class_count:
        first = min(len(labels), class_count)
        what = (
            f"class {first} has no label"
            if len(labels) < class_count
            else (f"label {labels[first]!r} (id {first}) has no class")
        )
        raise ModelError(
            ErrorCode.MODEL_LABELS_INVALID,
            f"the label map names {len(labels)} classes, the model has {class_count}: {what}",
            labels=len(labels),
            classes=class_count,
        )


def parse_common_names(data: bytes, labels: tuple[str, ...]) -> tuple[str | None, ...]:
    r"""Reads English names from lines of `Scientific name (English name)`.

    Args:
        data: Line i (from 0) names class i; a literal `\xd7` stands for the sign of a hybrid.
        labels: The model's own names, by class id.

    Returns:
        The names by class id; None where there is no line, no English name, or where the line
        names another species than the label, because a wrong name is worse than none.
    """
    names: list[str | None] = [None] * len(labels)
    text = data.decode("utf-8-sig", errors="replace").replace("\\xd7", _HYBRID_SIGN)
    for class_id, line in enumerate(text.splitlines()[: len(labels)]):
        found = _NAMED.fullmatch(line.strip())
        if found and found["label"] == labels[class_id].replace("\\xd7", _HYBRID_SIGN):
            names[class_id] = found["common"]
    return tuple(names)
