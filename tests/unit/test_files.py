"""Files appear whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from birdcli.files import atomic_writer

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
