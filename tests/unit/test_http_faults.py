"""aiohttp's exceptions as ours."""

from __future__ import annotations

import errno
import inspect
import socket
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions
from yarl import URL

from birdcli.errors import ErrorCode, FetchError
from birdcli.http_faults import FAULTS, fetch_error_of, mapped_faults

KEY: Any = SimpleNamespace(host="h", port=80, ssl=True, is_ssl=True)
REQUEST: Any = SimpleNamespace(real_url=URL("http://me:s3cret@h/"))

CLIENT_ERRORS = [
    kind
    for _, kind in inspect.getmembers(client_exceptions, inspect.isclass)
    if issubclass(kind, aiohttp.ClientError)
]


@pytest.mark.parametrize("kind", CLIENT_ERRORS, ids=lambda kind: kind.__name__)
def test_every_client_error_has_a_meaning(kind: type[aiohttp.ClientError]) -> None:
    assert kind in FAULTS


@pytest.mark.parametrize(
    ("err", "code", "retryable"),
    [
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name unknown")),
            ErrorCode.FETCH_DNS,
            True,
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.EHOSTUNREACH, "x")),
            ErrorCode.FETCH_CONNECT,
            True,
        ),
        (
            aiohttp.ClientProxyConnectionError(KEY, OSError(errno.ECONNREFUSED, "x")),
            ErrorCode.FETCH_CONNECT,
            True,
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, "bad")),
            ErrorCode.FETCH_TLS,
            False,
        ),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "bad")),
            ErrorCode.FETCH_TLS,
            False,
        ),
        (aiohttp.ServerFingerprintMismatch(b"", b"", "h", 1), ErrorCode.FETCH_TLS, False),
        (aiohttp.ServerDisconnectedError(), ErrorCode.FETCH_CONNECT, True),
        (aiohttp.ClientOSError(errno.ECONNRESET, "x"), ErrorCode.FETCH_CONNECT, True),
        (ConnectionResetError(), ErrorCode.FETCH_CONNECT, True),
        (aiohttp.SocketTimeoutError(), ErrorCode.FETCH_TIMEOUT, True),
        (aiohttp.ClientPayloadError(), ErrorCode.FETCH_TRUNCATED, True),
        (aiohttp.ClientResponseError(REQUEST, ()), ErrorCode.FETCH_BAD_RESPONSE, False),
        (aiohttp.InvalidURL("http://me:s3cret@h/"), ErrorCode.FETCH_REDIRECT, False),
        (UnicodeError("label too long"), ErrorCode.FETCH_DNS, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_faults_have_codes(err: Exception, code: ErrorCode, retryable: bool) -> None:
    error = fetch_error_of(err, host="h")
    assert (error.code, error.retryable) == (code, retryable)
    assert dict(error.details)["host"] == "h"
    assert "s3cret" not in error.message


@pytest.mark.parametrize(
    "err", [aiohttp.ClientOSError(errno.ECONNRESET, "x"), aiohttp.ServerDisconnectedError()]
)
def test_a_connection_lost_while_reading_has_cut_the_body(err: aiohttp.ClientError) -> None:
    error = fetch_error_of(err, host="h", reading=True)
    assert (error.code, error.retryable) == (ErrorCode.FETCH_TRUNCATED, True)


def test_a_new_kind_of_client_error_means_its_nearest_relative() -> None:
    class NewError(aiohttp.ClientSSLError):
        pass

    assert fetch_error_of(NewError(KEY, OSError()), host="h").code == ErrorCode.FETCH_TLS


@pytest.mark.parametrize(
    ("err", "message"),
    [
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "to ('1.2.3.4', 1)")),
            "Could not connect: Connection refused",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name unknown")),
            "The host name could not be resolved: Name unknown",
        ),
        (aiohttp.ClientConnectorError(KEY, OSError()), "Could not connect"),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")),
            "No trusted TLS connection: wrong version",
        ),
    ],
    ids=["errno", "gai", "none", "tls"],
)
def test_messages_say_why(err: aiohttp.ClientError, message: str) -> None:
    assert fetch_error_of(err, host="h").message == message


def test_a_certificate_that_is_not_trusted_is_named() -> None:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    error = fetch_error_of(aiohttp.ClientConnectorCertificateError(KEY, cause), host="h")
    assert error.message == "No trusted TLS connection: self-signed certificate"


@pytest.mark.parametrize(("status", "retryable"), [(407, False), (502, True)])
def test_a_refusal_of_the_proxy_has_its_status(status: int, retryable: bool) -> None:
    error = fetch_error_of(aiohttp.ClientHttpProxyError(REQUEST, (), status=status), host="h")
    assert (error.code, error.retryable) == (ErrorCode.FETCH_CONNECT, retryable)
    assert dict(error.details)["status"] == status
    assert str(status) in error.message


def test_errors_are_mapped_where_they_occur() -> None:
    with pytest.raises(FetchError) as caught, mapped_faults(URL("http://h/")):
        raise aiohttp.ServerDisconnectedError
    assert isinstance(caught.value.__cause__, aiohttp.ServerDisconnectedError)


def test_our_own_time_limits_pass() -> None:
    with pytest.raises(TimeoutError), mapped_faults(URL("http://h/")):
        raise TimeoutError


def test_time_limits_of_aiohttp_are_mapped() -> None:
    with pytest.raises(FetchError), mapped_faults(URL("http://h/")):
        raise aiohttp.ServerTimeoutError
