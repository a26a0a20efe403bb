"""Encoded pictures over real files: kept, damaged, planted, too many."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from birdcli.cache import open_cache
from birdcli.kept_bytes import KeptBytes

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = b"a bird" * 100
LIMIT = 10_000_000


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


DIGEST = digest_of(PICTURE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


def kept_in(folder: Path, *, room: int = LIMIT, keep: bool = True) -> KeptBytes:
    return KeptBytes(folder, room=lambda: room, keep=keep)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.levelno >= logging.WARNING]


def test_a_picture_comes_back(folder: Path) -> None:
    kept_in(folder).put(DIGEST, PICTURE)
    later = kept_in(folder, keep=False)
    assert later.has(DIGEST)
    assert later.get(DIGEST) == PICTURE
    assert later.count() == (1, len(PICTURE))


def test_what_was_never_kept_is_not_there(folder: Path) -> None:
    kept = kept_in(folder)
    assert not kept.has(DIGEST)
    assert kept.get(DIGEST) is None
    assert kept.count() == (0, 0)
    assert kept.clear() == 0


def test_nothing_is_kept_unless_it_is_wanted(folder: Path) -> None:
    kept_in(folder, keep=False).put(DIGEST, PICTURE)
    assert not folder.exists()


def test_pictures_are_private(folder: Path) -> None:
    kept_in(folder).put(DIGEST, PICTURE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / DIGEST).stat().st_mode) == 0o600


@pytest.mark.parametrize("damaged", [b"", PICTURE[:-1], PICTURE + b"x", b"A" + PICTURE[1:]])
def test_a_damaged_picture_is_a_miss_and_goes(folder: Path, damaged: bytes) -> None:
    kept = kept_in(folder)
    kept.put(DIGEST, PICTURE)
    (folder / DIGEST).write_bytes(damaged)
    assert kept.get(DIGEST) is None
    assert not kept.has(DIGEST)


def test_the_least_recently_used_go_first(folder: Path) -> None:
    pictures = [bytes([number]) * 1000 for number in range(12)]
    names = [digest_of(picture) for picture in pictures]
    kept = kept_in(folder, room=10_000)
    for age, (name, picture) in enumerate(zip(names[:10], pictures[:10], strict=True)):
        kept.put(name, picture)
        os.utime(folder / name, (age, age))
    assert kept.get(names[0]) == pictures[0]
    kept.put(names[1], pictures[1])
    kept.put(names[10], pictures[10])
    assert [kept.has(name) for name in names[:5]] == [True, True, False, False, True]
    assert kept.count()[1] <= 10_000


def test_another_run_with_less_room_takes_it_back(folder: Path) -> None:
    kept = kept_in(folder)
    for number in range(10):
        picture = bytes([number]) * 1000
        kept.put(digest_of(picture), picture)
    kept_in(folder, room=5000).put(DIGEST, PICTURE)
    assert kept.count()[1] <= 5000


def test_a_picture_larger_than_all_room_is_not_kept(folder: Path) -> None:
    kept = kept_in(folder, room=100)
    kept.put(DIGEST, PICTURE)
    assert kept.count() == (0, 0)


def test_what_a_crash_has_left_is_removed_and_what_is_being_written_is_not(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    old, new = folder / f"{DIGEST}.17-1.part", folder / f"{DIGEST}.17-2.part"
    for path in (old, new):
        path.write_bytes(PICTURE[:10])
    long_ago_s = time.time() - 3600
    os.utime(old, (long_ago_s, long_ago_s))
    kept_in(folder).put(DIGEST, PICTURE)
    assert {path.name for path in folder.iterdir()} == {DIGEST, new.name}


def test_what_earlier_runs_kept_counts(folder: Path) -> None:
    for number in range(10):
        picture = bytes([number]) * 1000
        kept_in(folder, room=10_000).put(digest_of(picture), picture)
    kept_in(folder, room=10_000).put(DIGEST, PICTURE)
    assert kept_in(folder).count()[1] <= 10_000


def test_clear_leaves_what_is_not_ours(folder: Path) -> None:
    kept = kept_in(folder)
    kept.put(DIGEST, PICTURE)
    (folder / f"{DIGEST}.17-1.part").touch()
    (folder / "letter.txt").write_text("dear")
    assert kept.clear() == 1
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_clear_removes_the_empty_folder_and_pictures_can_be_kept_again(folder: Path) -> None:
    kept = kept_in(folder)
    kept.put(DIGEST, PICTURE)
    kept.clear()
    assert not folder.exists()
    kept.put(DIGEST, PICTURE)
    assert kept.get(DIGEST) == PICTURE


def test_pictures_are_kept_on_after_another_process_has_cleared_them(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = kept_in(folder)
    running.put(DIGEST, PICTURE)
    assert kept_in(folder, keep=False).clear() == 1
    assert not folder.exists()
    running.put(DIGEST, PICTURE)
    assert running.get(DIGEST) == PICTURE
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert running.keeps
    assert warnings_of(caplog) == []


def test_a_picture_that_is_cleared_away_while_it_is_written_is_written_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rooms: list[int] = []

    def clear_before_writing() -> int:  # between counting what is there and writing
        rooms.append(LIMIT)
        if len(rooms) == 2:
            kept_in(folder, keep=False).clear()
        return LIMIT

    kept = KeptBytes(folder, room=clear_before_writing, keep=True)
    kept.put(DIGEST, PICTURE)
    assert kept.get(DIGEST) == PICTURE
    assert warnings_of(caplog) == []


def test_a_cache_that_is_gone_altogether_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache" / "pictures"
    folder.mkdir(parents=True)
    kept = kept_in(folder)
    kept.put(DIGEST, PICTURE)
    shutil.rmtree(folder.parent)
    for _ in range(2):
        kept.put(DIGEST, PICTURE)
    assert not kept.keeps
    assert warnings_of(caplog) == [
        f"No more pictures are kept in {folder}: No such file or directory"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs there")
def test_planted_links_pipes_and_folders_are_neither_read_nor_followed(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter").write_bytes(PICTURE)
    folder.mkdir(mode=0o700)
    pipe, inside = digest_of(b"pipe"), digest_of(b"folder")
    (folder / DIGEST).symlink_to(tmp_path / "letter")
    os.mkfifo(folder / pipe)
    (folder / inside).mkdir()
    kept = kept_in(folder)
    assert [kept.get(name) for name in (DIGEST, pipe, inside)] == [None, None, None]
    assert kept.count() == (0, 0)
    assert kept.clear() == 0
    assert (tmp_path / "letter").read_bytes() == PICTURE


def test_a_linked_folder_costs_one_warning(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    kept = kept_in(folder)
    for _ in range(2):
        kept.put(DIGEST, PICTURE)
    assert kept.count() == (0, 0)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert warnings_of(caplog) == [
        f"No more pictures are kept in {folder}: it is no folder of its own"
    ]


def test_a_file_in_place_of_the_folder_costs_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_bytes(b"")
    kept_in(folder).put(DIGEST, PICTURE)
    assert warnings_of(caplog) == [f"No more pictures are kept in {folder}: File exists"]


_LIMITED = """
import resource, sys
from pathlib import Path
from tests.integration.test_kept_bytes import DIGEST, PICTURE, digest_of, kept_in
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
kept = kept_in(Path(sys.argv[1]))
kept.put(DIGEST, PICTURE)
kept.put(digest_of(PICTURE * 2), PICTURE * 2)
kept.put(digest_of(b"x"), b"x")
resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_a_disk_that_fills_up_costs_one_warning_and_leaves_whole_pictures(folder: Path) -> None:
    command = [sys.executable, "-c", _LIMITED, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == f"No more pictures are kept in {folder}: File too large\n"
    assert [path.name for path in folder.iterdir()] == [DIGEST]


# As a part of the cache


def test_pictures_and_database_share_the_room(tmp_path: Path) -> None:
    with closing(open_cache(tmp_path / "cache", size_limit=300_000)) as cache:
        pictures = cache.pictures(keep=True)
        assert pictures is not None
        for number in range(60):
            picture = number.to_bytes(2, "big") * 5000
            pictures.put(digest_of(picture), picture)
        info = cache.info()
        assert 0 < info.pictures < 30
        assert info.bytes <= 300_000
        assert cache.clear() == info.pictures
        assert {path.name for path in (tmp_path / "cache").iterdir()} <= {
            *("cache.db", "cache.db-wal", "cache.db-shm")
        }


def test_a_cache_that_cannot_be_used_keeps_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "letter.txt").write_text("dear")
    with closing(open_cache(tmp_path / "cache", size_limit=LIMIT)) as cache:
        assert cache.pictures(keep=True) is None
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["letter.txt"]
