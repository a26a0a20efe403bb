"""Lists as people and programs really write them."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, UsageError
from birdcli.list_lines import MAX_LINE_BYTES
from birdcli.lists import (
    BadEntry,
    ListEntry,
    ListFormat,
    iter_entries,
    list_format_of,
    open_list,
    verify_list,
)
from birdcli.settings import ListSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Dripping(io.BytesIO):
    """Gives a few bytes per read, like a slow pipe."""

    def __init__(self, data: bytes, step: int = 1) -> None:
        super().__init__(data)
        self._step = step

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self._step)


class Endless(io.BufferedIOBase):
    """A line that never ends; counts what was read of it."""

    def __init__(self, limit: int) -> None:
        self.given = 0
        self._limit = limit

    def read1(self, size: int = -1, /) -> bytes:
        if self.given >= self._limit:
            return b""
        self.given += size
        return b"x" * size


def entries(
    data: bytes | io.BufferedIOBase,
    list_format: ListFormat = ListFormat.LINES,
    settings: ListSettings | None = None,
) -> list[ListEntry | BadEntry]:
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    return list(iter_entries(stream, list_format, settings or ListSettings(), "birds"))


def sources(data: bytes, settings: ListSettings | None = None) -> list[str]:
    found = entries(data, ListFormat.LINES, settings)
    return [entry.source for entry in found if isinstance(entry, ListEntry)]


def lines_of(found: list[ListEntry | BadEntry]) -> list[int]:
    return [entry.line for entry in found if isinstance(entry, BadEntry)]


def jsonl(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


# --- formats ---


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("urls.txt", ListFormat.LINES),
        ("urls", ListFormat.LINES),
        ("csv", ListFormat.CSV),
        ("urls.csv", ListFormat.CSV),
        ("urls.CSV.GZ", ListFormat.CSV),
        ("urls.tsv", ListFormat.TSV),
        ("a.csv/urls.jsonl.gz", ListFormat.JSONL),
        ("urls.csv.txt", ListFormat.LINES),
        ("urls.gz", ListFormat.LINES),
    ],
)
def test_the_suffix_names_the_format(path: str, expected: ListFormat) -> None:
    assert list_format_of(path) is expected


# --- lines ---


def test_lines_are_entries_in_order() -> None:
    assert sources(b"a.jpg\nhttps://example.org/b.jpg\n") == ["a.jpg", "https://example.org/b.jpg"]


def test_blank_lines_and_comments_are_skipped() -> None:
    assert sources(b"\n# birds\n  \t\n   # more\na.jpg\n\n") == ["a.jpg"]


def test_a_number_sign_inside_a_line_is_no_comment() -> None:
    assert sources(b"a#1.jpg # crow\n") == ["a#1.jpg # crow"]


def test_whitespace_around_a_line_is_stripped() -> None:
    assert sources(b"\t my crow.jpg \n") == ["my crow.jpg"]


def test_windows_line_ends_and_a_byte_order_mark_are_no_part_of_entries() -> None:
    assert sources(b"\xef\xbb\xbfa.jpg\r\nb.jpg\r\n") == ["a.jpg", "b.jpg"]


def test_a_comment_after_a_byte_order_mark_is_skipped() -> None:
    assert sources(b"\xef\xbb\xbf# birds\na.jpg") == ["a.jpg"]


def test_a_byte_order_mark_is_stripped_on_the_first_line_only() -> None:
    assert sources(b"a\n\xef\xbb\xbfb\n") == ["a", "\ufeffb"]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-16", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-32", "UTF-32"), ("utf-32-be", "UTF-32")],
)
@pytest.mark.parametrize("list_format", ListFormat)
def test_another_encoding_is_named_once_not_per_line(
    list_format: ListFormat, encoding: str, name: str
) -> None:
    text = "url\na.jpg\n" if encoding.endswith(("16", "32")) else "\ufeffurl\na.jpg\n"
    with pytest.raises(UsageError, match=f"the list birds is {name}, not UTF-8"):
        entries(text.encode(encoding), list_format)


def test_the_last_line_needs_no_end() -> None:
    assert sources(b"a.jpg\nb.jpg") == ["a.jpg", "b.jpg"]


def test_an_empty_list_has_no_entries() -> None:
    assert entries(b"") == []


def test_bytes_that_are_no_utf8_survive() -> None:
    (source,) = sources(b"caf\xe9.jpg\n")
    assert os.fsencode(source) == b"caf\xe9.jpg"


def test_lines_cut_anywhere_by_the_reader_are_whole_again() -> None:
    data = b"\xef\xbb\xbfa.jpg\r\n\r\nh\xc3\xa9ron.jpg\n#c\nlast"
    assert entries(Dripping(data)) == entries(data)
    assert len(entries(data)) == 3


def test_a_line_of_the_longest_length_is_an_entry() -> None:
    assert sources(b"a\n" + b"x" * MAX_LINE_BYTES + b"\nb\n") == ["a", "x" * MAX_LINE_BYTES, "b"]


def test_a_longer_line_is_one_bad_entry_and_the_next_is_fine() -> None:
    found = entries(b"a\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\nb\n")
    assert found == [
        ListEntry("a"),
        BadEntry(2, ErrorCode.SOURCE_UNREADABLE, "is longer than 1,000,000 bytes"),
        ListEntry("b"),
    ]


def test_a_long_comment_is_still_a_comment() -> None:
    assert entries(b"#" * (MAX_LINE_BYTES + 1) + b"\na\n") == [ListEntry("a")]


def test_a_line_without_end_is_not_kept_in_memory() -> None:
    stream = Endless(50 * MAX_LINE_BYTES)
    tracemalloc.start()
    try:
        found = entries(stream)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lines_of(found) == [1]
    assert stream.given >= 50 * MAX_LINE_BYTES
    assert peak_bytes < 8 * MAX_LINE_BYTES


def test_an_entry_comes_before_the_rest_of_the_list_is_read() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stream, os.fdopen(write_end, "wb", 0) as writer:
        writer.write(b"a.jpg\nb.j")
        found = iter_entries(stream, ListFormat.LINES, ListSettings(), "stdin")
        assert next(found) == ListEntry("a.jpg")
        writer.write(b"pg\n")
        assert next(found) == ListEntry("b.jpg")


def test_line_numbers_count_blank_lines_and_comments() -> None:
    assert lines_of(entries(b"\n# birds\n" + b"x" * (MAX_LINE_BYTES + 1))) == [3]


# --- NUL ---

NULL = ListSettings(null_separated=True)


def test_null_separated_entries_are_verbatim() -> None:
    data = b" a\n.jpg \0#b.jpg\0\xef\xbb\xbfc\0"
    assert sources(data, NULL) == [" a\n.jpg ", "#b.jpg", "\ufeffc"]


def test_an_empty_null_separated_entry_is_not_lost() -> None:
    assert sources(b"a\0\0b", NULL) == ["a", "", "b"]


def test_a_long_null_separated_entry_is_bad() -> None:
    found = entries(b"x" * (MAX_LINE_BYTES + 1) + b"\0b\0", ListFormat.LINES, NULL)
    assert lines_of(found) == [1]
    assert found[1] == ListEntry("b")


def test_null_separation_leaves_csv_alone() -> None:
    assert entries(b"url\na.jpg\n", ListFormat.CSV, NULL) == [ListEntry("a.jpg")]


# --- csv and tsv ---


def test_csv_columns_are_found_by_name() -> None:
    data = b"id,place,url\n7,Bonn,a.jpg\n"
    assert entries(data, ListFormat.CSV) == [ListEntry("a.jpg", "7")]


def test_tsv_is_split_at_tabs() -> None:
    assert entries(b"url\tid\na,b.jpg\t7\n", ListFormat.TSV) == [ListEntry("a,b.jpg", "7")]


def test_columns_can_be_named() -> None:
    settings = ListSettings(url_field="photo", id_field="key")
    data = b"photo,key,url,id\na.jpg,7,x,y\n"
    assert entries(data, ListFormat.CSV, settings) == [ListEntry("a.jpg", "7")]


def test_csv_may_have_a_byte_order_mark_windows_ends_and_padded_names() -> None:
    data = b"\xef\xbb\xbf url , id\r\na.jpg,7\r\n"
    assert entries(data, ListFormat.CSV, ListSettings(id_field="id")) == [ListEntry("a.jpg", "7")]


def test_a_csv_url_loses_the_whitespace_around_it_and_an_id_does_not() -> None:
    assert entries(b"id,url\n 7 , a.jpg \n", ListFormat.CSV) == [ListEntry("a.jpg", " 7 ")]


@pytest.mark.parametrize("row", [b"a.jpg,", b"a.jpg"])
def test_a_csv_row_without_id_has_none(row: bytes) -> None:
    assert entries(b"url,id\n" + row, ListFormat.CSV) == [ListEntry("a.jpg", None)]


def test_a_csv_list_without_id_column_has_no_ids() -> None:
    assert entries(b"url\na.jpg\n", ListFormat.CSV) == [ListEntry("a.jpg", None)]


def test_quoted_csv_cells_may_hold_delimiters_quotes_and_lines() -> None:
    data = b'url,note,id\n"a,b.jpg","a ""crow""\r\n\nin Bonn",7\nc.jpg,,8\n'
    expected = [ListEntry("a,b.jpg", "7"), ListEntry("c.jpg", "8")]
    assert entries(data, ListFormat.CSV) == expected
    assert entries(Dripping(data, 3), ListFormat.CSV) == expected


def test_blank_csv_lines_are_no_rows() -> None:
    assert entries(b"\n  \nurl,id\n\na.jpg,7\n \n", ListFormat.CSV) == [ListEntry("a.jpg", "7")]


@pytest.mark.parametrize("row", [b",7", b"  ,7"])
def test_a_csv_row_without_url_is_bad_and_keeps_its_id(row: bytes) -> None:
    found = entries(b"url,id\n\n" + row + b"\nb.jpg,8\n", ListFormat.CSV)
    assert found == [
        BadEntry(3, ErrorCode.SOURCE_INVALID_URL, "has no 'url'", "7"),
        ListEntry("b.jpg", "8"),
    ]


def test_a_csv_row_that_ends_before_the_url_is_bad() -> None:
    found = entries(b"id,url\n7\n", ListFormat.CSV)
    assert found == [BadEntry(2, ErrorCode.SOURCE_INVALID_URL, "has no 'url'", "7")]


def test_an_unclosed_quote_costs_its_own_row_only() -> None:
    data = b'url,id\na.jpg,1\n"b.jpg,2\nc.jpg,3\n"d.jpg",4\n'
    found = entries(data, ListFormat.CSV)
    assert lines_of(found) == [3]
    assert [entry for entry in found if isinstance(entry, ListEntry)] == [
        ListEntry("a.jpg", "1"),
        ListEntry("c.jpg", "3"),
        ListEntry("d.jpg", "4"),
    ]


def test_an_unclosed_quote_in_the_last_row_is_bad() -> None:
    found = entries(b'url,id\na.jpg,1\n"b.jpg,2', ListFormat.CSV)
    assert found[0] == ListEntry("a.jpg", "1")
    assert lines_of(found) == [3]


def test_an_unclosed_quote_before_very_many_rows_costs_its_own_row_only() -> None:
    rows = 30_000
    data = b'url,id\n"bad.jpg,0\n' + b"a.jpg,1\n" * rows
    found = entries(data, ListFormat.CSV)
    assert lines_of(found) == [2]
    assert len(found) == rows + 1


def test_a_csv_line_that_is_too_long_is_one_bad_entry() -> None:
    data = b"url,id\n" + b"x," * MAX_LINE_BYTES + b"\nb.jpg,8\n"
    assert entries(data, ListFormat.CSV) == [
        BadEntry(2, ErrorCode.SOURCE_UNREADABLE, "is longer than 1,000,000 bytes"),
        ListEntry("b.jpg", "8"),
    ]


def test_a_csv_row_of_endless_quoted_lines_is_given_up() -> None:
    data = b'url,id\na.jpg,"' + b'\n","' * (MAX_LINE_BYTES // 3) + b"\n"
    found = iter_entries(io.BytesIO(data), ListFormat.CSV, ListSettings(), "birds")
    first = next(found)
    assert isinstance(first, BadEntry)
    assert first.line == 2
    assert "more than 1,000,000 bytes" in first.reason


def test_csv_bytes_that_are_no_utf8_survive() -> None:
    (entry,) = entries(b"url,id\ncaf\xe9.jpg,\xff\n", ListFormat.CSV)
    assert isinstance(entry, ListEntry)
    assert os.fsencode(entry.source) == b"caf\xe9.jpg"
    assert entry.id == "\udcff"


def test_a_csv_without_the_url_column_names_its_columns() -> None:
    with pytest.raises(UsageError, match=r"no column 'url': its columns are 'photo', 'id'") as info:
        entries(b"photo,id\na.jpg,7\n", ListFormat.CSV)
    assert info.value.code is ErrorCode.USAGE_INPUT_UNREADABLE
    assert "--url-field" in info.value.hint


def test_a_very_wide_header_is_shown_in_part() -> None:
    header = ",".join(f"c{number}" for number in range(5000)).encode()
    with pytest.raises(UsageError, match=r"'c19', …$") as info:
        entries(header + b"\n", ListFormat.CSV)
    assert len(info.value.message) < 300


def test_escape_codes_in_a_header_do_not_reach_the_terminal() -> None:
    with pytest.raises(UsageError) as info:
        entries(b"\x1b[31mphoto\n", ListFormat.CSV)
    assert "\x1b" not in info.value.message


def test_a_broken_header_ends_the_run() -> None:
    with pytest.raises(UsageError, match="its header is no valid row"):
        entries(b'"url\na.jpg\n', ListFormat.CSV)


def test_an_empty_csv_has_no_entries() -> None:
    assert entries(b"\n", ListFormat.CSV) == []


# --- jsonl ---


def test_json_objects_are_entries() -> None:
    data = jsonl({"url": "a.jpg", "id": "seven"}, {"url": " b.jpg\n"})
    assert entries(data, ListFormat.JSONL) == [ListEntry("a.jpg", "seven"), ListEntry("b.jpg")]


@pytest.mark.parametrize(
    ("id_json", "expected"),
    [
        (b'"x"', "x"),
        (b'""', ""),
        (b"7", "7"),
        (b"1.10", "1.10"),
        (b"1e999", "1e999"),
        (b"true", "true"),
        (b"false", "false"),
        (b"null", None),
        (b"9" * 5000, "9" * 5000),
    ],
)
def test_any_json_scalar_is_an_id(id_json: bytes, expected: str | None) -> None:
    (entry,) = entries(b'{"url":"a.jpg","id":' + id_json + b"}", ListFormat.JSONL)
    assert entry == ListEntry("a.jpg", expected)
    assert isinstance(entry, ListEntry)
    assert type(entry.id) in (str, type(None))


@pytest.mark.parametrize("row_id", [[7], {"n": 7}])
def test_a_json_id_that_is_no_scalar_is_bad(row_id: object) -> None:
    (entry,) = entries(jsonl({"url": "a.jpg", "id": row_id}), ListFormat.JSONL)
    assert isinstance(entry, BadEntry)
    assert entry.code is ErrorCode.SOURCE_UNREADABLE


@pytest.mark.parametrize(
    "row", [b"{", b"not json", b'{"url":"a.jpg"} x', b"[" * 200_000, b"\xff", b"# no comment"]
)
def test_a_line_that_is_no_json_is_bad_and_the_next_is_fine(row: bytes) -> None:
    found = entries(b"\n" + row + b'\n{"url":"b.jpg"}', ListFormat.JSONL)
    assert found == [
        BadEntry(2, ErrorCode.SOURCE_UNREADABLE, "is no valid JSON"),
        ListEntry("b.jpg"),
    ]


@pytest.mark.parametrize("row", ["a.jpg", ["a.jpg"], 7, None])
def test_json_that_is_no_object_is_bad(row: object) -> None:
    assert entries(jsonl(row), ListFormat.JSONL) == [
        BadEntry(1, ErrorCode.SOURCE_UNREADABLE, "is no JSON object")
    ]


@pytest.mark.parametrize("row", [{}, {"url": None}, {"url": ""}, {"url": " \t"}])
def test_a_json_row_without_url_is_bad_and_keeps_its_id(row: dict[str, object]) -> None:
    assert entries(jsonl({**row, "id": 7}), ListFormat.JSONL) == [
        BadEntry(1, ErrorCode.SOURCE_INVALID_URL, "has no 'url'", "7")
    ]


@pytest.mark.parametrize("url", [5, 1.5, True, ["a.jpg"], {"href": "a.jpg"}])
def test_a_json_url_that_is_no_text_is_bad(url: object) -> None:
    assert entries(jsonl({"url": url, "id": "x"}), ListFormat.JSONL) == [
        BadEntry(1, ErrorCode.SOURCE_INVALID_URL, "has no text as 'url'", "x")
    ]


def test_json_fields_can_be_named() -> None:
    settings = ListSettings(url_field="photo", id_field="key")
    found = entries(jsonl({"photo": "a.jpg", "key": 7, "url": "x"}), ListFormat.JSONL, settings)
    assert found == [ListEntry("a.jpg", "7")]


def test_a_json_line_that_is_too_long_is_bad() -> None:
    data = jsonl({"url": "x" * MAX_LINE_BYTES}, {"url": "b.jpg"})
    assert entries(data, ListFormat.JSONL) == [
        BadEntry(1, ErrorCode.SOURCE_UNREADABLE, "is longer than 1,000,000 bytes"),
        ListEntry("b.jpg"),
    ]


def test_jsonl_may_have_a_byte_order_mark_and_bytes_that_are_no_utf8() -> None:
    (entry,) = entries(b'\xef\xbb\xbf{"url":"caf\xe9.jpg"}\r\n', ListFormat.JSONL)
    assert isinstance(entry, ListEntry)
    assert os.fsencode(entry.source) == b"caf\xe9.jpg"


# --- files ---


def read_list(path: Path) -> Iterator[ListEntry | BadEntry]:
    with open_list(str(path)) as stream:
        yield from iter_entries(stream, list_format_of(str(path)), ListSettings(), str(path))


def test_a_plain_list_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_bytes(b"a.jpg\n")
    assert list(read_list(path)) == [ListEntry("a.jpg")]


def test_a_gzipped_list_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "urls.csv.gz"
    path.write_bytes(gzip.compress(b"url,id\na.jpg,7\n") + gzip.compress(b"b.jpg,8\n"))
    assert list(read_list(path)) == [ListEntry("a.jpg", "7"), ListEntry("b.jpg", "8")]


def broken_gzip(damage: str) -> bytes:
    lines = b"".join(b"%064x.jpg\n" % (number**9) for number in range(20_000))
    packed = gzip.compress(lines)
    if damage == "cut":
        return packed[: len(packed) // 2]
    if damage == "checksum":
        return packed[:-8] + bytes(8)
    if damage == "garbage after it":
        return packed + b"garbage"
    return packed[: len(packed) // 2] + b"\xff" * 64 + packed[len(packed) // 2 + 64 :]


@pytest.mark.parametrize("damage", ["cut", "checksum", "garbage after it", "bytes changed"])
def test_a_gzip_that_breaks_off_ends_the_run_after_the_entries_before(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "urls.gz"
    path.write_bytes(broken_gzip(damage))
    found: list[ListEntry | BadEntry] = []
    with pytest.raises(UsageError) as info:
        found.extend(read_list(path))
    assert info.value.code is ErrorCode.USAGE_INPUT_UNREADABLE
    assert str(path) in info.value.message
    assert len(found) > 5_000
    assert found[1] == ListEntry(f"{1:064x}.jpg")


def test_a_gz_that_is_none_ends_the_run(tmp_path: Path) -> None:
    path = tmp_path / "urls.gz"
    path.write_bytes(b"a.jpg\n")
    with pytest.raises(UsageError, match="Not a gzipped file"):
        list(read_list(path))


def test_an_empty_gz_file_has_no_entries(tmp_path: Path) -> None:
    path = tmp_path / "urls.gz"
    path.touch()
    assert list(read_list(path)) == []


@pytest.mark.parametrize("name", ["missing.txt", "folder", ""])
def test_a_list_that_cannot_be_opened_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for attempt in (verify_list, lambda path: open_list(path).__enter__()):
        with pytest.raises(UsageError) as info:
            attempt(name)
        assert info.value.code is ErrorCode.USAGE_INPUT_UNREADABLE
        assert info.value.exit_code == 2


def test_a_list_that_can_be_opened_is_verified(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").touch()
    verify_list(str(tmp_path / "urls.txt"))


def test_verifying_a_fifo_does_not_wait_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "urls")
    verify_list(str(tmp_path / "urls"))


def test_a_disk_error_in_the_middle_ends_the_run_after_the_entries_before() -> None:
    class Failing(Dripping):
        def read1(self, size: int | None = -1, /) -> bytes:
            data = super().read1(size)
            if not data:
                raise OSError(5, "Input/output error")
            return data

    found = iter_entries(Failing(b"a\nb", 3), ListFormat.LINES, ListSettings(), "birds")
    assert next(found) == ListEntry("a")
    with pytest.raises(UsageError, match="birds cannot be read: Input/output error"):
        next(found)


def test_an_error_of_the_reader_of_a_list_is_not_taken_for_one_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").touch()
    with (
        pytest.raises(OSError, match="mine"),
        open_list(str(tmp_path / "urls.txt")),
    ):
        raise OSError("mine")
