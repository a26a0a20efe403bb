"""Digests of bytes and files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import digest_matches, sha256_of_bytes, sha256_of_file, verify_digest

if TYPE_CHECKING:
    from pathlib import Path

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_is_sha256_in_lowercase_hex(tmp_path: Path) -> None:
    assert sha256_of_bytes(b"") == EMPTY
    (tmp_path / "file").write_bytes(b"")
    assert sha256_of_file(tmp_path / "file") == EMPTY
    assert digest_matches(tmp_path / "file", EMPTY)
    assert not digest_matches(tmp_path / "file", "0" * 64)
    verify_digest(tmp_path / "file", EMPTY)


@pytest.mark.parametrize("kind", ["other bytes", "missing", "folder", "link", "fifo"])
def test_anything_but_a_regular_file_with_these_bytes_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "other bytes":
        path.write_bytes(b"x")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "real").write_bytes(b"")
        path.symlink_to(tmp_path / "real")
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(ModelError) as caught:
        verify_digest(path, EMPTY)
    assert caught.value.code is ErrorCode.MODEL_SHA256_MISMATCH
    assert str(path) in caught.value.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    path.chmod(0)
    with pytest.raises(ModelError):
        verify_digest(path, EMPTY)
