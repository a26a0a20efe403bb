"""Files as they are, and everything that only looks like one."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, SourceError
from birdcli.items import FetchedImage, ImageRef, SourceKind, Stage, Timings
from birdcli.local import LocalReader, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mock import MockerFixture


def ref_of(source: str) -> ImageRef:
    return ImageRef(index=3, source=source, kind=SourceKind.FILE)


def read(source: str, *, max_bytes: int = 1000) -> FetchedImage:
    return LocalReader(max_bytes=max_bytes).read(ref_of(source), Timings(0.0))


def error_of(path: Path | str, *, max_bytes: int = 1000) -> SourceError:
    with pytest.raises(SourceError) as info:
        read_file(str(path), max_bytes=max_bytes)
    assert info.value.attempts == 1
    assert not info.value.retryable
    return info.value


# --- the reader ---


def test_a_file_is_read_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    image = read(str(path))
    assert image.ref == ref_of(str(path))
    assert image.data == b"picture"
    assert image.sha256 == hashlib.sha256(b"picture").hexdigest()
    assert image.attempts == 1
    assert not image.unchanged


def test_queue_ends_when_reading_begins_and_fetch_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    seconds = iter([12.0, 15.0])
    reader = LocalReader(max_bytes=1000, clock=lambda: next(seconds))
    image = reader.read(ref_of(str(path)), Timings(10.0))
    assert image.timings == Timings(10.0, ((Stage.QUEUE, 12.0), (Stage.FETCH, 15.0)))


def test_an_error_says_when_reading_began(tmp_path: Path) -> None:
    reader = LocalReader(max_bytes=1000, clock=lambda: 12.0)
    with pytest.raises(SourceError) as info:
        reader.read(ref_of(str(tmp_path / "missing.jpg")), Timings(10.0))
    assert info.value.code is ErrorCode.SOURCE_NOT_FOUND
    assert info.value.queued_until_s == 12.0


def test_a_file_url_is_read(tmp_path: Path) -> None:
    (tmp_path / "a b.jpg").write_bytes(b"picture")
    assert read(f"file://{tmp_path}/a%20b.jpg").data == b"picture"


# --- names ---


def test_a_name_that_is_no_utf8_is_read(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    with open(os.fsencode(path), "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
        file.write(b"picture")
    assert read_file(path, max_bytes=1000) == b"picture"


@pytest.mark.parametrize("name", ["a\n.jpg", "-rf.jpg", "\x1b[31m.jpg", "'\".jpg", " "])
def test_an_odd_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"picture")
    assert read_file(name, max_bytes=1000) == b"picture"


@pytest.mark.parametrize("name", ["a\0.jpg", "half\ud800.jpg"])
def test_a_name_no_file_can_have_is_not_found(name: str) -> None:
    assert error_of(name).code is ErrorCode.SOURCE_NOT_FOUND


@pytest.mark.parametrize("name", ["", "missing.jpg", "a.jpg/b.jpg", "a.jpg/", "broken.jpg"])
def test_a_missing_file_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"picture")
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    assert error_of(name).code is ErrorCode.SOURCE_NOT_FOUND


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    assert read_file(str(tmp_path / "link.jpg"), max_bytes=1000) == b"picture"


def test_a_link_to_itself_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    error = error_of(tmp_path / "loop.jpg")
    assert error.code is ErrorCode.SOURCE_UNREADABLE
    assert dict(error.details) == {"errno": "ELOOP"}


def test_a_name_that_is_too_long_is_unreadable(tmp_path: Path) -> None:
    error = error_of(tmp_path / ("x" * 300))
    assert error.code is ErrorCode.SOURCE_UNREADABLE
    assert dict(error.details) == {"errno": "ENAMETOOLONG"}


# --- what is no file ---


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    error = error_of(tmp_path)
    assert error.code is ErrorCode.SOURCE_NOT_A_FILE
    assert dict(error.details) == {"kind": "a folder"}


def test_a_fifo_is_not_a_file_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    error = error_of(tmp_path / "a.jpg")
    assert error.code is ErrorCode.SOURCE_NOT_A_FILE
    assert "FIFO" in error.message


def test_a_fifo_that_took_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    (tmp_path / "was.jpg").write_bytes(b"picture")
    found = (tmp_path / "was.jpg").stat()
    os.mkfifo(tmp_path / "a.jpg")
    mocker.patch("birdcli.local.os.stat", return_value=found)
    assert error_of(tmp_path / "a.jpg").code is ErrorCode.SOURCE_NOT_A_FILE


def test_a_socket_is_not_a_file(tmp_path: Path) -> None:
    os.mknod(tmp_path / "a.jpg", stat.S_IFSOCK | 0o600)
    error = error_of(tmp_path / "a.jpg")
    assert error.code is ErrorCode.SOURCE_NOT_A_FILE
    assert "socket" in error.message


def test_a_device_is_not_a_file() -> None:
    error = error_of(os.devnull)
    assert error.code is ErrorCode.SOURCE_NOT_A_FILE
    assert "device" in error.message


# --- what the system refuses ---


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EACCES, ErrorCode.SOURCE_PERMISSION),
        (errno.EPERM, ErrorCode.SOURCE_PERMISSION),
        (errno.ENOENT, ErrorCode.SOURCE_NOT_FOUND),
        (errno.EIO, ErrorCode.SOURCE_UNREADABLE),
        (errno.EMFILE, ErrorCode.SOURCE_UNREADABLE),
        (errno.ESTALE, ErrorCode.SOURCE_UNREADABLE),
    ],
)
def test_a_refusal_to_open_has_a_code(
    tmp_path: Path, mocker: MockerFixture, number: int, code: ErrorCode
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    refusal = OSError(number, os.strerror(number), "a.jpg")
    mocker.patch("birdcli.local.os.open", side_effect=refusal)
    error = error_of(tmp_path / "a.jpg")
    assert error.code is code
    assert dict(error.details) == {"errno": errno.errorcode[number]}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    (tmp_path / "a.jpg").chmod(0)
    assert error_of(tmp_path / "a.jpg").code is ErrorCode.SOURCE_PERMISSION


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Fails if a descriptor stays open."""
    open_now = Path("/proc/self/fd")
    before = len(list(open_now.iterdir()))
    yield
    assert len(list(open_now.iterdir())) <= before


@pytest.mark.usefixtures("descriptors")
def test_a_disk_error_while_reading_is_unreadable_and_closes_the_file(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    mocker.patch("birdcli.local.os.read", side_effect=OSError(errno.EIO, "Input/output error"))
    for _ in range(20):
        error = error_of(tmp_path / "a.jpg")
    assert error.code is ErrorCode.SOURCE_UNREADABLE
    assert "Input/output error" in error.message


# --- sizes ---


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert error_of(tmp_path / "a.jpg").code is ErrorCode.SOURCE_EMPTY


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x" * 1000)
    assert len(read_file(str(tmp_path / "a.jpg"), max_bytes=1000)) == 1000


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x" * 1001)
    error = error_of(tmp_path / "a.jpg")
    assert error.code is ErrorCode.SOURCE_TOO_LARGE
    assert dict(error.details) == {"bytes": 1001, "max_bytes": 1000}
    assert "--max-bytes" in error.hint


@pytest.mark.usefixtures("descriptors")
def test_a_sparse_huge_file_is_refused_unread(tmp_path: Path, mocker: MockerFixture) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(3_000_000_000)
    read = mocker.spy(os, "read")
    for _ in range(20):
        assert error_of(tmp_path / "a.jpg").code is ErrorCode.SOURCE_TOO_LARGE
    read.assert_not_called()


def sized(path: Path, size: int) -> os.stat_result:
    """What fstat said before the file changed."""
    fields = list(path.stat())
    fields[stat.ST_SIZE] = size
    return os.stat_result(fields)


def test_a_file_that_grew_meanwhile_is_read_to_its_end(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 700)
    mocker.patch("birdcli.local.os.fstat", return_value=sized(path, 10))
    assert len(read_file(str(path), max_bytes=1000)) == 700


def test_a_file_that_grows_past_the_limit_is_refused(tmp_path: Path, mocker: MockerFixture) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 1001)
    mocker.patch("birdcli.local.os.fstat", return_value=sized(path, 10))
    assert error_of(path).code is ErrorCode.SOURCE_TOO_LARGE


def test_a_file_that_shrank_meanwhile_gives_what_is_left(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 10)
    mocker.patch("birdcli.local.os.fstat", return_value=sized(path, 700))
    assert read_file(str(path), max_bytes=1000) == b"x" * 10
