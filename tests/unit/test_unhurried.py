"""Words that are written when their reader has time, and lost rather than waited for."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from birdcli.unhurried import UnhurriedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes of 64 KB")

PIPE_BYTES = 65_536
MARK = b"words are missing above"


@contextmanager
def unread(*, room: int = 1_000_000) -> Iterator[tuple[int, UnhurriedFile]]:
    """A file into a pipe; what reads it is up to the test."""
    reading, writing = os.pipe()
    file = UnhurriedFile(writing, room=room)
    try:
        yield reading, file
    finally:
        os.close(reading)  # from now on writing fails, which ends a thread that waits
        file.close()


def read_for(reading: int, seconds: float = 5.0, *, until: bytes) -> bytes:
    text, ends_s = b"", time.monotonic() + seconds
    os.set_blocking(reading, False)
    while until not in text and time.monotonic() < ends_s:
        try:
            text += os.read(reading, 65_536)
        except BlockingIOError:
            time.sleep(0.005)
    return text


def test_words_arrive_in_their_order() -> None:
    with unread() as (reading, file):
        for number in range(100):
            file.write(b"%d\n" % number)
        file.drain()
        assert os.read(reading, 4096) == b"".join(b"%d\n" % number for number in range(100))


def test_writing_to_nobody_takes_no_time_and_nothing_is_lost_that_fits() -> None:
    with unread() as (reading, file):
        started_s = time.monotonic()
        for _ in range(10):
            assert file.write(b"x" * 50_000) == 50_000
        file.write(b"end")
        assert time.monotonic() - started_s < 1.0
        assert read_for(reading, until=b"end") == b"x" * 500_000 + b"end"


def test_what_does_not_fit_is_left_out_and_the_reader_learns_of_it() -> None:
    with unread(room=1000) as (reading, file):
        file.write(b"x" * PIPE_BYTES)  # more than fits: left out
        file.write(b"kept")
        text = read_for(reading, until=MARK)
    assert text.startswith(b"kept")
    assert b"x" not in text
    assert MARK in text


def test_it_waits_for_its_reader_only_until_the_time_to_leave() -> None:
    with unread() as (_, file):
        file.write(b"x" * 3 * PIPE_BYTES)
        file.leave_after(0.2)
        started_s = time.monotonic()
        file.drain()
        assert 0.1 < time.monotonic() - started_s < 2.0


def test_it_can_be_closed_while_its_reader_takes_nothing() -> None:
    with unread() as (_, file):
        file.write(b"x" * 3 * PIPE_BYTES)
        file.leave_after(0.05)
        file.close()
        assert file.closed


def test_what_cannot_be_written_is_forgotten() -> None:
    with unread() as (reading, file):
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file.fileno())
        os.close(full)
        file.write(b"words")
        file.drain()
        assert os.read(reading, 1) == b""  # nobody writes to the pipe any more, and nobody has


def test_a_pipe_that_another_program_made_non_blocking_loses_nothing() -> None:
    with unread() as (reading, file):
        os.set_blocking(file.fileno(), False)
        file.write(b"x" * 3 * PIPE_BYTES + b"end")
        assert len(read_for(reading, until=b"end")) == 3 * PIPE_BYTES + 3


def test_words_can_pass_those_that_wait_unless_nobody_reads() -> None:
    with unread() as (reading, file):
        file.write_at_once(b"now")
        assert os.read(reading, 10) == b"now"
        file.write(b"x" * 3 * PIPE_BYTES)
        while not _is_full(file):
            time.sleep(0.001)
        started_s = time.monotonic()
        file.write_at_once(b"never")
        assert time.monotonic() - started_s < 1.0
        file.write(b"end")
        assert b"never" not in read_for(reading, until=b"end")


def _is_full(file: UnhurriedFile) -> bool:
    import select

    return not select.select([], [file.fileno()], [], 0)[1]
