from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import client_exceptions

from birdcli.errors import ErrorCode, ModelError, UsageError
from birdcli.models.download import download_first, explain

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

UNREACHABLE = {
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientProxyConnectionError",
    "ConnectionTimeoutError",
    "UnixClientConnectorError",
}
RETRYABLE = UNREACHABLE | {
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientOSError",
    "ClientPayloadError",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerTimeoutError",
    "SocketTimeoutError",
}
NEVER_MET = {"ClientError", "RedirectClientError", "UploadAbortedError"}
"""Bases that are never raised themselves, and what only uploads meet."""

FAULTS = [
    kind
    for kind in vars(client_exceptions).values()
    if isinstance(kind, type) and issubclass(kind, aiohttp.ClientError)
]


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: str(kind.__name__))
def test_every_fault_of_the_library_has_a_meaning(kind: type[aiohttp.ClientError]) -> None:
    err = kind.__new__(kind)  # their constructors want connections and requests
    if isinstance(err, aiohttp.ClientHttpProxyError):
        err.status = 407
    failure = explain(err)
    assert failure.unreachable == (kind.__name__ in UNREACHABLE)
    assert failure.retryable == (kind.__name__ in RETRYABLE)
    assert ("The transfer failed (" in failure.reason) == (kind.__name__ in NEVER_MET)


def test_a_fault_that_slips_through_the_library_is_a_broken_connection() -> None:
    failure = explain(ConnectionResetError(errno.ECONNRESET, "reset"))
    assert failure.retryable
    assert not failure.unreachable


def test_a_refusing_proxy_is_told_with_its_status(mocker: MockerFixture) -> None:
    err = aiohttp.ClientHttpProxyError(mocker.Mock(), (), status=407, message="<secret>")
    failure = explain(err)
    assert failure.reason == "The proxy refuses: HTTP 407 Proxy Authentication Required"
    assert failure.status is None  # no token for the hub would help


def test_no_sources_at_all_is_a_failed_download(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no source is known") as caught:
        download_first([], tmp_path / "model")
    assert caught.value.code == ErrorCode.MODEL_DOWNLOAD_FAILED
    assert dict(caught.value.details)["unreachable"] is False


@pytest.mark.parametrize(
    "source", ["ftp://hub.example/x", "file:///etc/passwd", "/etc/passwd", "http://", "http://[/"]
)
def test_only_the_web_is_a_source(source: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        download_first([source], tmp_path / "model")
    assert caught.value.code == ErrorCode.MODEL_DOWNLOAD_FAILED
    assert dict(caught.value.details)["unreachable"] is False
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_asked_for(
    tmp_path: Path,
) -> None:
    with pytest.raises(ModelError) as caught:
        download_first(["http://127.0.0.1:1/"], tmp_path / "none" / "model")
    assert caught.value.code == ErrorCode.MODEL_UNWRITABLE
    assert "No such file or directory" in caught.value.message


def test_a_proxy_that_does_not_speak_http_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(UsageError):
        download_first(["http://hub.example/"], tmp_path / "model")


def test_a_malformed_source_is_not_quoted(tmp_path: Path) -> None:
    source = "http://ann:hunter2@[/"
    with pytest.raises(ModelError) as caught:
        download_first([source], tmp_path / "model")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
