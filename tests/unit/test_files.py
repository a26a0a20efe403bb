"""Files appear whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from birdcli.files import atomic_writer, sync_tree

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture


def test_the_file_appears_with_its_content(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "file") as out:
        out.write(b"new")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failure_keeps_the_old_content_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def write_half() -> None:
        with atomic_writer(tmp_path / "file") as out:
            out.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_keeps_the_old_content(tmp_path: Path, mocker: MockerFixture) -> None:
    (tmp_path / "file").write_bytes(b"old")
    mocker.patch("os.fsync", side_effect=OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space"), atomic_writer(tmp_path / "file") as out:
        out.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_file_and_folder_are_synced_before_it_returns(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    synced = mocker.patch("os.fsync")
    with atomic_writer(tmp_path / "file") as out:
        out.write(b"new")
    assert synced.call_count == 2


def test_a_tree_is_synced_file_by_file_and_folder_by_folder(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "deep" / "b").write_bytes(b"b")
    synced: list[int] = []
    mocker.patch(
        "os.fsync", side_effect=lambda descriptor: synced.append(os.fstat(descriptor).st_ino)
    )
    sync_tree(tmp_path)
    wanted = [tmp_path, *tmp_path.rglob("*")]
    assert sorted(synced) == sorted(path.stat().st_ino for path in wanted)
