"""What the text of one input stands for."""

from __future__ import annotations

import errno
import os

import pytest

from birdcli.errors import ErrorCode, SourceError
from birdcli.sources import local_path, source_error


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a.jpg", "/a.jpg"),
        ("FILE://LocalHost/a%20b.jpg", "/a b.jpg"),
        ("file:///a b.jpg", "/a b.jpg"),
        ("file:///caf%E9.jpg", "/caf\udce9.jpg"),
        ("file:///caf\udce9.jpg", "/caf\udce9.jpg"),
        ("file:///h%C3%A9ron.jpg", "/héron.jpg"),
        ("file:///a%3Fb%23c.jpg", "/a?b#c.jpg"),
        ("file:/a.jpg", "file:/a.jpg"),
        ("/plain%20path.jpg", "/plain%20path.jpg"),
        ("a.jpg?x", "a.jpg?x"),
    ],
)
def test_a_file_url_stands_for_a_path(url: str, path: str) -> None:
    assert local_path(url) == path


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
def test_a_file_url_of_no_local_path_is_refused(url: str) -> None:
    with pytest.raises(SourceError) as raised:
        local_path(url)
    assert raised.value.code is ErrorCode.SOURCE_INVALID_URL


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, ErrorCode.SOURCE_NOT_FOUND),
        (errno.ENOTDIR, ErrorCode.SOURCE_NOT_FOUND),
        (errno.EACCES, ErrorCode.SOURCE_PERMISSION),
        (errno.EPERM, ErrorCode.SOURCE_PERMISSION),
        (errno.ELOOP, ErrorCode.SOURCE_UNREADABLE),
        (errno.ENAMETOOLONG, ErrorCode.SOURCE_UNREADABLE),
    ],
)
def test_what_the_system_says_has_a_code(number: int, code: ErrorCode) -> None:
    error = source_error(OSError(number, os.strerror(number)))
    assert error.code is code
    assert dict(error.details) == {"errno": errno.errorcode[number]}


def test_an_error_without_a_number_has_a_code() -> None:
    error = source_error(OSError("strange"))
    assert error.code is ErrorCode.SOURCE_UNREADABLE
    assert "strange" in error.message
