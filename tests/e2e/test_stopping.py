"""Signals against runs whose words or records nobody reads, and runs whose terminal is gone."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos_server import chaos
from tests.e2e.conftest import REPOSITORY, Birdcli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.usefixtures("unmeasured"),
    pytest.mark.tensorflow,
    pytest.mark.xdist_group("tensorflow"),
    pytest.mark.skipif(sys.platform != "linux", reason="pipes of a chosen size"),
]

_PROMISED_S = 5.0
_AT_ONCE_S = 1.0


@contextmanager
def nobody_reads(*, full: bool) -> Iterator[int]:
    """A pipe of one page that nobody reads, full or about to be."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # type: ignore[attr-defined,unused-ignore]
    if full:
        os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ))
    try:
        yield writing
    finally:
        os.close(writing)
        os.close(reading)


@contextmanager
def endless(folder: Path, *inputs: Path) -> Iterator[Path]:
    """A list with these inputs that never ends."""
    path = folder / "endless.txt"
    os.mkfifo(path)
    writing = os.open(path, os.O_RDWR)
    os.write(writing, "".join(f"{name}\n" for name in inputs).encode())
    try:
        yield path
    finally:
        os.close(writing)


@contextmanager
def started(
    birdcli: Birdcli, *arguments: str | Path, **pipes: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A run that is killed at the end of the test, whatever became of it."""
    process: subprocess.Popen[bytes] = subprocess.Popen(
        birdcli.command("classify", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=pipes.pop("stdout", subprocess.DEVNULL),
        **pipes,
        env=birdcli.environment,
        cwd=REPOSITORY,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def wait_until_used(pipe: int) -> None:
    """Waits until something is in a pipe."""
    ends_s, waiting = time.monotonic() + 60.0, bytearray(4)
    while not any(waiting):
        assert time.monotonic() < ends_s, "no records came"
        time.sleep(0.02)
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)


def wait_for_records(path: Path, count: int = 1) -> None:
    ends_s = time.monotonic() + 60.0
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < ends_s, "no records came"
        time.sleep(0.02)


def seconds_to_end(process: subprocess.Popen[bytes], *numbers: signal.Signals) -> float:
    """Sends signals, and returns how long after the last of them the process ended."""
    for at, number in enumerate(numbers):
        if at:
            time.sleep(0.3)
        process.send_signal(number)
    started_s = time.monotonic()
    process.wait(30)
    return time.monotonic() - started_s


@pytest.mark.parametrize(
    ("signals", "limit_s"),
    [((signal.SIGTERM,), _PROMISED_S), ((signal.SIGINT, signal.SIGTERM), _AT_ONCE_S)],
    ids=["first", "second"],
)
def test_words_that_nobody_reads_keep_no_signal_waiting(
    birdcli: Birdcli,
    known: Path,
    tmp_path: Path,
    signals: tuple[signal.Signals, ...],
    limit_s: float,
) -> None:
    output = tmp_path / "out.jsonl"
    with (
        nobody_reads(full=True) as stderr,
        endless(tmp_path, known / "a.png") as listed,
        started(birdcli, "-f", listed, "-o", output, stderr=stderr) as process,
    ):
        wait_for_records(output)
        taken_s = seconds_to_end(process, *signals)
    assert process.returncode == 128 + signals[0]
    assert taken_s < limit_s
    assert len(output.read_bytes().splitlines()) == 1


def test_a_stream_of_warnings_that_nobody_reads_stops_no_run(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    empty = [tmp_path / f"empty-{n:04}" for n in range(1500)]
    for folder in empty:
        folder.mkdir()
    with (
        nobody_reads(full=False) as stderr,
        endless(tmp_path, *empty[:5], known / "a.png") as listed,
        started(birdcli, *empty, "-f", listed, "-o", output, stderr=stderr) as process,
    ):
        wait_for_records(output)
        assert seconds_to_end(process, signal.SIGTERM) < _PROMISED_S
    assert process.returncode == 143


def test_records_that_nobody_reads_keep_no_signal_waiting(birdcli: Birdcli, tmp_path: Path) -> None:
    number = signal.SIGTERM
    words = tmp_path / "stderr"
    missing = [f"missing-{n}.jpg" for n in range(400)]
    with (
        nobody_reads(full=False) as stdout,
        words.open("wb") as stderr,
        started(birdcli, *missing, stdout=stdout, stderr=stderr) as process,
    ):
        wait_until_used(stdout)
        time.sleep(1.0)  # by then no more fits into its one page
        taken_s = seconds_to_end(process, number)
    assert process.returncode == 128 + number
    assert taken_s < _PROMISED_S
    assert "Stopped" in words.read_text()
    assert "records were not written: nobody took them" in words.read_text()


def test_a_terminal_that_is_gone_stops_the_run_as_sigterm_does(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    ours, theirs = os.openpty()
    with (
        endless(tmp_path, known / "a.png", known / "b.jpg") as listed,
        started(birdcli, "-f", listed, "-o", output, stderr=theirs) as process,
    ):
        os.close(theirs)
        wait_for_records(output, 2)
        os.close(ours)  # from now on writing to it fails
        taken_s = seconds_to_end(
            process, signal.SIGHUP, signal.SIGHUP
        )  # shell and kernel both tell
    assert process.returncode == 129
    assert taken_s < _PROMISED_S
    assert len(output.read_bytes().splitlines()) == 2


def test_a_hangup_that_was_ignored_from_the_start_stays_ignored(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    with (
        endless(tmp_path, known / "a.png") as listed,
        started(
            birdcli,
            "-f",
            listed,
            "-o",
            output,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        ) as process,
    ):
        wait_for_records(output)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)
        process.send_signal(signal.SIGTERM)
        assert b"Stopped" in process.communicate(timeout=30)[1]
    assert process.returncode == 143


@pytest.mark.parametrize("count", [1, 2], ids=["first", "second"])
def test_records_behind_a_server_that_never_answers_are_written_when_the_run_is_stopped(
    birdcli: Birdcli, known: Path, tmp_path: Path, count: int
) -> None:
    output = tmp_path / "out.jsonl"
    with chaos() as server:
        listed = tmp_path / "list.txt"
        pictures = [str(known / "a.png")] * 300
        listed.write_text("\n".join([server.url("/never-answers"), *pictures]))
        with started(birdcli, "-f", listed, "-o", output, stderr=subprocess.PIPE) as process:
            while not server.seen:
                time.sleep(0.02)
            time.sleep(3.0)
            assert output.read_bytes() == b""  # they wait for their turn
            seconds_to_end(process, *[signal.SIGTERM] * count)
            words = process.communicate()[1].decode()
    assert process.returncode == 143
    assert [json.loads(line)["status"] for line in output.read_bytes().splitlines()] == ["ok"] * 300
    assert ("stopped at once" in words) == (count == 2)
