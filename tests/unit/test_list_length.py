"""About how many inputs there are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from birdcli.list_length import EstimatedLength, estimate_lines
from birdcli.settings import ListSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def length_of(
    arguments: Sequence[str], lists: Sequence[str], settings: ListSettings | None = None
) -> int | None:
    length = EstimatedLength(arguments, lists, settings or ListSettings())
    length._thread.join(5.0)
    assert not length._thread.is_alive()
    return length.inputs


@pytest.mark.parametrize(
    ("data", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"a\r\nb\r\n", 2)]
)
def test_last_line_needs_no_end(tmp_path: Path, data: bytes, lines: int) -> None:
    path = tmp_path / "urls.txt"
    path.write_bytes(data)
    assert estimate_lines(str(path), end=b"\n") == lines


def test_large_list_is_estimated_from_pieces_of_it(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    long, short = b"x" * 99 + b"\n", b"x" * 49 + b"\n"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(long * 10_000)
        for _ in range(100):
            file.write(short * 10_000)
    assert estimate_lines(str(path), end=b"\n") == pytest.approx(2_000_000, rel=0.03)


def test_arguments_and_lists_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text("a\nb\n")
    assert length_of(["a.jpg", "http://x/b.jpg"], [str(path), str(path)]) == 6


def test_null_separated_lists_are_counted_by_their_nulls(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_bytes(b"new\nline.jpg\0b.jpg\0")
    assert length_of([], [str(path)], ListSettings(null_separated=True)) == 2


def test_a_shard_is_its_share(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text("a\n" * 90)
    assert length_of([], [str(path)], ListSettings(shard=(1, 3))) == 30


@pytest.mark.parametrize("name", ["urls.csv", "urls.tsv", "urls.txt.gz", "missing.txt"])
def test_length_of_other_lists_is_not_known(tmp_path: Path, name: str) -> None:
    if name != "missing.txt":
        (tmp_path / name).write_text("url\na\n")
    assert length_of([], [str(tmp_path / name)]) is None


@pytest.mark.parametrize(("arguments", "lists"), [(["-"], []), ([], ["-"]), ([os.curdir], [])])
def test_length_of_streams_and_folders_is_not_known(arguments: list[str], lists: list[str]) -> None:
    assert length_of(arguments, lists) is None


def test_a_fifo_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "urls"
    os.mkfifo(path)
    assert length_of([], [str(path)]) is None
