"""Arguments, folders and lists as one numbered stream."""

from __future__ import annotations

import errno
import gzip
import io
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.errors import ErrorCode, UsageError
from birdcli.inputs import Inputs
from birdcli.items import Failed, ImageRef, SourceKind, Stage, Timings
from birdcli.settings import ListSettings
from birdcli.sources import IMAGE_SUFFIXES
from birdcli.watch import Busy
from birdcli.worker_threads import AbandonedError
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Item = ImageRef | Failed


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inputs(
    arguments: Sequence[str] = (),
    lists: Sequence[str] = (),
    *,
    settings: ListSettings | None = None,
    stdin: bytes = b"",
) -> list[Item]:
    return list(
        Inputs(
            arguments,
            lists,
            settings or ListSettings(),
            stdin=io.BytesIO(stdin),
            clock=lambda: 5.0,
        )
    )


def sources(items: list[Item]) -> list[str]:
    refs = [item.ref if isinstance(item, Failed) else item for item in items]
    assert [ref.index for ref in refs] == list(range(len(refs)))
    return [ref.source for ref in refs]


def failure(source: str) -> Failed:
    (item,) = inputs([source])
    assert isinstance(item, Failed)
    assert item.ref.source == source
    return item


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


# --- URLs ---


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.jpg",
        "HTTP://EXAMPLE.ORG",
        "hTTps://user:secret@example.org:8443/a%20b.jpg?sig=%7E#x",
        "http://[::1]:80/a.jpg",
        "http://127.1/a.jpg",
        "https://пример.рф/птица.jpg",
        "https://example.org/caf\udce9.jpg",
    ],
)
def test_a_web_url_is_an_input_as_it_was_typed(url: str) -> None:
    assert inputs([url]) == [ImageRef(index=0, source=url, kind=SourceKind.URL)]


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///a.jpg",
        "https://?a.jpg",
        "https://user@/a.jpg",
        "https://:443/a.jpg",
        "https://example.org/a b.jpg",
        "https://example .org/a.jpg",
        "https://example.org/a.jpg\n",
        "https://example.org/\x00",
        "https://example.org/\x1b[31m",
        "https://example.org/\x7f",
        "https://[::1/a.jpg",
        "https://[zz]/a.jpg",
        "https://example.org:port/a.jpg",
        "https://example.org:99999/a.jpg",
        "https://example.org:0/a.jpg",
        "https://example.org\u2100/a.jpg",
    ],
)
def test_an_unusable_web_url_fails_alone(url: str) -> None:
    item = failure(url)
    assert item.error.code is ErrorCode.SOURCE_INVALID_URL
    assert item.error.attempts == 0
    assert not item.error.retryable
    assert item.timings == Timings(5.0)


@pytest.mark.parametrize("url", ["ftp://example.org/a.jpg", "s3://bucket/a.jpg", "Git+SSH://x"])
def test_another_scheme_is_refused(url: str) -> None:
    item = failure(url)
    assert item.error.code is ErrorCode.SOURCE_BAD_SCHEME
    assert item.ref.kind is SourceKind.URL
    assert dict(item.error.details) == {"scheme": url.partition(":")[0].lower()}


def test_messages_hold_no_secrets_of_the_url() -> None:
    for url in ("https://user:secret@/a.jpg", "ftp://user:secret@example.org/a.jpg"):
        error = failure(url).error
        assert "secret" not in f"{error.message}{error.hint}{error.details}"


# --- files ---


@pytest.mark.parametrize(
    "path",
    [
        "missing.jpg",
        "",
        "-x.jpg",
        "a b\n.jpg",
        "C:/birds/a.jpg",
        "http:/one-slash.jpg",
        "data:image/png;base64,AAAA",
        "caf\udce9.jpg",
        "half\ud800.jpg",
        "nul\0.jpg",
        "x" * 5000,
        "loop",
        "notes.txt",
    ],
)
def test_anything_else_is_a_path_whether_it_exists_or_not(folder: Path, path: str) -> None:
    (folder / "loop").symlink_to("loop")
    assert inputs([path]) == [ImageRef(index=0, source=path, kind=SourceKind.FILE)]


def test_a_file_url_is_an_input_as_it_was_typed(folder: Path) -> None:
    url = f"file://{folder}/a.jpg"
    assert inputs([url]) == [ImageRef(index=0, source=url, kind=SourceKind.FILE)]


def test_a_file_url_of_a_folder_is_expanded(folder: Path) -> None:
    touch(folder, "my birds/a%20.jpg")
    assert sources(inputs([f"file://{folder}/my%20birds"])) == [f"{folder}/my birds/a%20.jpg"]


@pytest.mark.parametrize(
    "url",
    [
        "file://",
        "file://localhost",
        "file://server/share/a.jpg",
        "file://a.jpg",
        "file:///a.jpg?x=1",
        "file:///a.jpg#x",
        "file:///half\ud800.jpg",
    ],
)
def test_a_file_url_of_no_local_path_fails_alone(url: str) -> None:
    assert failure(url).error.code is ErrorCode.SOURCE_INVALID_URL


# --- folders ---


def test_a_folder_gives_its_pictures_sorted_by_the_parts_of_their_paths(folder: Path) -> None:
    touch(
        folder, "p/b.jpg", "p/a/z.jpg", "p/a.jpg", "p/a/b/c.jpg", "p/B.jpg", "p/a-b/x.jpg", "q.jpg"
    )
    expected = ["p/B.jpg", "p/a/b/c.jpg", "p/a/z.jpg", "p/a-b/x.jpg", "p/a.jpg", "p/b.jpg"]
    assert sources(inputs(["p"])) == expected
    assert expected == sorted(expected, key=lambda path: path.split("/"))


@pytest.mark.parametrize("typed", ["p", "p/", "./p", "../{}/p", ".", "p/../p", "p//"])
def test_paths_begin_as_the_folder_was_typed(folder: Path, typed: str) -> None:
    touch(folder, "p/a.jpg")
    typed = typed.format(folder.name)
    name = "p/a.jpg" if typed == "." else "a.jpg"
    assert sources(inputs([typed])) == [f"{typed}{name}" if typed[-1] == "/" else f"{typed}/{name}"]


def test_every_picture_suffix_counts_in_any_case(folder: Path) -> None:
    names = [f"p/a{suffix}" for suffix in IMAGE_SUFFIXES]
    names += [f"p/b{suffix.upper()}" for suffix in IMAGE_SUFFIXES]
    touch(folder, *names)
    assert sources(inputs(["p"])) == sorted(names)


def test_other_files_of_a_folder_are_no_inputs(folder: Path) -> None:
    names = ["notes.txt", "jpg", "a.jpg.part", "ajpg", "a.", "a.cr2", "sub/x.md", "b.jpg"]
    touch(folder, *(f"p/{name}" for name in names))
    assert sources(inputs(["p"])) == ["p/b.jpg"]


def test_hidden_files_and_folders_are_skipped(folder: Path) -> None:
    touch(folder, "p/.a.jpg", "p/.jpg", "p/.cache/a.jpg", "p/b.jpg", "p/s/.c/d.jpg")
    assert sources(inputs(["p"])) == ["p/b.jpg"]


def test_a_hidden_folder_that_was_asked_for_is_searched(folder: Path) -> None:
    touch(folder, ".p/a.jpg")
    assert sources(inputs([".p"])) == [".p/a.jpg"]


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    touch(folder, "p/s/a.jpg", "other/b.jpg")
    (folder / "p/s/up").symlink_to(folder / "p")
    (folder / "p/up.jpg").symlink_to(folder / "other")
    assert sources(inputs(["p"])) == ["p/s/a.jpg"]


def test_a_link_to_a_folder_that_was_asked_for_is_searched(folder: Path) -> None:
    touch(folder, "other/b.jpg")
    (folder / "p").symlink_to("other")
    assert sources(inputs(["p"])) == ["p/b.jpg"]


def test_links_to_files_are_inputs_and_so_are_broken_ones(folder: Path) -> None:
    touch(folder, "other.jpg")
    (folder / "p").mkdir()
    (folder / "p/a.jpg").symlink_to(folder / "other.jpg")
    (folder / "p/broken.jpg").symlink_to("nowhere")
    (folder / "p/loop.jpg").symlink_to("loop.jpg")
    assert sources(inputs(["p"])) == ["p/a.jpg", "p/broken.jpg", "p/loop.jpg"]


def test_a_folder_named_like_a_picture_is_searched(folder: Path) -> None:
    touch(folder, "p/x.jpg/a.jpg")
    assert sources(inputs(["p", "p/x.jpg"])) == ["p/x.jpg/a.jpg", "p/x.jpg/a.jpg"]


def test_a_fifo_named_like_a_picture_is_an_input_nobody_waits_for(folder: Path) -> None:
    (folder / "p").mkdir()
    os.mkfifo(folder / "p/a.jpg")
    assert sources(inputs(["p"])) == ["p/a.jpg"]


@pytest.mark.parametrize("as_list", [False, True])
def test_a_folder_without_pictures_is_one_failed_input(folder: Path, as_list: bool) -> None:
    touch(folder, "p.jpg/q/notes.txt", "p.jpg/r.jpg/.hidden.jpg", "a.jpg")
    given = ["a.jpg", "p.jpg", "a.jpg"]
    items = inputs(["-"], stdin="\n".join(given).encode()) if as_list else inputs(given)
    assert sources(items) == given
    failed = items[1]
    assert isinstance(failed, Failed)
    assert failed.error.code is ErrorCode.SOURCE_EMPTY
    assert failed.error.message == "The folder holds no pictures"
    assert not failed.error.retryable


def test_an_empty_folder_is_recorded_as_it_was_typed_with_its_id(folder: Path) -> None:
    (folder / "p").mkdir()
    (folder / "list.csv").write_text(f"url,id\nfile://{folder}/p,7\n")
    (item,) = inputs([], ["list.csv"])
    assert isinstance(item, Failed)
    assert (item.ref.source, item.ref.id) == (f"file://{folder}/p", "7")


def test_empty_folders_in_a_folder_with_pictures_are_no_inputs(folder: Path) -> None:
    touch(folder, "p/b.jpg")
    (folder / "p/a.jpg/deep").mkdir(parents=True)
    (folder / "p/z").mkdir()
    assert sources(inputs(["p", "p"])) == ["p/b.jpg", "p/b.jpg"]


def test_names_that_are_no_utf8_survive(folder: Path) -> None:
    (folder / "p").mkdir()
    name = os.fsdecode(b"caf\xe9\n.jpg")
    touch(folder / "p", name, "cafe.jpg")
    assert sources(inputs(["p"])) == ["p/cafe.jpg", f"p/{name}"]


def test_a_folder_deeper_than_the_stack_is_searched(folder: Path) -> None:
    depth = sys.getrecursionlimit() + 100
    deep = ["d/" * level for level in range(1, depth + 1)]
    for name in deep:
        (folder / name).mkdir()
    picture = folder / deep[-1] / "a.jpg"
    picture.touch()
    try:
        assert sources(inputs(["d"])) == [f"{deep[-1]}a.jpg"]
    finally:  # too deep for those who tidy up after tests
        picture.unlink()
        for name in reversed(deep):
            (folder / name).rmdir()


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Makes the system refuse to list one folder: the tests may run as root, whom modes allow."""
    real_scandir = os.scandir

    def refuse(folder: str, number: int) -> None:
        def scandir(path: str) -> object:
            if path == folder:
                raise OSError(number, os.strerror(number), path)
            return real_scandir(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return refuse


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EACCES, ErrorCode.SOURCE_PERMISSION),
        (errno.ENOENT, ErrorCode.SOURCE_NOT_FOUND),
        (errno.EIO, ErrorCode.SOURCE_UNREADABLE),
    ],
)
def test_a_folder_that_cannot_be_listed_is_one_failure_among_the_others(
    folder: Path, refuse: Callable[[str, int], None], number: int, code: ErrorCode
) -> None:
    touch(folder, "p/a.jpg", "p/b/x.jpg", "p/c.jpg")
    refuse("p/b", number)
    items = inputs(["p"])
    assert sources(items) == ["p/a.jpg", "p/b", "p/c.jpg"]
    failed = items[1]
    assert isinstance(failed, Failed)
    assert failed.error.code is code
    assert dict(failed.error.details)["errno"] == errno.errorcode[number]
    assert failed.ref.kind is SourceKind.FILE
    assert not isinstance(items[0], Failed)
    assert not isinstance(items[2], Failed)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_one_failure(folder: Path) -> None:
    touch(folder, "p/a.jpg")
    (folder / "p").chmod(0)
    try:
        (item,) = inputs(["p"])
    finally:
        (folder / "p").chmod(0o700)
    assert isinstance(item, Failed)
    assert item.error.code is ErrorCode.SOURCE_PERMISSION


# --- disks that never answer ---


class DeadDisk:
    """Looks at paths under `dead` wait until it comes back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = threading.Semaphore(0)
        self.back = threading.Event()
        for name in ("stat", "scandir"):
            monkeypatch.setattr(os, name, self.waiting(getattr(os, name)))

    def waiting(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def look(path: Any, *arguments: Any, **options: Any) -> Any:
            if "dead" in str(path):
                self.asked.release()
                assert self.back.wait(30.0)
            return real(path, *arguments, **options)

        return look


class Reading:
    """Inputs that are iterated in threads, as in a run; patience is 5 s of `now_s`."""

    def __init__(self, arguments: Sequence[str], lists: Sequence[str] = ()) -> None:
        self.now_s = 0.0
        self.items: list[Item] = []
        self.ends: list[BaseException | None] = []
        self.threads: list[threading.Thread] = []
        self.inputs = Inputs(
            arguments,
            lists,
            ListSettings(),
            stdin=io.BytesIO(),
            clock=lambda: self.now_s,
            patience_s=5.0,
        )

    def go_on(self) -> None:
        self.threads.append(threading.Thread(target=self._read, daemon=True))
        self.threads[-1].start()

    def _read(self) -> None:
        try:
            self.items.extend(self.inputs)
        except AbandonedError as err:
            self.ends.append(err)
        else:
            self.ends.append(None)

    def give_up_after(self, seconds: float) -> bool:
        self.now_s += seconds
        given_up = self.inputs.give_up_look()
        if given_up:
            self.go_on()
        return given_up

    def join(self) -> None:
        for thread in self.threads:
            thread.join(30.0)


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadDisk]:
    disk = DeadDisk(monkeypatch)
    yield disk
    disk.back.set()


def test_a_disk_that_never_says_whether_a_path_is_a_folder_costs_that_input(
    folder: Path, dead: DeadDisk
) -> None:
    touch(folder, "p/b.jpg")
    reading = Reading(["a.jpg", "dead/x.jpg", "p", "c.jpg"])
    reading.go_on()
    assert dead.asked.acquire(timeout=30.0)
    assert not reading.give_up_after(4.9)
    assert reading.inputs.waiting() == Busy("dead/x.jpg", Stage.FETCH, 4.9)
    assert reading.give_up_after(0.2)
    reading.threads[1].join(30.0)
    assert sources(reading.items) == ["a.jpg", "dead/x.jpg", "p/b.jpg", "c.jpg"]
    failed = reading.items[1]
    assert isinstance(failed, Failed)
    assert failed.error.code is ErrorCode.SOURCE_UNREADABLE
    assert failed.error.retryable
    assert failed.error.message == "The disk has not answered within 5.1 s"
    assert failed.timings.total_ms == pytest.approx(5100.0)
    dead.back.set()
    reading.join()
    assert len(reading.items) == 4, "the thread that was stuck adds nothing"
    assert [type(end) for end in reading.ends] == [type(None), AbandonedError]
    assert reading.inputs.waiting() is None


def test_a_folder_that_never_lists_costs_itself_and_the_walk_goes_on(
    folder: Path, dead: DeadDisk
) -> None:
    touch(folder, "p/a.jpg", "p/dead/x.jpg", "p/e.jpg", "q.jpg")
    reading = Reading(["p", "q.jpg"])
    reading.go_on()
    assert dead.asked.acquire(timeout=30.0)
    assert reading.give_up_after(5.0)
    reading.threads[1].join(30.0)
    assert sources(reading.items) == ["p/a.jpg", "p/dead", "p/e.jpg", "q.jpg"]
    assert [isinstance(item, Failed) for item in reading.items] == [False, True, False, False]


def test_those_beside_a_path_without_an_answer_are_waited_for_a_moment_only(
    dead: DeadDisk,
) -> None:
    reading = Reading(["dead/1.jpg", "dead/2.jpg", "dead/other/3.jpg"])
    reading.go_on()
    assert dead.asked.acquire(timeout=30.0)
    assert reading.give_up_after(5.0)
    assert dead.asked.acquire(timeout=30.0)
    assert not reading.give_up_after(0.9)
    assert reading.give_up_after(0.2)
    assert dead.asked.acquire(timeout=30.0)
    assert not reading.give_up_after(4.9)
    assert reading.give_up_after(0.2)
    reading.threads[-1].join(30.0)
    assert [isinstance(item, Failed) for item in reading.items] == [True] * 3


def test_a_folder_of_a_dead_disk_holds_a_bounded_number_of_threads(dead: DeadDisk) -> None:
    names = [f"dead/{number}.jpg" for number in range(1000)]
    reading = Reading([*names, "a.jpg"])
    reading.go_on()
    for _ in range(64):
        assert dead.asked.acquire(timeout=30.0)
        assert reading.give_up_after(5.0)
    reading.threads[-1].join(30.0)
    assert sources(reading.items) == [*names, "a.jpg"]
    assert all(isinstance(item, Failed) for item in reading.items[:-1])
    last = reading.items[-2]
    assert isinstance(last, Failed)
    assert last.error.retryable


def test_a_disk_that_answers_again_is_asked_again(folder: Path, dead: DeadDisk) -> None:
    touch(folder, "dead/2.jpg/b.jpg")
    reading = Reading(["dead/1.jpg", "dead/2.jpg"])
    reading.go_on()
    assert dead.asked.acquire(timeout=30.0)
    assert reading.give_up_after(5.0)
    assert dead.asked.acquire(timeout=30.0)
    dead.back.set()
    reading.join()
    assert sources(reading.items) == ["dead/1.jpg", "dead/2.jpg/b.jpg"]


def test_a_list_that_never_answers_is_named(folder: Path) -> None:
    os.mkfifo(folder / "list.txt")
    reading = Reading([], ["list.txt"])
    reading.go_on()
    with (folder / "list.txt").open("wb", 0) as writer:
        writer.write(b"a.jpg\n")
        while not reading.items:
            time.sleep(0.001)
        while reading.inputs.waiting() is None:
            time.sleep(0.001)
        reading.now_s = 7.0
        assert reading.inputs.waiting() == Busy("list.txt", Stage.QUEUE, 7.0)
        assert not reading.give_up_after(100.0)
    reading.join()
    assert sources(reading.items) == ["a.jpg"]


def test_inputs_that_are_finished_are_left_out_on_both_sides_of_a_dead_disk(
    dead: DeadDisk,
) -> None:
    reading = Reading(["a.jpg", "b.jpg", "dead/x.jpg", "b.jpg", "c.jpg"])
    reading.inputs._unfinished = lambda items: (
        item for item in items if isinstance(item, Failed) or item.source != "b.jpg"
    )
    reading.go_on()
    assert dead.asked.acquire(timeout=30.0)
    assert reading.give_up_after(5.0)
    reading.threads[1].join(30.0)
    indexes = [item.ref.index if isinstance(item, Failed) else item.index for item in reading.items]
    assert indexes == [0, 2, 4]


# --- lists ---


def test_arguments_come_before_lists_and_both_in_order(folder: Path) -> None:
    (folder / "one.txt").write_text("c\nd\n")
    (folder / "two.csv").write_text("url,id\ne,7\n")
    items = inputs(["b", "a"], ["one.txt", "two.csv"])
    assert sources(items) == ["b", "a", "c", "d", "e"]
    assert items[4] == ImageRef(index=4, source="e", kind=SourceKind.FILE, id="7")


def test_a_dash_is_a_list_on_stdin_as_argument_and_as_list() -> None:
    assert sources(inputs(["x", "-", "y"], stdin=b"a\n# b\nc")) == ["x", "a", "c", "y"]
    assert sources(inputs(["x"], ["-"], stdin=b"a\nc\n")) == ["x", "a", "c"]


def test_stdin_may_be_null_separated() -> None:
    settings = ListSettings(null_separated=True)
    assert sources(inputs(["-"], settings=settings, stdin=b"a\n\0#b\0")) == ["a\n", "#b"]


def test_stdin_asked_for_twice_is_read_once() -> None:
    assert sources(inputs(["-", "-"], ["-"], stdin=b"a\n")) == ["a"]


def test_a_dash_in_a_list_is_a_file_name() -> None:
    assert inputs(["-"], stdin=b"-\n") == [ImageRef(index=0, source="-", kind=SourceKind.FILE)]


def test_urls_in_lists_are_urls() -> None:
    assert inputs(["-"], stdin=b"HTTPS://example.org/a.jpg\n") == [
        ImageRef(index=0, source="HTTPS://example.org/a.jpg", kind=SourceKind.URL)
    ]


def test_duplicates_stay_distinct() -> None:
    assert sources(inputs(["a", "a"], stdin=b"")) == ["a", "a"]


def test_a_folder_in_a_list_is_expanded_and_its_pictures_share_the_id(folder: Path) -> None:
    touch(folder, "p/a.jpg", "p/b.jpg")
    (folder / "list.jsonl").write_text('{"url": "p", "id": 7}\n')
    items = inputs([], ["list.jsonl"])
    assert sources(items) == ["p/a.jpg", "p/b.jpg"]
    assert [item.id for item in items if isinstance(item, ImageRef)] == ["7", "7"]


def test_a_bad_row_is_a_failure_that_names_list_and_line(folder: Path) -> None:
    (folder / "list.csv").write_text("url,id\na,1\n,2\nb,3\n")
    items = inputs([], ["list.csv"])
    assert sources(items) == ["a", "list.csv:3", "b"]
    failed = items[1]
    assert isinstance(failed, Failed)
    assert failed.ref.id == "2"
    assert failed.error.code is ErrorCode.SOURCE_INVALID_URL
    assert failed.error.message == "Line 3 of list.csv has no 'url'"
    assert dict(failed.error.details) == {"list": "list.csv", "line": 3}
    assert failed.error.attempts == 0


def test_a_bad_url_in_a_list_keeps_its_id(folder: Path) -> None:
    (folder / "list.csv").write_text("url,id\nhttp:///a.jpg,7\n")
    (item,) = inputs([], ["list.csv"])
    assert isinstance(item, Failed)
    assert (item.ref.source, item.ref.id) == ("http:///a.jpg", "7")


def test_lists_may_be_gzipped(folder: Path) -> None:
    (folder / "list.tsv.gz").write_bytes(gzip.compress(b"url\tid\na\t7\n"))
    assert inputs([], ["list.tsv.gz"]) == [
        ImageRef(index=0, source="a", kind=SourceKind.FILE, id="7")
    ]


def test_a_list_that_is_missing_is_told_before_the_first_input() -> None:
    with pytest.raises(UsageError, match=r"missing\.txt"):
        inputs(["a"], ["-", "missing.txt"])


def test_a_list_that_breaks_off_ends_the_run_after_the_inputs_before(folder: Path) -> None:
    (folder / "list.gz").write_bytes(gzip.compress(b"a\nb\n")[:-4])
    items = iter(Inputs([], ["list.gz"], ListSettings(), stdin=io.BytesIO(), clock=lambda: 0.0))
    assert sources([next(items), next(items)]) == ["a", "b"]
    with pytest.raises(UsageError):
        next(items)


# --- shards ---


def test_shards_keep_global_indexes_and_share_all_inputs(folder: Path) -> None:
    touch(folder, "p/a.jpg", "p/b.jpg", "p/c.jpg")
    everything = inputs(["x", "p", "http://", "-"], stdin=b"y\n\nz\n")
    assert len(everything) == 7
    shards = [
        inputs(["x", "p", "http://", "-"], settings=ListSettings(shard=(n, 3)), stdin=b"y\n\nz\n")
        for n in range(3)
    ]
    assert [shard[0] for shard in shards] == everything[:3]
    for n, shard in enumerate(shards):
        assert shard == everything[n::3]


def test_a_shard_may_have_no_inputs() -> None:
    assert inputs(["a"], settings=ListSettings(shard=(1, 2))) == []


# --- laziness ---


def test_the_first_input_comes_while_the_list_is_still_being_written() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stdin, os.fdopen(write_end, "wb", 0) as writer:
        items = iter(Inputs(["-"], [], ListSettings(), stdin=stdin, clock=lambda: 0.0))
        writer.write(b"a.jpg\n")
        assert next(items) == ImageRef(index=0, source="a.jpg", kind=SourceKind.FILE)
        writer.write(b"b.jpg\nc")
        assert next(items) == ImageRef(index=1, source="b.jpg", kind=SourceKind.FILE)


def test_arguments_come_before_stdin_is_read() -> None:
    class Untouched(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("read too early")

    items = iter(Inputs(["a", "-"], [], ListSettings(), stdin=Untouched(), clock=lambda: 0.0))
    assert sources([next(items)]) == ["a"]


def test_an_endless_list_is_no_matter(folder: Path) -> None:
    class Endless(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return b"a.jpg\n" * 1000

    items: Iterator[Item] = iter(
        Inputs(["-"], [], ListSettings(), stdin=Endless(), clock=lambda: 0.0)
    )
    for _ in range(5000):
        last = next(items)
    assert last == ImageRef(index=4999, source="a.jpg", kind=SourceKind.FILE)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, birdcli.inputs, birdcli.local;"
        "print(sorted({'numpy', 'PIL', 'aiohttp', 'yarl', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.strip() == "[]"
