"""Partial files are continued only if nothing about them is in doubt."""

from __future__ import annotations

import json
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes
from birdcli.models.editions import Edition
from birdcli.models.partial_folder import open_partial, sweep_partials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_mock import MockerFixture

SOURCE = "https://hub.example/model?token=5ecret"
KEY = sha256_of_bytes(SOURCE.encode())
EDITION = Edition(validator='"1"', address="a" * 64, length=100)
MIB = bytes(1 << 20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "partials"


@pytest.fixture
def broken_off(folder: Path) -> Path:
    """The folder with 40 of 100 bytes."""
    fill(folder, b"x" * 40)
    return folder


def fill(folder: Path, data: bytes, edition: Edition | None = EDITION) -> None:
    with open_partial(SOURCE, folder.parent / "model", folder) as partial:
        partial.restart(edition)
        partial.write(data)


def found(folder: Path, source: str = SOURCE) -> tuple[int, Edition | None]:
    """What can be continued."""
    with open_partial(source, folder.parent / "model", folder) as partial:
        return partial.count, partial.beginning_of


def names(folder: Path) -> list[str]:
    return sorted(path.name.replace(KEY, "KEY") for path in folder.iterdir())


def test_what_broke_off_is_found_again(broken_off: Path) -> None:
    assert names(broken_off) == ["KEY.json", "KEY.lock", "KEY.part"]
    assert found(broken_off) == (40, EDITION)


def test_what_is_added_continues_it(broken_off: Path, tmp_path: Path) -> None:
    with open_partial(SOURCE, tmp_path / "model", broken_off) as partial:
        partial.write(b"y" * 60)
        partial.place(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b"x" * 40 + b"y" * 60
    assert names(broken_off) == []


def test_a_new_beginning_replaces_it(broken_off: Path, tmp_path: Path) -> None:
    with open_partial(SOURCE, tmp_path / "model", broken_off) as partial:
        partial.restart(EDITION)
        partial.write(b"new")
        partial.place(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b"new"


def test_another_source_has_another_file(broken_off: Path) -> None:
    assert found(broken_off, f"{SOURCE}2") == (0, None)
    assert found(broken_off) == (40, EDITION)


@pytest.mark.parametrize(("data", "edition"), [(b"x" * 40, None), (b"", EDITION)])
def test_what_cannot_be_continued_is_not_kept(
    data: bytes, edition: Edition | None, folder: Path
) -> None:
    fill(folder, data, edition)
    assert names(folder) == []


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    with open_partial(SOURCE, tmp_path / "model", None) as partial:
        partial.restart(EDITION)
        partial.write(MIB * 5)
        assert [path.name for path in tmp_path.iterdir()] != []
    assert list(tmp_path.iterdir()) == []


def test_the_folder_and_the_bytes_in_it_are_private(broken_off: Path) -> None:
    assert stat.S_IMODE(broken_off.stat().st_mode) == 0o700
    assert stat.S_IMODE((broken_off / f"{KEY}.part").stat().st_mode) == 0o600


def test_a_whole_file_lacks_its_last_byte(folder: Path) -> None:
    fill(folder, b"x" * 100)
    assert found(folder) == (99, EDITION)


def test_a_whole_file_of_one_byte_starts_over(folder: Path) -> None:
    fill(folder, b"x", Edition(validator='"1"', address="a" * 64, length=1))
    assert found(folder) == (0, None)


def test_bytes_that_were_never_synced_do_not_count(broken_off: Path, tmp_path: Path) -> None:
    with (broken_off / f"{KEY}.part").open("ab") as part:
        part.write(b"\0" * 30)
    with open_partial(SOURCE, tmp_path / "model", broken_off) as partial:
        assert partial.count == 40
        partial.write(b"y")
        partial.place(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b"x" * 40 + b"y"


LONG = Edition(validator='"1"', address="a" * 64)


def left_by_a_kill(folder: Path) -> int:
    """How many bytes the next process would find if this one were killed now."""
    copy = shutil.copytree(folder, folder.parent / "copy")
    return found(copy)[0]


def test_a_killed_process_leaves_what_it_synced_every_4_mib(folder: Path, tmp_path: Path) -> None:
    with open_partial(SOURCE, tmp_path / "model", folder, clock=lambda: 0.0) as partial:
        partial.restart(LONG)
        for _ in range(6):
            partial.write(MIB)
        assert left_by_a_kill(folder) == 4 * len(MIB)


def test_a_killed_process_leaves_what_it_synced_every_second(folder: Path, tmp_path: Path) -> None:
    now_s = iter([0.0, 0.0, 0.5, 1.0, 1.0, 1.9])
    with open_partial(SOURCE, tmp_path / "model", folder, clock=lambda: next(now_s)) as partial:
        partial.restart(EDITION)
        for _ in range(3):
            partial.write(b"x" * 10)
        now_s = iter([2.0])
        assert left_by_a_kill(folder) == 20


def test_a_new_beginning_is_durable_before_its_first_byte(
    broken_off: Path, tmp_path: Path, mocker: MockerFixture
) -> None:
    state, part = broken_off / f"{KEY}.json", broken_off / f"{KEY}.part"
    seen: list[tuple[bool, int]] = []
    with open_partial(SOURCE, tmp_path / "model", broken_off) as partial:
        sync = mocker.patch(
            "os.fsync", side_effect=lambda _: seen.append((state.exists(), part.stat().st_size))
        )
        partial.restart(EDITION)
        mocker.stop(sync)
    assert seen == [(False, 40)]


def test_bytes_are_synced_before_they_count(
    folder: Path, tmp_path: Path, mocker: MockerFixture
) -> None:
    state, part = folder / f"{KEY}.json", folder / f"{KEY}.part"
    seen: list[tuple[bool, int]] = []
    with open_partial(SOURCE, tmp_path / "model", folder) as partial:
        partial.restart(LONG)
        sync = mocker.patch(
            "os.fsync", side_effect=lambda _: seen.append((state.exists(), part.stat().st_size))
        )
        partial.write(MIB * 4)
        mocker.stop(sync)
    assert seen[0] == (False, 4 * len(MIB))


@pytest.mark.parametrize(
    "change",
    [
        {"count": 0},
        {"count": -1},
        {"count": 41},
        {"count": True},
        {"count": "40"},
        {"key": "b" * 64},
        {"edition": None},
        {"edition": {"validator": '"1"\r\nX: 1', "address": "a" * 64}},
        {"edition": {"validator": 'W/"1"', "address": "a" * 64}},
        {"edition": {"validator": '"1"', "address": "a"}},
        {"edition": {"validator": '"1"', "address": "a" * 64, "length": 0}},
        {"newer": 1},
    ],
)
def test_a_side_file_that_does_not_fit_starts_over(
    change: dict[str, object], broken_off: Path
) -> None:
    side = broken_off / f"{KEY}.json"
    side.write_text(json.dumps(json.loads(side.read_bytes()) | change))
    assert found(broken_off) == (0, None)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 4000, b"null", b"{}", b" " * 5000])
def test_a_side_file_that_is_none_starts_over(data: bytes, broken_off: Path) -> None:
    (broken_off / f"{KEY}.json").write_bytes(data)
    assert found(broken_off) == (0, None)


@pytest.mark.parametrize("suffix", ["part", "json"])
def test_one_file_without_the_other_starts_over(suffix: str, broken_off: Path) -> None:
    (broken_off / f"{KEY}.{suffix}").unlink()
    assert found(broken_off) == (0, None)


@pytest.mark.parametrize("suffix", ["part", "json"])
@pytest.mark.parametrize("plant", [os.symlink, os.link], ids=["symlink", "hard-link"])
def test_a_planted_link_is_replaced(
    plant: Callable[[Path, Path], None], suffix: str, broken_off: Path, tmp_path: Path
) -> None:
    planted = broken_off / f"{KEY}.{suffix}"
    elsewhere = tmp_path / "precious"
    elsewhere.write_bytes(planted.read_bytes())
    planted.unlink()
    plant(elsewhere, planted)
    before = elsewhere.read_bytes()
    with open_partial(SOURCE, tmp_path / "model", broken_off) as partial:
        assert partial.count == 0
        partial.restart(EDITION)
        partial.write(b"new")
    assert elsewhere.read_bytes() == before


def test_a_pipe_in_the_place_of_the_file_is_replaced(broken_off: Path) -> None:
    (broken_off / f"{KEY}.part").unlink()
    os.mkfifo(broken_off / f"{KEY}.part")
    assert found(broken_off) == (0, None)


def test_a_folder_in_the_place_of_the_file_keeps_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / f"{KEY}.part").mkdir(parents=True)
    with open_partial(SOURCE, tmp_path / "model", folder) as partial:
        partial.write(b"new")
        partial.place(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b"new"


def test_a_linked_folder_is_not_used(broken_off: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(broken_off)
    assert found(tmp_path / "linked") == (0, None)


def test_while_it_is_open_another_one_starts_empty(broken_off: Path, tmp_path: Path) -> None:
    with open_partial(SOURCE, tmp_path / "first", broken_off) as first:
        with open_partial(SOURCE, tmp_path / "second", broken_off) as second:
            assert second.count == 0
            second.write(b"second")
            second.place(tmp_path / "second")
        first.write(b"y")
        first.place(tmp_path / "first")
    assert (tmp_path / "second").read_bytes() == b"second"
    assert (tmp_path / "first").read_bytes() == b"x" * 40 + b"y"


def test_a_file_that_cannot_be_placed_is_told_and_gone(broken_off: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match="No such file") as caught,
        open_partial(SOURCE, tmp_path / "model", broken_off) as partial,
    ):
        partial.place(tmp_path / "none" / "model")
    assert caught.value.code == ErrorCode.MODEL_UNWRITABLE
    assert names(broken_off) == []


def test_a_disk_that_fails_at_the_end_keeps_the_last_checkpoint(
    broken_off: Path, tmp_path: Path, mocker: MockerFixture
) -> None:
    with open_partial(SOURCE, tmp_path / "model", broken_off) as partial:
        partial.write(b"y" * 10)
        sync = mocker.patch("os.fsync", side_effect=OSError(5, "Input/output error"))
    mocker.stop(sync)
    assert found(broken_off) == (40, EDITION)


def test_old_files_are_swept_with_what_a_killed_checkpoint_left(broken_off: Path) -> None:
    (broken_off / f".{KEY}.json.abc_1.tmp").write_bytes(b"torn")
    size = sum(path.stat().st_size for path in broken_off.iterdir())
    assert sweep_partials(broken_off, older_than_s=10.0, now_s=1e12) == size
    assert names(broken_off) == []


def test_files_that_were_written_lately_stay(broken_off: Path) -> None:
    written_s = max(path.stat().st_mtime for path in broken_off.iterdir())
    assert sweep_partials(broken_off, older_than_s=10.0, now_s=written_s + 9) == 0
    assert found(broken_off) == (40, EDITION)


def test_files_in_use_stay(broken_off: Path, tmp_path: Path) -> None:
    with open_partial(SOURCE, tmp_path / "model", broken_off):
        assert sweep_partials(broken_off, older_than_s=10.0, now_s=1e12) == 0
        assert "KEY.part" in names(broken_off)


def test_files_of_others_stay(broken_off: Path) -> None:
    (broken_off / "notes.part").write_text("mine")
    sweep_partials(broken_off, older_than_s=10.0, now_s=1e12)
    assert names(broken_off) == ["notes.part"]


def test_links_are_swept_and_not_followed(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (folder / f"{KEY}.part").symlink_to(precious)
    sweep_partials(folder, older_than_s=10.0, now_s=1e12)
    assert names(folder) == []
    assert precious.read_text() == "precious"


def test_a_folder_that_is_not_there_holds_nothing(folder: Path) -> None:
    assert sweep_partials(folder, older_than_s=0.0, now_s=1e12) == 0
    assert not folder.exists()
