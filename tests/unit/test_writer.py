"""Outcomes as JSON lines or csv, and what a bad output does to them."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest

from birdcli.errors import ErrorCode, OutputError
from birdcli.record import encode_record, record_of
from birdcli.writer import (
    CsvWriter,
    JsonLinesWriter,
    LineSink,
    OutcomeWriter,
    csv_header,
    csv_row,
)
from tests.unit.test_record import CROW, RAVEN, classified, failed

if TYPE_CHECKING:
    from birdcli.items import Outcome, Prediction


class FlawedTarget(io.RawIOBase):
    """Takes some bytes per write, then fails."""

    def __init__(
        self, *, takes: int = 1_000_000, fails_after: int = 1_000_000, error: int = 0
    ) -> None:
        super().__init__()
        self.taken = b""
        self.writes = 0
        self._takes = takes
        self._fails_after = fails_after
        self._error = error

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        assert isinstance(data, memoryview)
        self.writes += 1
        if self.writes > self._fails_after:
            raise OSError(self._error, os.strerror(self._error))
        piece = bytes(data[: self._takes])
        self.taken += piece
        return len(piece)


class FailsToClose(FlawedTarget):
    """Takes everything and says only in the end that it is lost."""

    def close(self) -> None:
        if not self.closed:
            super().close()
            raise OSError(self._error, os.strerror(self._error))


def binary(target: io.RawIOBase) -> BinaryIO:
    return cast("BinaryIO", target)


def opened(path: Path) -> BinaryIO:
    return path.open("wb", buffering=0)


def csv_rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode("utf-8"), newline="")))


def written_csv(tmp_path: Path, *outcomes: Outcome, top_k: int = 3) -> bytes:
    path = tmp_path / "out.csv"
    writer = CsvWriter(opened(path), top_k=top_k)
    for outcome in outcomes:
        writer.write([writer.encode(outcome)])
    writer.close()
    return path.read_bytes()


def test_json_lines_are_the_records_in_order(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    writer: OutcomeWriter = JsonLinesWriter(opened(path), run="run-1")
    outcomes: list[Outcome] = [classified(index=0), failed(index=1)]
    for outcome in outcomes:
        writer.write([writer.encode(outcome)])
    writer.close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines == [encode_record(record_of(outcome, "run-1")) for outcome in outcomes]


def test_record_is_in_the_file_before_the_next_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    writer = JsonLinesWriter(opened(path), run="run-1")
    writer.write([writer.encode(classified())])
    assert json.loads(path.read_bytes())["index"] == 0
    writer.close()


def test_record_is_in_the_file_even_if_the_target_is_buffered(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    writer = JsonLinesWriter(path.open("wb"), run="run-1")
    writer.write([writer.encode(classified())])
    assert path.read_bytes().endswith(b"}\n")
    writer.close()


def test_records_that_are_ready_are_one_write() -> None:
    target = FlawedTarget()
    writer = JsonLinesWriter(binary(target), run="run-1")
    writer.write([writer.encode(classified(index=index)) for index in range(3)])
    assert target.writes == 1


def test_target_that_takes_a_part_gets_the_rest() -> None:
    target = FlawedTarget(takes=7)
    LineSink(binary(target)).write([b"0123456789\n"])
    assert target.taken == b"0123456789\n"


def test_full_pipe_that_does_not_block_is_waited_for() -> None:
    reader, pipe = os.pipe()
    os.set_blocking(pipe, False)
    line = b"x" * 300_000 + b"\n"
    received = bytearray()

    def read_all() -> None:
        with os.fdopen(reader, "rb", buffering=0) as file:
            while piece := file.read(65_536):
                received.extend(piece)

    thread = threading.Thread(target=read_all)
    sink = LineSink(os.fdopen(pipe, "wb", buffering=0))
    thread.start()
    sink.write([line])
    sink.close()
    thread.join()
    assert bytes(received) == line


def test_closed_pipe_says_so_and_how_many_records_are_safe() -> None:
    reader, pipe = os.pipe()
    writer = JsonLinesWriter(os.fdopen(pipe, "wb", buffering=0), run="run-1")
    writer.write([writer.encode(classified())])
    os.close(reader)
    with pytest.raises(OutputError) as caught:
        writer.write([writer.encode(classified())])
    assert caught.value.code is ErrorCode.OUTPUT_CLOSED
    assert caught.value.details == (("records", 1),)
    writer.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a full disk to try")
def test_full_disk_says_so() -> None:
    writer = JsonLinesWriter(opened(Path("/dev/full")), run="run-1")
    with pytest.raises(OutputError, match="full; 0 records are written whole") as caught:
        writer.write([writer.encode(classified())])
    assert caught.value.code is ErrorCode.OUTPUT_DISK_FULL
    writer.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errno.ENOSPC, ErrorCode.OUTPUT_DISK_FULL),
        (errno.EDQUOT, ErrorCode.OUTPUT_DISK_FULL),
        (errno.EPIPE, ErrorCode.OUTPUT_CLOSED),
        (errno.ECONNRESET, ErrorCode.OUTPUT_CLOSED),
        (errno.EIO, ErrorCode.OUTPUT_UNWRITABLE),
        (errno.EFBIG, ErrorCode.OUTPUT_UNWRITABLE),
    ],
)
def test_fault_of_the_output_has_its_code(error: int, code: ErrorCode) -> None:
    sink = LineSink(binary(FlawedTarget(fails_after=0, error=error)))
    with pytest.raises(OutputError) as caught:
        sink.write([b"line\n"])
    assert caught.value.code is code


def test_torn_record_is_not_counted_as_safe() -> None:
    target = FlawedTarget(takes=5, fails_after=3, error=errno.ENOSPC)
    sink = LineSink(binary(target))
    sink.write([b"0123456789"])
    with pytest.raises(OutputError, match="1 record is written whole"):
        sink.write([b"0123456789"])


def test_records_before_the_torn_one_are_counted_as_safe() -> None:
    target = FlawedTarget(takes=5, fails_after=3, error=errno.ENOSPC)
    with pytest.raises(OutputError, match="3 records are written whole"):
        LineSink(binary(target)).write([b"abc\n", b"de\n", b"fghijk\n", b"lmnopq\n"])
    assert target.taken == b"abc\nde\nfghijk\nl"


def test_fault_at_the_end_is_not_swallowed() -> None:
    sink = LineSink(binary(FailsToClose(error=errno.EDQUOT)))
    sink.write([b"line\n"])
    with pytest.raises(OutputError) as caught:
        sink.close()
    assert caught.value.code is ErrorCode.OUTPUT_DISK_FULL


def test_fault_is_told_once() -> None:
    target = FailsToClose(fails_after=0, error=errno.ENOSPC)
    sink = LineSink(binary(target))
    with pytest.raises(OutputError):
        sink.write([b"line\n"])
    sink.close()
    assert target.closed


def test_closing_again_does_nothing(tmp_path: Path) -> None:
    writer = JsonLinesWriter(opened(tmp_path / "out.jsonl"), run="run-1")
    writer.close()
    writer.close()


def test_csv_header_has_a_column_of_each_kind_per_guess() -> None:
    assert csv_header(2) == [
        "index",
        "id",
        "input",
        "status",
        "label",
        "common_name",
        "score",
        "label_2",
        "common_name_2",
        "score_2",
        "error_code",
        "error_message",
        "model",
        "total_ms",
    ]


def test_csv_row_of_an_answer(tmp_path: Path) -> None:
    rows = csv_rows(written_csv(tmp_path, classified("a.jpg", index=3, name="row-3"), top_k=2))
    assert rows == [
        {
            "index": "3",
            "id": "row-3",
            "input": "a.jpg",
            "status": "ok",
            "label": "Corvus brachyrhynchos",
            "common_name": "American Crow",
            "score": "0.953125",
            "label_2": "Corvus corax",
            "common_name_2": "Common Raven",
            "score_2": "0.021",
            "error_code": "",
            "error_message": "",
            "model": "aiy-birds-v1@1",
            "total_ms": "183.9",
        }
    ]


def test_csv_row_of_a_failure_has_no_guesses(tmp_path: Path) -> None:
    (row,) = csv_rows(written_csv(tmp_path, failed("https://u:p@example.org/b.jpg")))
    filled = {column: cell for column, cell in row.items() if cell}
    assert filled == {
        "index": "0",
        "input": "https://***@example.org/b.jpg",
        "status": "error",
        "error_code": "fetch.http_status",
        "error_message": "HTTP 404 Not Found",
        "total_ms": "34.3",
    }


@pytest.mark.parametrize("guesses", [(CROW,), (CROW, RAVEN), (CROW, RAVEN, CROW, RAVEN)])
def test_csv_rows_are_as_long_as_the_header(guesses: tuple[Prediction, ...]) -> None:
    assert len(csv_row(classified(predictions=guesses), 3)) == len(csv_header(3))


def test_csv_without_rows_has_its_header(tmp_path: Path) -> None:
    assert written_csv(tmp_path, top_k=1) == (",".join(csv_header(1)) + "\n").encode()


def test_csv_header_counts_as_no_record() -> None:
    target = FlawedTarget(fails_after=1, error=errno.ENOSPC)
    with pytest.raises(OutputError) as caught:
        CsvWriter(binary(target), top_k=3).write([b"row\n"])
    assert caught.value.details == (("records", 0),)


@pytest.mark.parametrize("name", ['a,"b".jpg', "a\nb.jpg", "a\rb.jpg", "a\r\nb.jpg", "a\u2028b"])
def test_csv_row_is_one_line_whatever_the_name(tmp_path: Path, name: str) -> None:
    text = written_csv(tmp_path, classified(name))
    assert len(text.decode().splitlines()) == 2
    assert len(csv_rows(text)) == 1


def test_csv_keeps_commas_and_quotes(tmp_path: Path) -> None:
    (row,) = csv_rows(written_csv(tmp_path, classified('a,"b" 鳥.jpg')))
    assert row["input"] == 'a,"b" 鳥.jpg'


def test_csv_is_utf8_for_names_that_are_not(tmp_path: Path) -> None:
    (row,) = csv_rows(written_csv(tmp_path, classified("\udcff\ud800.jpg", name="\udcfe")))
    assert (row["input"], row["id"]) == (r"\xff\ud800.jpg", r"\xfe")


@pytest.mark.parametrize(
    "name", ['=HYPERLINK("x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "=1", "\uff1d1+1"]
)
def test_csv_cell_is_no_formula(tmp_path: Path, name: str) -> None:
    outcome = failed(name, message=name, name=name)
    (row,) = csv_rows(written_csv(tmp_path, outcome))
    assert row["input"] == row["id"] == row["error_message"] == f"'{name}"


@pytest.mark.parametrize("name", ["-17", "+49", "-0.5", "a=b", "x-1.jpg", "17"])
def test_csv_cell_that_is_no_formula_stays(tmp_path: Path, name: str) -> None:
    (row,) = csv_rows(written_csv(tmp_path, classified(name=name)))
    assert row["id"] == name
