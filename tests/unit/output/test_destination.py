"""Names of outputs, followed to where they lead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from birdcli.errors import ErrorCode, OutputError
from birdcli.output.authorship import looks_like_ours
from birdcli.output.destination import Descriptor, File, Stream, find_destination

LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs Linux")  # noqa: PTH110


@pytest.mark.parametrize("name", [None, "-", "/dev/stdout", "//dev//stdout", "/dev/fd/1"])
def test_standard_output_has_many_names(name: str | None) -> None:
    assert find_destination(None if name is None else Path(name)) == Descriptor(1)


@LINUX
def test_descriptors_are_found_by_the_number_of_the_process() -> None:
    assert find_destination(Path(f"/proc/{os.getpid()}/fd/7")) == Descriptor(7)
    assert find_destination(Path("/proc/thread-self/fd/2")) == Descriptor(2)


@LINUX
def test_a_descriptor_of_another_process_is_that_process_s(tmp_path: Path) -> None:
    target = tmp_path / "target"
    code = "print('ready', file=sys.stderr, flush=True); input()"
    with target.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; {code}"],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.PIPE,
        )
    assert process.stderr is not None
    assert process.stderr.readline() == b"ready\n"
    folder = Path(f"/proc/{process.pid}/fd")
    try:
        assert find_destination(folder / "2") == Stream(folder / "2")
        found = find_destination(folder / "1")
        assert isinstance(found, File)
        assert found.path == target
    finally:
        process.communicate(b"\n")


def test_links_are_followed_to_a_file_or_to_where_one_will_be(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").symlink_to("folder/b")
    (tmp_path / "folder" / "b").symlink_to("../c")
    found = find_destination(tmp_path / "a")
    assert found == File(tmp_path / "c", None, linked=True)
    (tmp_path / "c").touch()
    found = find_destination(tmp_path / "c")
    assert found == File(tmp_path / "c", (tmp_path / "c").stat(), linked=False)


@pytest.mark.parametrize("name", ["fifo", "to-fifo", "/dev/null"])
def test_what_is_neither_file_nor_folder_is_a_stream(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to-fifo").symlink_to("fifo")
    found = find_destination(tmp_path / name)
    assert isinstance(found, Stream)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *(("folder", "it is a folder"), (".", "it is a folder"), ("folder/..", "it is a folder")),
        *(("to-folder", "it is a folder"), ("loop", "symbolic links"), ("x" * 300, "too long")),
        *(("missing/x", "No such file"), ("file/x", "Not a directory"), ("loop/x", "symbolic")),
    ],
)
def test_what_leads_nowhere_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-folder").symlink_to("folder")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=reason) as caught:
        find_destination(tmp_path / name)
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE


def test_what_cannot_be_read_is_not_taken_for_ours(tmp_path: Path) -> None:
    assert not looks_like_ours(tmp_path)
