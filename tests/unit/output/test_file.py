"""A file that is synced while it is written, and what is told of one that cannot be."""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest

from birdcli.errors import ErrorCode, OutputError
from birdcli.output.file import SyncedFile
from birdcli.output.retry import merge_retried
from birdcli.settings import Retry
from birdcli.writer import CsvWriter, LineSink
from tests.output_runs import answered, refs, refused, run_into

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_mock import MockerFixture


class Disk:
    """Syncs when it is told to, and breaks when it is told to."""

    def __init__(self, mocker: MockerFixture) -> None:
        self.broken = False
        self.synced = threading.Event()
        mocker.patch("birdcli.output.file.os.fsync", self.fsync)

    def fsync(self, _: int) -> None:
        if self.broken:
            self.synced.set()
            raise OSError(errno.EIO, "Input/output error")
        self.synced.set()

    def sync_of(self, write: Callable[[], object]) -> None:
        """Writes, and waits for the sync after it."""
        self.synced.clear()
        write()
        assert self.synced.wait(10)


def write_on(sink: LineSink) -> None:
    """Writes until the thread that syncs has said that it could not."""
    for _ in range(1000):
        sink.write([b"later\n"])
        time.sleep(0.01)


@pytest.fixture
def disk(mocker: MockerFixture) -> Disk:
    return Disk(mocker)


@pytest.fixture
def file(tmp_path: Path) -> BinaryIO:
    descriptor = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return cast("BinaryIO", SyncedFile(descriptor, every_s=0.01))


def test_only_records_that_were_synced_are_promised(disk: Disk, file: BinaryIO) -> None:
    sink = LineSink(file)
    disk.sync_of(lambda: sink.write([b"1\n", b"2\n"]))
    disk.broken = True
    with pytest.raises(OutputError, match="2 records are written whole") as caught:
        write_on(sink)
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE
    assert dict(caught.value.details)["records"] == 2
    sink.close()


def test_a_sync_that_fails_at_the_end_promises_what_was_synced_before(
    disk: Disk, file: BinaryIO
) -> None:
    sink = LineSink(file)
    disk.sync_of(lambda: sink.write([b"1\n"]))
    disk.broken = True
    sink.write([b"2\n", b"3\n"])
    with pytest.raises(OutputError, match="1 record is written whole"):
        sink.close()


def test_the_header_of_a_table_is_no_record(disk: Disk, file: BinaryIO) -> None:
    writer = CsvWriter(file, top_k=1)
    row = writer.encode(answered(refs(["a.jpg"])[0]))
    disk.sync_of(lambda: writer.write([row]))
    disk.broken = True
    writer.write([row])
    with pytest.raises(OutputError, match="1 record is written whole"):
        writer.close()


def test_records_of_before_are_told_apart(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "f", os.O_RDONLY | os.O_CREAT)
    with os.fdopen(descriptor, "wb", buffering=0) as unwritable:
        sink = LineSink(unwritable, earlier=1200)
        with pytest.raises(OutputError, match="0 records are written whole, besides 1,200"):
            sink.write([b"1\n"])


def test_a_full_disk_at_the_end_of_a_second_try_says_how_much_is_safe(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    output = tmp_path / "out.jsonl"
    inputs = refs(["a.jpg", "b.jpg", "c.jpg"])
    run_into(output, inputs, outcome=refused)
    run_into(output, inputs, retry=Retry.ALL, stop_after=2, finish=False)
    full = OSError(errno.ENOSPC, "No space left on device")
    mocker.patch("birdcli.output.retry.shutil.copyfileobj", side_effect=full)
    before = output.read_bytes()
    with pytest.raises(OutputError, match=r"3 records are safe in it, and the 2 of") as caught:
        merge_retried(output, locks=[])
    assert caught.value.code is ErrorCode.OUTPUT_DISK_FULL
    assert "--resume" in caught.value.hint
    assert output.read_bytes() == before
