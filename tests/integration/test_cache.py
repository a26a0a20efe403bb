"""The cache over real files: whole, damaged, planted, locked."""

from __future__ import annotations

import logging
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import diskcache
import pytest

from birdcli import cache as cache_module
from birdcli.cache import Cache, CacheInfo, open_cache
from birdcli.cache_guard import make_private
from birdcli.items import CachedAnswer, ImageInfo, Prediction, Validators
from birdcli.validators import SeenUrl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mock import MockerFixture

LIMIT = 100_000_000
DIGEST = "a" * 64
ANSWER = CachedAnswer(
    image=ImageInfo(sha256=DIGEST, bytes=1, width=2, height=3, format="JPEG"),
    predictions=(Prediction(class_id=7, label="Parus major", common_name=None, score=0.5),),
    backend="tensorflow/float32",
)
VALIDATORS = Validators(sha256=DIGEST, etag='"1"')
URL = "http://me:s3cret@h/a.jpg"


class Explosive:
    """A value whose unpickling leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cache"


@contextmanager
def opened(folder: Path, *, size_limit: int = LIMIT) -> Iterator[Cache]:
    with closing(open_cache(folder, size_limit=size_limit)) as cache:
        yield cache


def fill(folder: Path) -> None:
    with opened(folder) as cache:
        cache.answers("model", top_k=1).put(DIGEST, ANSWER)
        cache.validators.put(URL, VALIDATORS)


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        yield connection
        connection.commit()


def assert_empty(cache: Cache) -> None:
    """Every operation works, and finds nothing."""
    answers = cache.answers("model", top_k=1)
    answers.put(DIGEST, ANSWER)
    assert answers.get(DIGEST) is None
    cache.validators.put(URL, VALIDATORS)
    assert cache.validators.get_many([URL]) == {}
    assert cache.info() == CacheInfo(cache.folder, 0, 0)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name == "birdcli.cache"
    ]


# A cache that works


def test_an_answer_outlives_the_process_that_made_it(folder: Path) -> None:
    fill(folder)
    with opened(folder) as cache:
        assert cache.answers("model", top_k=1).get(DIGEST) == ANSWER


def test_validators_outlive_the_process_that_made_them(folder: Path) -> None:
    fill(folder)
    with opened(folder) as cache:
        seen = cache.validators.get_many([URL, "http://h/other"])
        assert seen == {URL: SeenUrl(validators=VALIDATORS, in_this_run=False)}


def test_an_answer_belongs_to_its_fingerprint(folder: Path) -> None:
    fill(folder)
    with opened(folder) as cache:
        assert cache.answers("other model", top_k=1).get(DIGEST) is None


def test_what_was_never_kept_is_a_miss(folder: Path) -> None:
    with opened(folder) as cache:
        assert cache.answers("model", top_k=1).get("b" * 64) is None
        assert cache.validators.get_many(["http://h/other"]) == {}


def test_a_later_value_replaces_the_earlier(folder: Path) -> None:
    fill(folder)
    with opened(folder) as cache:
        answers = cache.answers("model", top_k=1)
        answers.put(DIGEST, replace(ANSWER, backend="tensorflow/bfloat16"))
        found = answers.get(DIGEST)
        assert found is not None
        assert found.backend == "tensorflow/bfloat16"
        assert cache.info().entries == 2


def test_info_counts(folder: Path) -> None:
    fill(folder)
    with opened(folder) as cache:
        info = cache.info()
    assert (info.folder, info.entries) == (folder, 2)
    assert 0 < info.bytes < 200_000


def test_clear_removes_everything(folder: Path) -> None:
    fill(folder)
    with opened(folder) as cache:
        assert cache.clear() == 2
        assert cache.answers("model", top_k=1).get(DIGEST) is None
        assert cache.info().entries == 0


def test_the_size_is_bounded(folder: Path) -> None:
    with opened(folder, size_limit=300_000) as cache:
        put_many(cache, 2000)
        answers = cache.answers("model", top_k=1)
        assert cache.info().bytes < 350_000
        assert answers.get(f"{1999:064x}") is not None
        assert answers.get(f"{0:064x}") is None


def put_many(cache: Cache, count: int, *, first: int = 0) -> None:
    answers = cache.answers("model", top_k=1)
    for number in range(first, first + count):
        digest = f"{number:064x}"
        answers.put(digest, replace(ANSWER, image=replace(ANSWER.image, sha256=digest)))


def answer_with(guesses: int) -> CachedAnswer:
    return replace(
        ANSWER,
        predictions=tuple(
            Prediction(
                class_id=rank, label=f"bird {rank}", common_name=None, score=0.5 - 0.1 * rank
            )
            for rank in range(guesses)
        ),
    )


@pytest.mark.parametrize(("kept", "wanted", "found"), [(5, 3, 3), (3, 3, 3), (3, 5, None)])
def test_an_answer_with_more_guesses_serves_who_wants_fewer(
    folder: Path, kept: int, wanted: int, found: int | None
) -> None:
    with opened(folder) as cache:
        cache.answers("model", top_k=kept).put(DIGEST, answer_with(kept))
        answer = cache.answers("model", top_k=wanted).get(DIGEST)
        assert answer == (None if found is None else answer_with(found))


def test_a_url_counts_as_asked_only_in_the_run_that_asked(folder: Path) -> None:
    with opened(folder) as cache:
        cache.validators.put(URL, VALIDATORS)
        assert cache.validators.get_many([URL])[URL].in_this_run
    with opened(folder) as cache:
        assert not cache.validators.get_many([URL])[URL].in_this_run


def test_a_forgotten_url_is_unknown(folder: Path) -> None:
    fill(folder)
    with opened(folder) as cache:
        cache.validators.forget(URL)
        cache.validators.forget("http://h/never seen")
        assert cache.validators.get_many([URL]) == {}


_WRITER = """
import sys
from pathlib import Path
from tests.integration.test_cache import LIMIT, opened, put_many
with opened(Path(sys.argv[1])) as cache:
    put_many(cache, 1500, first=int(sys.argv[2]))
"""


def test_two_processes_may_write_at_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(folder) as cache:
        command = [sys.executable, "-c", _WRITER, str(folder), "1000000"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as other:
            put_many(cache, 1500)
            assert other.stderr is not None
            assert other.stderr.read() == b""
        assert other.returncode == 0
        assert cache.info().entries == 3000
    assert warnings_of(caplog) == []


def test_everything_written_at_once_is_kept(folder: Path) -> None:
    with opened(folder) as cache:
        put_many(cache, 1000)
        assert cache.info().entries == 1000
        assert cache.answers("model", top_k=1).get(f"{999:064x}") is not None


def test_a_closed_cache_lets_every_writer_pass(folder: Path) -> None:
    cache = open_cache(folder, size_limit=LIMIT)
    cache.close()
    put_many(cache, 1000)


def test_many_threads_may_use_it(folder: Path) -> None:
    def round_trip(number: int) -> bool:
        digest = f"{number:064x}"
        answer = replace(ANSWER, image=replace(ANSWER.image, sha256=digest))
        answers.put(digest, answer)
        return answers.get(digest) == answer

    with opened(folder) as cache, ThreadPoolExecutor(8) as threads:
        answers = cache.answers("model", top_k=1)
        assert all(threads.map(round_trip, range(300)))


def test_two_caches_may_share_a_folder(folder: Path) -> None:
    with opened(folder) as one, opened(folder) as other:
        one.answers("model", top_k=1).put(DIGEST, ANSWER)
        one.info()  # waits for the write
        assert other.answers("model", top_k=1).get(DIGEST) == ANSWER


def test_a_closed_cache_is_empty(folder: Path) -> None:
    fill(folder)
    cache = open_cache(folder, size_limit=LIMIT)
    cache.close()
    cache.close()
    assert_empty(cache)
    assert cache.clear() == 0


def test_closing_leaves_one_file_and_everything_in_it(folder: Path) -> None:
    fill(folder)
    assert [entry.name for entry in folder.iterdir()] == ["cache.db"]


def test_no_url_and_no_secret_is_on_disk_in_clear(folder: Path) -> None:
    fill(folder)
    stored = (folder / "cache.db").read_bytes()
    assert b"s3cret" not in stored
    assert b"a.jpg" not in stored


def test_nothing_is_warned_about(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(folder)
    assert warnings_of(caplog) == []


def test_importing_the_cache_loads_no_slow_library() -> None:
    script = "import sys, birdcli.cache; print({'numpy', 'PIL', 'aiohttp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"set()"


# Its folder


def test_the_folder_is_private(folder: Path) -> None:
    fill(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_an_empty_folder_is_made_private(folder: Path, mode: int) -> None:
    folder.mkdir(parents=True)
    folder.chmod(mode)
    fill(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_cache_that_others_could_read_is_made_private(folder: Path) -> None:
    fill(folder)
    folder.chmod(0o755)
    with opened(folder) as cache:
        assert cache.answers("model", top_k=1).get(DIGEST) == ANSWER
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_cache_that_others_could_write_is_refused(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder)
    folder.chmod(0o777)
    with opened(folder) as cache:
        assert_empty(cache)
    assert len(warnings_of(caplog)) == 1
    assert "other users could have written" in warnings_of(caplog)[0]


def test_a_folder_with_other_files_is_left_alone(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)
    (folder / "holiday.jpg").write_bytes(b"bird")
    with opened(folder) as cache:
        assert_empty(cache)
        assert cache.clear() == 0
    assert len(warnings_of(caplog)) == 1
    assert [entry.name for entry in folder.iterdir()] == ["holiday.jpg"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_folder_of_another_user_is_refused(
    folder: Path, caplog: pytest.LogCaptureFixture, mocker: MockerFixture
) -> None:
    fill(folder)
    mocker.patch("os.geteuid", return_value=os.geteuid() + 1)
    with opened(folder) as cache:
        assert_empty(cache)
    assert "another user" in warnings_of(caplog)[0]


def test_modes_mean_nothing_on_windows(folder: Path, mocker: MockerFixture) -> None:
    mocker.patch("birdcli.cache_guard.os.name", "nt")
    make_private(folder, holding="cache.db")
    assert folder.is_dir()


def test_a_file_in_place_of_the_folder_costs_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"")
    with opened(folder) as cache:
        assert_empty(cache)
        assert cache.clear() == 0
    assert warnings_of(caplog) == [f"The cache {folder} is not used: File exists"]


# Damage


@pytest.mark.parametrize("content", [b"not a database" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_costs_one_warning(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder)
    (folder / "cache.db").write_bytes(content)
    with opened(folder) as cache:
        assert_empty(cache)
    assert len(warnings_of(caplog)) == 1
    assert "birdcli cache clear" in warnings_of(caplog)[0]


def test_damage_in_the_middle_costs_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder)
    path = folder / "cache.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with opened(folder) as cache:
        assert_empty(cache)
    assert len(warnings_of(caplog)) == 1


def test_clear_begins_a_damaged_cache_anew(folder: Path) -> None:
    fill(folder)
    (folder / "cache.db").write_bytes(b"not a database" * 1000)
    with opened(folder) as cache:
        assert cache.clear() == 0
        cache.answers("model", top_k=1).put(DIGEST, ANSWER)
        assert cache.answers("model", top_k=1).get(DIGEST) == ANSWER


def test_a_damaged_value_is_a_miss_and_no_more(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder)
    with database(folder) as connection:
        connection.execute("UPDATE Cache SET value = substr(value, 1, length(value) - 1)")
    with opened(folder) as cache:
        answers = cache.answers("model", top_k=1)
        assert answers.get(DIGEST) is None
        assert cache.validators.get_many([URL]) == {}
        answers.put(DIGEST, ANSWER)
        assert answers.get(DIGEST) == ANSWER
    assert warnings_of(caplog) == []


def test_a_changed_answer_is_a_miss_though_it_is_good_json(folder: Path) -> None:
    fill(folder)
    with database(folder) as connection:
        rows = connection.execute("SELECT rowid, value FROM Cache").fetchall()
        for rowid, value in rows:
            changed = value.replace(b"0.5", b"0.9")
            connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (changed, rowid))
        assert any(b"0.5" in value for _, value in rows)
    with opened(folder) as cache:
        assert cache.answers("model", top_k=1).get(DIGEST) is None


def test_a_value_of_another_version_is_a_miss(folder: Path) -> None:
    fill(folder)
    with opened(folder) as cache:
        answers = cache.answers("model", top_k=1)
        cache.write(answers._prefix + DIGEST, b'{"version":2}')
        assert answers.get(DIGEST) is None


# What somebody has planted


@pytest.mark.parametrize("in_file", [False, True])
def test_a_planted_pickle_is_never_loaded(folder: Path, tmp_path: Path, in_file: bool) -> None:
    fill(folder)
    trace = tmp_path / "unpickled"
    gift = pickle.dumps(Explosive(trace))
    (folder / "gift.val").write_bytes(gift)
    with database(folder) as connection:
        connection.execute(
            "UPDATE Cache SET mode = 4, filename = ?, value = ?",
            ("gift.val", None) if in_file else (None, gift),
        )
    with opened(folder) as cache:
        assert cache.answers("model", top_k=1).get(DIGEST) is None
        assert cache.validators.get_many([URL]) == {}
        cache.answers("model", top_k=1).put(DIGEST, ANSWER)
        assert cache.answers("model", top_k=1).get(DIGEST) == ANSWER
        cache.clear()
    assert not trace.exists()


def test_a_planted_pickled_key_is_never_loaded(folder: Path, tmp_path: Path) -> None:
    fill(folder)
    trace = tmp_path / "unpickled"
    with database(folder) as connection:
        connection.execute(
            "UPDATE Cache SET key = ?, raw = 0 WHERE rowid = 1", (pickle.dumps(Explosive(trace)),)
        )
    with opened(folder) as cache:
        assert cache.info().entries == 2
        assert cache.clear() == 2
    assert not trace.exists()


def test_a_planted_file_name_is_neither_read_nor_deleted(folder: Path, tmp_path: Path) -> None:
    fill(folder)
    letter = tmp_path / "letter.txt"
    letter.write_bytes(b"dear")
    with database(folder) as connection:
        connection.execute("UPDATE Cache SET mode = 2, filename = '../../letter.txt', value = NULL")
    with opened(folder) as cache:
        assert cache.answers("model", top_k=1).get(DIGEST) is None
        cache.answers("model", top_k=1).put(DIGEST, ANSWER)
        cache.clear()
    assert letter.read_bytes() == b"dear"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mode", 4),
        ("_disk", "x"),
        ("disk_fetch", "x"),
        ("sqlite_writable_schema", 1),
        ("sqlite_journal_mode", "wal; DROP TABLE Cache"),
        ("sqlite_cache_size", "1; x"),
        ("eviction_policy", "none"),
        ("size_limit", None),
        ("count", "many"),
    ],
)
def test_a_planted_setting_costs_the_cache(
    folder: Path, key: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder)
    with database(folder) as connection:
        connection.execute("INSERT OR REPLACE INTO Settings VALUES (?, ?)", (key, value))
    with opened(folder) as cache:
        assert_empty(cache)
    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER mine AFTER INSERT ON Cache BEGIN DELETE FROM Cache; END",
        "CREATE TRIGGER Settings_size_more AFTER DELETE ON Cache FOR EACH ROW BEGIN"
        " UPDATE Settings SET value = (WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r)"
        ' SELECT max(x) FROM r) WHERE key = "size"; END',
        "CREATE VIEW mine AS SELECT 1",
    ],
)
def test_a_planted_trigger_or_view_costs_the_cache(
    folder: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder)
    with database(folder) as connection:
        connection.execute(statement)
    with opened(folder) as cache:
        assert_empty(cache)
    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_a_file_that_is_overwritten_in_use_costs_one_warning_at_most(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(folder) as cache:
        put_many(cache, 100)
        cache.info()
        for name in ("cache.db", "cache.db-wal"):
            (folder / name).write_bytes(content)
        put_many(cache, 100)
        cache.answers("model", top_k=1).get(DIGEST)
    assert len(warnings_of(caplog)) <= 1


def test_columns_that_diskcache_cannot_add_up_cost_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder)
    with opened(folder) as cache:
        with database(folder) as connection:
            connection.execute("UPDATE Settings SET value = 'much' WHERE key = 'size'")
            connection.execute("DROP TRIGGER Settings_size_update")
            connection.execute("DROP TRIGGER Settings_size_insert")
        assert_empty(cache)
    assert len(warnings_of(caplog)) == 1


def test_a_database_of_another_program_is_left_alone(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True, mode=0o700)
    with database(folder) as connection:
        connection.execute("CREATE TABLE thumbnails (x)")
    before = (folder / "cache.db").read_bytes()
    with opened(folder) as cache:
        assert_empty(cache)
        assert cache.clear() == 0
    assert (folder / "cache.db").read_bytes() == before
    assert "another program" in warnings_of(caplog)[0]


def test_a_cache_whose_making_was_cut_short_is_finished(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    (folder / "cache.db").touch()
    fill(folder)
    with opened(folder) as cache:
        assert cache.info().entries == 2


# Trouble with the disk

_LIMITED = """
import logging, resource, sys
from pathlib import Path
from tests.integration.test_cache import ANSWER, DIGEST, opened, put_many
logging.basicConfig(format="%(message)s")
with opened(Path(sys.argv[1])) as cache:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    put_many(cache, 5000)
    assert cache.info().entries == 0
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""


def test_clear_makes_room_on_a_full_disk(folder: Path, mocker: MockerFixture) -> None:
    with opened(folder) as cache:
        pictures = cache.pictures(keep=True)
        assert pictures is not None
        pictures.put(DIGEST, b"a bird")
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    mocker.patch.object(cache_module, "verify_database", side_effect=[full, full, None])
    with opened(folder) as cache:
        assert cache.clear() == 1
        assert cache.info().pictures == 0
        cache.answers("model", top_k=1).put(DIGEST, ANSWER)
        assert cache.answers("model", top_k=1).get(DIGEST) == ANSWER


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_a_disk_that_fills_up_costs_one_warning(folder: Path) -> None:
    command = [sys.executable, "-c", _LIMITED, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"The cache {folder} is not used: ")
    with opened(folder) as cache:  # what was written is whole
        assert cache.answers("model", top_k=1).get(f"{0:064x}") is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give links away")
def test_a_link_that_somebody_else_made_is_refused(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "mine")
    os.chown(folder, 12345, 12345, follow_symlinks=False)
    with opened(folder) as cache:
        assert_empty(cache)
    assert "another user" in warnings_of(caplog)[0]
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_link_of_the_user_leads_to_a_private_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o755)
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "disk")
    fill(folder)
    assert stat.S_IMODE((tmp_path / "disk").stat().st_mode) == 0o700
    with opened(folder) as cache:
        assert cache.answers("model", top_k=1).get(DIGEST) == ANSWER


def test_a_locked_file_costs_one_warning_and_no_data(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder)
    monkeypatch.setattr(cache_module, "_LOCK_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with opened(folder) as cache:
            assert_empty(cache)
            assert cache.clear() == 0
    assert warnings_of(caplog) == [f"The cache {folder} is not used: database is locked"]
    with opened(folder) as cache:
        assert cache.answers("model", top_k=1).get(DIGEST) == ANSWER


def test_a_file_that_becomes_locked_costs_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder)
    monkeypatch.setattr(cache_module, "_LOCK_TIMEOUT_S", 0.05)
    with (
        opened(folder) as cache,
        closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        assert cache.answers("model", top_k=1).get(DIGEST) == ANSWER
        assert_empty(cache)
    assert warnings_of(caplog) == [
        f"The cache {folder} is not used: another program keeps it locked"
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (sqlite3.OperationalError("database or disk is full"), "database or disk is full"),
        (
            sqlite3.OperationalError("attempt to write a readonly database"),
            "attempt to write a readonly database",
        ),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(), "OSError"),
    ],
)
def test_a_disk_that_takes_nothing_costs_one_warning(
    folder: Path,
    error: Exception,
    reason: str,
    caplog: pytest.LogCaptureFixture,
    mocker: MockerFixture,
) -> None:
    mocker.patch.object(diskcache.Cache, "set", side_effect=error)
    with opened(folder) as cache:
        assert_empty(cache)
    assert warnings_of(caplog) == [f"The cache {folder} is not used: {reason}"]
