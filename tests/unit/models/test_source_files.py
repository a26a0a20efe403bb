"""What a user names as a source is read only if it has an end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.source_files import (
    LARGEST_TEXT,
    copy_folder,
    is_folder,
    open_regular,
    read_text_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ModelError) as caught:
        call()
    assert caught.value.code is ErrorCode.MODEL_SOURCE_UNREADABLE
    return caught.value.message


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize("read", [open_regular, read_text_file])
def test_a_pipe_is_refused_and_not_waited_for(read: Callable[[str], object], pipe: Path) -> None:
    assert "it is no regular file" in refusal(lambda: read(str(pipe)))


@pytest.mark.parametrize("read", [open_regular, read_text_file])
@pytest.mark.parametrize("source", ["/dev/zero", "/"])
def test_a_device_or_a_folder_is_refused(read: Callable[[str], object], source: str) -> None:
    assert "it is no regular file" in refusal(lambda: read(source))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert refusal(lambda: open_regular(missing)) == (
        f"{missing} cannot be read: No such file or directory"
    )


def test_a_name_that_no_file_can_have_is_refused() -> None:
    assert "File name too long" in refusal(lambda: is_folder("x" * 300))


def test_a_link_to_a_file_is_the_file(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"Pica pica\n")
    (tmp_path / "link").symlink_to("labels.csv")
    assert read_text_file(str(tmp_path / "link")) == b"Pica pica\n"


@pytest.mark.parametrize(("called", "name"), [(None, "{path}"), ("https://x/names", "https://x/")])
def test_a_text_without_measure_is_refused(called: str | None, name: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    with path.open("wb") as out:
        out.truncate(LARGEST_TEXT + 1)
    message = refusal(lambda: read_text_file(str(path), called=called))
    assert message.startswith(name.format(path=path))
    assert "more than 64,000,000 bytes" in message


def test_a_folder_is_copied_whole(tmp_path: Path) -> None:
    (tmp_path / "model" / "variables").mkdir(parents=True)
    (tmp_path / "model" / "variables" / "data").write_bytes(b"weights")
    copy_folder(tmp_path / "model", tmp_path / "copy")
    assert (tmp_path / "copy" / "variables" / "data").read_bytes() == b"weights"


def test_a_pipe_in_a_folder_is_refused(tmp_path: Path, pipe: Path) -> None:
    with pytest.raises(ModelError) as caught:
        copy_folder(pipe.parent, tmp_path.with_name("copy"))
    assert caught.value.code is ErrorCode.MODEL_ARCHIVE_UNSAFE
    assert str(pipe) in caught.value.message
