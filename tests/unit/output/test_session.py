"""A file of records, begun, continued, refused."""

from __future__ import annotations

import errno
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, OutputError
from birdcli.output.fingerprint import fingerprint_path, load_fingerprint
from birdcli.output.plain import PlainOutput
from birdcli.output.retry import retry_path
from birdcli.output.session import open_session
from birdcli.settings import Retry
from tests.output_runs import SETTINGS, file_at, keys_in, keys_of, refs, refused, run_into

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mock import MockerFixture

    from birdcli.items import ImageRef, Outcome

INPUTS = refs(
    [
        *("http://h/a.jpg", "http://h/b.jpg", "http://h/a.jpg", "caf\udce9.jpg", "\ud800.jpg"),
        *("https://me:secret@h/a.jpg", "https://me:other@h/a.jpg", "\\xe9.jpg"),
    ]
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose paths are short enough for sockets."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def verify_complete(output: Path, inputs: list[ImageRef]) -> None:
    fingerprint = load_fingerprint(output)
    assert fingerprint is not None
    assert keys_in(output) == keys_of(inputs, fingerprint.salt)


def code_of(output: Path, **asked: bool) -> ErrorCode:
    options = {"resume": False, "fresh": False} | asked
    with pytest.raises(OutputError) as caught:
        open_session(file_at(output), SETTINGS, retry=Retry.NONE, **options)
    return caught.value.code


@pytest.mark.parametrize("stops", [[0], [1], [3, 0, 2], [7]])
def test_every_input_ends_with_one_record(output: Path, stops: list[int]) -> None:
    for stop_after in stops:
        run_into(output, INPUTS, stop_after=stop_after)
    run_into(output, INPUTS)
    verify_complete(output, INPUTS)


def test_what_is_done_is_told(output: Path) -> None:
    run_into(output, INPUTS, stop_after=3)
    earlier = run_into(output, INPUTS)
    assert (earlier.named, earlier.failed, earlier.done) == (3, 0, 3)


def test_a_record_never_holds_a_secret_and_still_says_whose_it_is(output: Path) -> None:
    run_into(output, INPUTS)
    text = output.read_text("utf-8")
    assert "secret" not in text
    assert "other" not in text
    with_digest = [r for r in map(json.loads, text.splitlines()) if "input_hmac" in r]
    assert len({record["input_hmac"] for record in with_digest}) == 3


def test_the_same_list_again_does_nothing(output: Path) -> None:
    run_into(output, INPUTS)
    before = output.read_bytes()
    run_into(output, INPUTS)
    assert output.read_bytes() == before


def test_a_list_that_grew_and_changed_its_order_is_continued(output: Path) -> None:
    run_into(output, INPUTS, stop_after=4)
    grown = [*reversed(INPUTS), *refs(["http://h/new.jpg", "http://h/a.jpg"])]
    run_into(output, grown)
    verify_complete(output, grown)


def test_inputs_with_other_ids_are_other_inputs(output: Path) -> None:
    from dataclasses import replace

    first, second = (replace(INPUTS[0], id=name) for name in ("x", "y"))
    run_into(output, [first])
    run_into(output, [first, second])
    verify_complete(output, [first, second])


def test_an_existing_file_is_refused_and_kept(output: Path) -> None:
    output.write_text("precious")
    assert code_of(output) is ErrorCode.OUTPUT_EXISTS
    assert output.read_text() == "precious"


def test_a_dangling_link_is_refused(output: Path) -> None:
    output.symlink_to("nowhere")
    assert code_of(output) is ErrorCode.OUTPUT_EXISTS


def test_fresh_throws_everything_away(output: Path) -> None:
    run_into(output, INPUTS, outcome=refused)
    run_into(output, INPUTS, retry=Retry.ALL, stop_after=2, finish=False)
    assert retry_path(output, Retry.ALL).exists()
    run_into(output, INPUTS[:1], resume=False, fresh=True)
    verify_complete(output, INPUTS[:1])
    assert not retry_path(output, Retry.ALL).exists()


@pytest.mark.parametrize("before", ["missing", "empty"])
def test_resuming_nothing_begins(output: Path, before: str) -> None:
    if before == "empty":
        output.touch()
    run_into(output, INPUTS)
    verify_complete(output, INPUTS)


@pytest.mark.parametrize("text", [None, "", "{", '{"schema":1}', "[1]"])
def test_records_without_a_fingerprint_are_refused(output: Path, text: str | None) -> None:
    run_into(output, INPUTS)
    before = output.read_bytes()
    if text is None:
        fingerprint_path(output).unlink()
    else:
        fingerprint_path(output).write_text(text)
    assert code_of(output, resume=True) is ErrorCode.OUTPUT_NOT_RESUMABLE
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"model": "other@2", "top_k": 3}, "model"),
        ({"model": "fake@1", "top_k": 5}, "top_k"),
        ({"model": "fake@1", "top_k": 3, "min_score": 0.5}, "min_score"),
        ({"model": "fake@1"}, "top_k"),
    ],
)
def test_other_settings_are_refused_by_name(
    output: Path, settings: dict[str, str | int | float | bool | None], name: str
) -> None:
    run_into(output, INPUTS, stop_after=1)
    before = output.read_bytes()
    with pytest.raises(OutputError, match=name) as caught:
        run_into(output, INPUTS, settings=settings)
    assert caught.value.code is ErrorCode.OUTPUT_SETTINGS_DIFFER
    assert dict(caught.value.details)["setting"] == name
    assert output.read_bytes() == before


def test_two_runs_into_one_file_are_refused(output: Path) -> None:
    session = open_session(file_at(output), SETTINGS, resume=False, fresh=False, retry=Retry.NONE)
    assert code_of(output, resume=True) is ErrorCode.OUTPUT_IN_USE
    assert code_of(output, fresh=True) is ErrorCode.OUTPUT_IN_USE
    session.target.close()
    session.release()
    run_into(output, INPUTS)
    verify_complete(output, INPUTS)


def test_a_file_that_was_written_anew_is_still_locked(output: Path) -> None:
    run_into(output, INPUTS)
    lines = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(b"".join([*lines[:2], b"\0\0\0garbage\n", *lines[2:]]))
    session = open_session(file_at(output), SETTINGS, resume=True, fresh=False, retry=Retry.NONE)
    assert session.earlier.repair is not None
    assert session.earlier.repair.damaged_lines == 1
    assert code_of(output, resume=True) is ErrorCode.OUTPUT_IN_USE
    session.target.close()
    session.release()


@pytest.mark.parametrize("retry", [Retry.RETRYABLE, Retry.ALL])
def test_what_failed_is_tried_again_and_replaced(output: Path, retry: Retry) -> None:
    def first(ref: ImageRef) -> Outcome:
        return refused(ref, retryable=ref.index % 2 == 0)

    run_into(output, INPUTS, outcome=first)
    earlier = run_into(output, INPUTS, retry=retry)
    assert earlier.tried_again == (4 if retry is Retry.RETRYABLE else 8)
    verify_complete(output, INPUTS)
    statuses = [json.loads(line)["status"] for line in output.read_bytes().splitlines()]
    assert statuses.count("error") == (4 if retry is Retry.RETRYABLE else 0)
    assert not retry_path(output).exists()


def test_until_the_end_of_a_second_try_the_file_is_as_it_was(output: Path) -> None:
    run_into(output, INPUTS, outcome=refused)
    before = output.read_bytes()
    run_into(output, INPUTS, retry=Retry.ALL, stop_after=3, finish=False)
    assert output.read_bytes() == before
    run_into(output, INPUTS)  # which first puts the three into their place
    verify_complete(output, INPUTS)
    statuses = [json.loads(line)["status"] for line in output.read_bytes().splitlines()]
    assert statuses.count("ok") == 3


def test_what_is_there_twice_is_tried_again_once(output: Path) -> None:
    run_into(output, INPUTS, outcome=refused)
    output.write_bytes(2 * output.read_bytes())
    run_into(output, INPUTS, retry=Retry.ALL, finish=False)
    output.write_bytes(2 * output.read_bytes())
    run_into(output, INPUTS)
    verify_complete(output, INPUTS)


def test_a_second_try_that_fails_again_keeps_one_record_each(output: Path) -> None:
    run_into(output, INPUTS, outcome=refused)
    run_into(output, INPUTS, retry=Retry.ALL, outcome=refused)
    verify_complete(output, INPUTS)


def test_a_second_try_also_does_what_was_never_done(output: Path) -> None:
    run_into(output, INPUTS, outcome=refused, stop_after=3)
    run_into(output, INPUTS, retry=Retry.RETRYABLE, stop_after=4)
    run_into(output, INPUTS, retry=Retry.RETRYABLE)
    verify_complete(output, INPUTS)


def test_a_second_try_keeps_the_rights_of_the_file(output: Path) -> None:
    run_into(output, INPUTS, outcome=refused)
    output.chmod(0o640)
    run_into(output, INPUTS, retry=Retry.ALL)
    assert output.stat().st_mode & 0o777 == 0o640


def test_a_file_without_a_record_is_taken_back(output: Path) -> None:
    session = open_session(file_at(output), SETTINGS, resume=False, fresh=False, retry=Retry.NONE)
    session.target.close()
    session.discard()
    assert list(output.parent.iterdir()) == []


def test_a_missing_folder_is_named_as_the_reason(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory") as caught:
        run_into(tmp_path / "no" / "out.jsonl", INPUTS)
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE
    assert "folder does not exist" in caught.value.hint


@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_is_named_as_one(tmp_path: Path, fresh: bool) -> None:
    with pytest.raises(OutputError, match="it is a folder") as caught:
        run_into(tmp_path, INPUTS, resume=False, fresh=fresh)
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert code_of(tmp_path / "file" / "out.jsonl") is ErrorCode.OUTPUT_UNWRITABLE


def write_plain(output: Path, data: bytes, *, fresh: bool) -> None:
    plain = PlainOutput(file_at(output), fresh=fresh)
    with plain.target:
        plain.target.write(data)
    plain.finish()


def test_a_plain_file_is_replaced_only_if_asked(output: Path) -> None:
    write_plain(output, b"one\n", fresh=False)
    with pytest.raises(OutputError, match="exists already"):
        write_plain(output, b"two\n", fresh=False)
    write_plain(output, b"two\n", fresh=True)
    assert output.read_bytes() == b"two\n"


def test_a_plain_file_stays_until_something_is_written(output: Path) -> None:
    output.write_bytes(b"precious\n")
    plain = PlainOutput(file_at(output), fresh=True)
    plain.target.close()
    plain.discard()
    assert output.read_bytes() == b"precious\n"


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_fresh_throws_nothing_away_before_the_first_record(output: Path) -> None:
    run_into(output, INPUTS, outcome=refused)
    run_into(output, INPUTS, retry=Retry.ALL, stop_after=2, finish=False)
    before = everything(output.parent)
    session = open_session(
        file_at(output), {"model": "other@2"}, resume=False, fresh=True, retry=Retry.NONE
    )
    assert everything(output.parent) == before
    session.target.close()
    session.discard()
    assert everything(output.parent) == before


def test_a_run_that_ends_without_a_record_leaves_an_empty_file(output: Path) -> None:
    run_into(output, INPUTS)
    run_into(output, [], resume=False, fresh=True, settings={"model": "other@2"})
    assert output.read_bytes() == b""
    fingerprint = load_fingerprint(output)
    assert fingerprint is not None
    assert fingerprint.settings == {"model": "other@2"}


def test_old_records_never_lie_beside_a_new_fingerprint(
    output: Path, mocker: MockerFixture
) -> None:
    """Whatever a power cut keeps: the file is empty on the disk before its settings change."""
    run_into(output, INPUTS)
    events: list[tuple[str, int]] = []
    replace, fsync = Path.replace, os.fsync

    def note_fsync(descriptor: int) -> None:
        fsync(descriptor)
        if os.path.samestat(os.fstat(descriptor), output.stat()):
            events.append(("synced", output.stat().st_size))

    def note_replace(path: Path, target: Path) -> Path:
        events.append((target.name, output.stat().st_size))
        return replace(path, target)

    mocker.patch("os.fsync", note_fsync)
    mocker.patch.object(Path, "replace", note_replace)
    run_into(output, INPUTS[:1], resume=False, fresh=True)
    assert events[:2] == [("synced", 0), (fingerprint_path(output).name, 0)]


def test_a_fingerprint_that_cannot_be_written_costs_nothing(
    output: Path, mocker: MockerFixture
) -> None:
    run_into(output, INPUTS)
    before = everything(output.parent)
    mocker.patch("birdcli.files.uuid.uuid4", side_effect=OSError(errno.ENOSPC, "No space left"))
    with pytest.raises(OutputError) as caught:
        run_into(output, INPUTS, resume=False, fresh=True, finish=False)
    assert caught.value.code is ErrorCode.OUTPUT_DISK_FULL
    assert everything(output.parent) == before


@pytest.mark.parametrize("suffix", ["", ".fingerprint.json", ".retry", ".retry-all"])
def test_what_a_killed_run_left_half_written_is_removed(output: Path, suffix: str) -> None:
    run_into(output, INPUTS)
    left = output.with_name(f".{output.name}{suffix}.0123456789ab.tmp")
    left.write_bytes(b"half")
    others = [f".x{left.name}", f"{left.name}.txt", left.name.replace("0123", "wxyz"), "new.tmp"]
    for name in others:
        output.with_name(name).write_bytes(b"of others")
    run_into(output, INPUTS)
    assert not left.exists()
    assert all(output.with_name(name).exists() for name in others)


def test_a_new_version_that_is_being_written_is_not_removed(output: Path) -> None:
    run_into(output, INPUTS)
    session = open_session(file_at(output), SETTINGS, resume=True, fresh=False, retry=Retry.NONE)
    written = output.with_name(f".{output.name}.0123456789ab.tmp")
    written.write_bytes(b"of the run that holds the lock")
    assert code_of(output, fresh=True) is ErrorCode.OUTPUT_IN_USE
    assert written.exists()
    session.target.close()
    session.release()


@pytest.mark.parametrize("suffix", [".fingerprint.json", ".retry", ".retry-all"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "link"])
@pytest.mark.parametrize("asked", ["new", "fresh", "resume"])
def test_what_is_no_file_beside_the_output_is_refused_before_anything_changes(
    short_path: Path, suffix: str, kind: str, asked: str
) -> None:
    output = short_path / "o"
    if asked != "new":
        run_into(output, INPUTS)
    beside = output.with_name(output.name + suffix)
    beside.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "fifo":
                os.mkfifo(beside)
            case "folder":
                beside.mkdir()
            case "socket":
                listener.bind(str(beside))
            case _:
                beside.symlink_to("nowhere")
        before = output.read_bytes() if asked != "new" else None
        code = code_of(output, fresh=asked == "fresh", resume=asked == "resume")
    assert code is ErrorCode.OUTPUT_UNWRITABLE
    assert (output.read_bytes() if output.exists() else None) == before
    assert os.path.lexists(beside)


@pytest.mark.parametrize("length", [200, 225, 236, 250, 255, 300])
def test_a_name_that_leaves_no_room_for_the_files_beside_it_is_refused(
    tmp_path: Path, length: int
) -> None:
    output = tmp_path / ("x" * length)
    if length == 200:
        run_into(output, INPUTS)
        verify_complete(output, INPUTS)
        return
    with pytest.raises(OutputError, match="name too long") as caught:
        run_into(output, INPUTS)
    assert caught.value.code is ErrorCode.OUTPUT_UNWRITABLE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "advised"),
    [
        (b"precious", False),
        (b"a,b\n1,2\n", False),
        (b"", True),
        (b"index,id,input,status,label,", True),
    ],
)
def test_only_a_file_of_ours_may_be_advised_to_be_thrown_away(
    output: Path, content: bytes, advised: bool
) -> None:
    output.write_bytes(content)
    with pytest.raises(OutputError) as caught:
        run_into(output, INPUTS, resume=False)
    assert ("--fresh" in caught.value.hint) is advised
    if content:
        with pytest.raises(OutputError) as caught:
            run_into(output, INPUTS)
        assert caught.value.code is ErrorCode.OUTPUT_NOT_RESUMABLE
        assert ("--fresh" in caught.value.hint) is advised


def test_records_may_be_advised_to_be_thrown_away(output: Path) -> None:
    run_into(output, INPUTS)
    with pytest.raises(OutputError) as caught:
        run_into(output, INPUTS, resume=False)
    assert "--fresh" in caught.value.hint


def test_links_in_a_circle_are_refused(output: Path) -> None:
    output.symlink_to(output.name)
    for asked in ({}, {"fresh": True}, {"resume": True}):
        assert code_of(output, **asked) is ErrorCode.OUTPUT_UNWRITABLE


def test_fresh_writes_where_a_link_leads(output: Path) -> None:
    output.symlink_to("real.jsonl")
    run_into(output, INPUTS, resume=False, fresh=True)
    verify_complete(output.with_name("real.jsonl"), INPUTS)
    assert output.is_symlink()


def test_a_file_that_another_run_made_since_we_looked_is_refused_and_kept(output: Path) -> None:
    seen = file_at(output)
    run_into(output, INPUTS)
    before = everything(output.parent)
    for opened in (
        lambda: open_session(seen, SETTINGS, resume=False, fresh=False, retry=Retry.NONE),
        lambda: PlainOutput(seen, fresh=False),
    ):
        with pytest.raises(OutputError, match="exists already"):
            opened()
    session = open_session(seen, SETTINGS, resume=False, fresh=True, retry=Retry.NONE)
    session.target.close()
    session.discard()
    assert everything(output.parent) == before
