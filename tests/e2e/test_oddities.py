"""The nastiest files and lists there are, through the real command: one record each, no waiting."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Birdcli, Finished

# The pictures that the model has seen before need no engine.
pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

LIMIT_S = 30.0
STARTED_S = 4.0  # by then a run waits for its disk
PEAK = """
import resource, subprocess, sys
subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""
ODD_NAMES = (
    b"new\nline.png", b"'quotes\".png", b"\x1b[31mred\x1b[0m.png", b"-dash.png", b"--help.png",
    b"b\xe9ta\xff.png", b"tab\t.png", b"[bold]x[bold].png", b"#hash.png", b" space .png",
    b"%41.png",
)  # fmt: skip


def _codes(done: Finished) -> list[str]:
    return [r["status"] if r["status"] == "ok" else r["error"]["code"] for r in done.records]


@pytest.fixture
def odd_names(known: Path, tmp_path: Path) -> bytes:
    folder = os.fsencode(tmp_path / "names")
    os.mkdir(folder)  # noqa: PTH102 - pathlib takes no bytes
    for name in ODD_NAMES:
        shutil.copy(os.fsencode(known / "a.png"), folder + b"/" + name)
    return folder


def test_a_folder_of_odd_names_is_classified(birdcli: Birdcli, odd_names: bytes) -> None:
    done = birdcli("classify", odd_names, timeout_s=LIMIT_S)
    assert (done.code, _codes(done)) == (0, ["ok"] * len(ODD_NAMES))
    assert "\x1b" not in done.stderr


def test_odd_names_of_a_null_separated_list_come_back_byte_for_byte(
    birdcli: Birdcli, odd_names: bytes
) -> None:
    names = [odd_names + b"/" + name for name in ODD_NAMES]
    done = birdcli("classify", "-0", "-", stdin=b"\0".join(names), timeout_s=LIMIT_S)
    assert (done.code, _codes(done)) == (0, ["ok"] * len(ODD_NAMES))
    given = [name for name in names if b"\xff" not in name]
    assert [os.fsencode(r["input"]) for r in done.records if "input_b64" not in r] == given


@pytest.mark.parametrize("how", ["arguments", "list"])
def test_a_leading_dash_is_no_option_after_two_dashes_and_in_lists(
    birdcli: Birdcli, odd_names: bytes, how: str
) -> None:
    names = [name for name in ODD_NAMES if name.startswith(b"-")]
    inputs: tuple[str | bytes, ...] = ("--", *names) if how == "arguments" else ("-0", "-")
    done = subprocess.run(
        birdcli.command("classify", *inputs),
        input=b"\0".join(names),
        capture_output=True,
        env=birdcli.environment | {"PYTHONPATH": str(REPOSITORY)},
        cwd=odd_names,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["input"] for line in done.stdout.splitlines()]
    assert found == [os.fsdecode(name) for name in names]


def test_what_is_no_file_is_one_failure_each_and_nothing_is_waited_for(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "left.jpg").symlink_to("right.jpg")
    (tmp_path / "right.jpg").symlink_to("left.jpg")
    (tmp_path / "dangling.jpg").symlink_to("gone.jpg")
    (tmp_path / "to-fifo.jpg").symlink_to("fifo.jpg")
    (tmp_path / "to-device.jpg").symlink_to("/dev/zero")
    (tmp_path / "empty.jpg").touch()
    with (tmp_path / "sparse.jpg").open("wb") as sparse:
        sparse.truncate(3_000_000_000)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket.jpg"))
        done = birdcli(
            *("classify", tmp_path, "/dev/zero", "/dev/null", "/dev/stdin"),
            *("/proc/version", "/proc/kmsg", known / "a.png"),
            timeout_s=LIMIT_S,
        )
    names = [record["input"].rpartition("/")[2] for record in done.records]
    found = dict(zip(names, _codes(done), strict=True))
    assert len(found) == len(names)
    kmsg = found.pop("kmsg")
    assert kmsg.startswith("source.")  # root may open it, and has nothing to wait for
    assert found == {
        "dangling.jpg": "source.not_found",
        "empty.jpg": "source.empty",
        "fifo.jpg": "source.not_a_file",
        "left.jpg": "source.unreadable",
        "loop.jpg": "source.unreadable",
        "right.jpg": "source.unreadable",
        "socket.jpg": "source.not_a_file",
        "sparse.jpg": "source.too_large",
        "to-device.jpg": "source.not_a_file",
        "to-fifo.jpg": "source.not_a_file",
        "zero": "source.not_a_file",
        "null": "source.not_a_file",
        "stdin": "source.not_a_file",
        "version": "decode.not_an_image",
        "a.png": "ok",
    }
    assert done.code == 4


def test_a_list_with_every_flaw_gives_one_record_per_line(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    good = os.fsencode(known / "a.png")
    lines = [b"\xef\xbb\xbf" + good + b"\r", b"n\0ul.jpg", b"b\xff\xfe.jpg", b"x" * 1_000_001,
             b"x" * 999_999, good, good]  # fmt: skip
    (tmp_path / "list").write_bytes(b"\n".join(lines))
    done = birdcli("classify", "-f", tmp_path / "list", timeout_s=LIMIT_S)
    assert _codes(done) == [
        *("ok", "source.not_found", "source.not_found", "source.unreadable"),
        *("source.unreadable", "ok", "ok"),
    ]
    assert done.code == 4


def test_a_list_in_another_encoding_is_told_by_its_name(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text(f"{known / 'a.png'}\n", encoding="utf-16")
    done = birdcli("classify", "-f", tmp_path / "list", timeout_s=LIMIT_S)
    assert (done.code, done.stdout) == (2, b"")
    assert "is UTF-16, not UTF-8" in done.stderr


@pytest.mark.parametrize("tail", [b"garbage after the end", b"\x1f\x8bcut"])
def test_a_gzipped_list_with_something_behind_it_ends_after_its_entries(
    birdcli: Birdcli, known: Path, tmp_path: Path, tail: bytes
) -> None:
    (tmp_path / "list.gz").write_bytes(gzip.compress(os.fsencode(known / "a.png") + b"\n") + tail)
    done = birdcli("classify", "-f", tmp_path / "list.gz", timeout_s=LIMIT_S)
    assert (done.code, _codes(done)) == (2, ["ok"])
    assert "usage.input_unreadable" in done.stderr


def test_a_folder_is_no_list(birdcli: Birdcli, tmp_path: Path) -> None:
    done = birdcli("classify", "-f", tmp_path, timeout_s=LIMIT_S)
    assert (done.code, done.stdout) == (2, b"")
    assert "usage.input_unreadable" in done.stderr


def test_half_a_picture_is_named_only_on_demand_and_says_so(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    data = (known / "b.jpg").read_bytes()
    half = tmp_path / "half.jpg"
    half.write_bytes(data[: len(data) // 2])
    asked = birdcli("classify", half, "--allow-truncated", timeout_s=LIMIT_S)
    assert (asked.code, _codes(asked)) == (0, ["ok"])
    assert asked.records[0]["image"]["truncated"] is True
    again = birdcli("classify", half, known / "b.jpg", "--allow-truncated", timeout_s=LIMIT_S)
    assert [r["image"].get("truncated") for r in again.records] == [True, None]
    default = birdcli("classify", half, timeout_s=LIMIT_S)
    assert (default.code, _codes(default)) == (4, ["decode.truncated"])


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/random"])
def test_a_device_that_never_ends_is_no_list(birdcli: Birdcli, device: str) -> None:
    done = birdcli.inline("classify", "-f", device)
    assert (done.code, done.stdout) == (2, b"")
    assert f"the list {device} cannot be read: this is a device" in done.stderr


def test_a_fifo_is_a_list(birdcli: Birdcli, known: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = birdcli.start("classify", "-f", str(fifo))
    fifo.write_bytes(os.fsencode(known / "a.png") + b"\n")  # waits for its reader
    stdout, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["status"] == "ok"


def test_a_line_of_200_mb_takes_no_memory(birdcli: Birdcli, known: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list"
    with listed.open("wb") as lines:
        lines.truncate(200_000_000)
        lines.seek(0, os.SEEK_END)
        lines.write(b"\n" + os.fsencode(known / "a.png") + b"\n")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *birdcli.command("classify", "-f", listed)],
        capture_output=True,
        env=birdcli.environment,
        cwd=REPOSITORY,
        timeout=LIMIT_S,
        check=False,
    )
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["error", "ok"]
    peak_kb = int(done.stderr.split()[-1])
    assert peak_kb < 150_000  # the picture's answer is known


class Changing(threading.Thread):
    """Makes a path a picture, a growing one, a FIFO, a link to itself, and nothing, in turn."""

    def __init__(self, path: Path, picture: bytes) -> None:
        super().__init__()
        self.path = path
        self.picture = picture
        self.ended = threading.Event()

    def run(self) -> None:
        other = self.path.with_name("next")
        while not self.ended.is_set():
            for make in (self._picture, os.mkfifo, self._loop, self._growing):
                make(other)
                other.replace(self.path)
            self.path.unlink()

    def _picture(self, path: Path) -> None:
        path.write_bytes(self.picture)

    def _loop(self, path: Path) -> None:
        path.symlink_to(self.path)

    def _growing(self, path: Path) -> None:
        path.write_bytes(self.picture[:20])
        path.replace(self.path)
        with self.path.open("ab") as grown:
            grown.write(self.picture[20:])
            grown.flush()
            grown.truncate(30)
        path.write_bytes(b"")


def test_a_file_that_becomes_something_else_all_the_time_is_one_record_each_time(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    path = tmp_path / "changing.png"
    changing = Changing(path, (known / "a.png").read_bytes())
    changing.start()
    try:
        done = birdcli("classify", "-", stdin=f"{path}\n".encode() * 2000, timeout_s=LIMIT_S)
    finally:
        changing.ended.set()
        changing.join()
    found = Counter(_codes(done))
    assert found.total() == 2000
    assert found.keys() <= {
        *("ok", "source.not_found", "source.not_a_file", "source.unreadable", "source.empty"),
        *("decode.truncated", "decode.corrupt", "decode.not_an_image"),
    }
    assert len(found) > 2


def test_deeply_nested_json_costs_its_own_line(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    rows = ["[" * 100_000, '{"url":' * 50_000, "{", json.dumps({"url": str(known / "a.png")})]
    (tmp_path / "list.jsonl").write_text("\n".join(rows))
    done = birdcli("classify", "-f", tmp_path / "list.jsonl", timeout_s=LIMIT_S)
    assert (done.code, _codes(done)) == (4, ["source.unreadable"] * 3 + ["ok"])


def test_a_disk_that_never_answers_costs_the_inputs_that_are_on_it(
    birdcli: Birdcli, known: Path
) -> None:
    good = os.fsencode(known / "a.png")
    names = [good, b"/dead-disk/a.png", good, b"/dead-disk/folder", b"/no/such.png"]
    done = birdcli.with_dead_disk(
        "classify", "--deadline", "1", "-f", "-", stdin=b"\n".join(names), timeout_s=LIMIT_S
    )
    expected = ["ok", "source.unreadable", "ok", "source.unreadable", "source.not_found"]
    assert (done.code, _codes(done)) == (4, expected)
    assert [os.fsencode(record["input"]) for record in done.records] == names


def test_the_only_input_on_a_disk_that_never_answers_is_given_up(birdcli: Birdcli) -> None:
    done = birdcli.with_dead_disk("classify", "--deadline", "1", "/dead-disk", timeout_s=LIMIT_S)
    assert (done.code, _codes(done)) == (4, ["source.unreadable"])


def test_an_interrupt_ends_a_run_whose_list_never_answers(birdcli: Birdcli) -> None:
    with birdcli.start_with_dead_disk("classify", "-f", "/dead-disk/list.txt") as process:
        assert process.stderr is not None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(STARTED_S)
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 130
        assert b"Stopped" in process.stderr.read()
