"""What is read and what is written are told apart, whatever their names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, UsageError
from birdcli.output.overlap import verify_apart, verify_descriptor_apart
from tests.output_runs import file_at

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.txt").write_text("a list")
    (tmp_path / "hard").hardlink_to("l.txt")
    (tmp_path / "soft").symlink_to("l.txt")
    (tmp_path / "l.txt.fingerprint.json").write_text("{}")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "t.jpg").write_text("a picture")
    (tmp_path / "to-deep").symlink_to("deep")
    os.mkfifo(tmp_path / "fifo")


@pytest.mark.parametrize(
    ("output", "read"),
    [
        *(("l.txt", "l.txt"), ("./l.txt", "l.txt"), ("hard", "l.txt"), ("l.txt", "hard")),
        *(("soft", "l.txt"), ("l.txt", "soft"), ("l.txt", "l.txt.fingerprint.json")),
        *(("deep/t.jpg", "deep/t.jpg"), ("deep/t.jpg", "to-deep/t.jpg")),
        *(("deep/t.jpg", "deep"), ("deep/t.jpg", "."), ("to-deep/t.jpg", "deep")),
        *(("deep/er/new.JPG", "to-deep"), ("deep/new.png", "deep/")),
    ],
)
def test_an_output_that_is_read_is_refused(tmp_path: Path, output: str, read: str) -> None:
    for source in (read, f"file://{tmp_path}/{read}"):
        with pytest.raises(UsageError, match="records would go into what is read") as caught:
            verify_apart(file_at(tmp_path / output), ["other", source])
        assert caught.value.code is ErrorCode.USAGE_BAD_FLAG


@pytest.mark.parametrize(
    ("output", "read"),
    [
        *(("new", "l.txt"), ("new", "new"), ("l.txt", "http://h/l.txt"), ("l.txt", "\0")),
        *(("deep/out.jsonl", "deep"), ("new.jpg", "deep"), ("l.txt", "fifo")),
        *(("l.txt", "file://elsewhere/l.txt"), ("l.txt", "x" * 5000), ("l.txt", "-")),
    ],
)
def test_other_outputs_are_let_pass(tmp_path: Path, output: str, read: str) -> None:
    verify_apart(file_at(tmp_path / output), [read])


@pytest.mark.parametrize(("output", "clashes"), [("hard", True), ("deep/t.jpg", False)])
def test_a_descriptor_of_what_is_read_is_refused(
    tmp_path: Path, output: str, clashes: bool
) -> None:
    with (tmp_path / output).open("ab") as file:
        if not clashes:
            verify_descriptor_apart(file.fileno(), ["l.txt", "deep"])
            return
        with pytest.raises(UsageError, match=r"l\.txt"):
            verify_descriptor_apart(file.fileno(), ["l.txt"])


def test_a_pipe_is_never_what_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    verify_descriptor_apart(writing, ["fifo", "l.txt"])
    os.close(reading)
    os.close(writing)
