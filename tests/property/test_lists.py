"""Whatever a list holds, every row is accounted for."""

from __future__ import annotations

import csv
import io
import json
import string
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from birdcli.lists import BadEntry, ListEntry, ListFormat, iter_entries
from birdcli.settings import ListSettings

BOM = b"\xef\xbb\xbf"
# Bytes in which what matters to a list is frequent.
LIST_BYTES = st.one_of(
    st.binary(),
    st.lists(
        st.sampled_from(
            [b"a", b"#", b" ", b"\t", b"\r", b"\n", b"\0", b'"', b",", b"{", b"}", b"\xff", BOM]
        )
    ).map(b"".join),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
URLS = TEXT.map(lambda text: text.strip(string.whitespace)).filter(bool)


class Dripping(io.BytesIO):
    """Gives a few bytes per read."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self._step)


def entries(
    data: bytes,
    list_format: ListFormat,
    *,
    null_separated: bool = False,
    step: int = 65_536,
) -> list[ListEntry | BadEntry]:
    settings = ListSettings(null_separated=null_separated)
    return list(iter_entries(Dripping(data, step), list_format, settings, "list"))


@given(LIST_BYTES, st.integers(1, 7))
def test_any_bytes_are_as_many_entries_as_lines_that_count(data: bytes, step: int) -> None:
    lines = [line.strip() for line in data.removeprefix(BOM).split(b"\n")]
    expected = [line for line in lines if line and not line.startswith(b"#")]
    found = entries(data, ListFormat.LINES, step=step)
    assert [
        entry.source.encode("utf-8", "surrogateescape")
        for entry in found
        if isinstance(entry, ListEntry)
    ] == expected
    assert len(found) == len(expected)


@given(st.lists(st.binary().map(lambda data: data.replace(b"\0", b""))), st.integers(1, 7))
def test_null_separated_bytes_come_back_as_they_were(names: list[bytes], step: int) -> None:
    data = b"".join(name + b"\0" for name in names)
    found = entries(data, ListFormat.LINES, null_separated=True, step=step)
    assert [
        entry.source.encode("utf-8", "surrogateescape")
        for entry in found
        if isinstance(entry, ListEntry)
    ] == names


@given(st.sampled_from([ListFormat.CSV, ListFormat.TSV]), LIST_BYTES, st.integers(1, 7))
def test_any_bytes_as_a_table_leave_the_rows_before_them_alone(
    list_format: ListFormat, data: bytes, step: int
) -> None:
    separator = b"," if list_format is ListFormat.CSV else b"\t"
    head = separator.join([b"url", b"id"]) + b"\n" + separator.join([b"a.jpg", b"7"]) + b"\n"
    found = entries(head + data, list_format, step=step)
    assert found[0] == ListEntry("a.jpg", "7")
    assert len(found) - 1 <= len(data.split(b"\n"))


@given(LIST_BYTES, st.integers(1, 7))
def test_any_bytes_as_jsonl_are_as_many_entries_as_lines(data: bytes, step: int) -> None:
    expected = [line for line in data.removeprefix(BOM).split(b"\n") if line.strip()]
    assert len(entries(data, ListFormat.JSONL, step=step)) == len(expected)


@given(
    st.sampled_from([(ListFormat.CSV, ","), (ListFormat.TSV, "\t")]),
    st.lists(st.tuples(URLS, TEXT)),
    # Python 3.11 leaves a lone CR unquoted where only \n ends lines.
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL)]),
    st.integers(1, 7),
)
def test_a_written_table_is_read_back(
    dialect: tuple[ListFormat, str],
    rows: list[tuple[str, str]],
    ends: tuple[str, Literal[0, 1]],
    step: int,
) -> None:
    list_format, delimiter = dialect
    text = io.StringIO(newline="")
    end, quoting = ends
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("url", "id"), *rows])
    found = entries(text.getvalue().encode(), list_format, step=step)
    assert found == [ListEntry(url, row_id or None) for url, row_id in rows]


@given(st.lists(st.tuples(URLS, st.one_of(TEXT, st.integers(), st.none()))))
def test_written_jsonl_is_read_back(rows: list[tuple[str, str | int | None]]) -> None:
    data = "".join(json.dumps({"url": url, "id": row_id}) + "\n" for url, row_id in rows).encode()
    assert entries(data, ListFormat.JSONL) == [
        ListEntry(url, None if row_id is None else str(row_id)) for url, row_id in rows
    ]


# Next to an open quote some texts with commas and quotes of their own read as csv either way.
@given(st.lists(URLS.filter(lambda url: not set(url) & set(',"\r\n'))), st.integers(0, 50))
def test_a_quote_that_is_never_closed_costs_one_row(urls: list[str], at: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [("url", "id"), *((url, "7") for url in urls)]
    )
    rows = text.getvalue().encode().split(b"\n")[:-1]
    at = 1 + at % len(rows)
    rows.insert(at, b'"broken.jpg,0')
    found = entries(b"\n".join(rows), ListFormat.CSV)
    assert [entry.line for entry in found if isinstance(entry, BadEntry)] == [at + 1]
    assert len(found) == len(urls) + 1
