"""What aiohttp's exceptions mean to us."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp  # noqa: TID253 - loaded with fetch.py alone

from birdcli.address_guard import AddressClass
from birdcli.errors import ErrorCode, FetchError
from birdcli.retry import RETRYABLE_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from yarl import URL

    from birdcli.address_guard import Trail
    from birdcli.errors import Detail


@dataclass(frozen=True, slots=True)
class _Fault:
    """What one of aiohttp's exceptions means to us."""

    code: ErrorCode
    message: str
    retryable: bool = False


_DNS: Final = _Fault(ErrorCode.FETCH_DNS, "The host name could not be resolved", retryable=True)
_TLS: Final = _Fault(ErrorCode.FETCH_TLS, "No trusted TLS connection")
_CONNECT: Final = _Fault(ErrorCode.FETCH_CONNECT, "Could not connect", retryable=True)
_PROXY: Final = _Fault(
    ErrorCode.FETCH_CONNECT, "Could not connect through the proxy", retryable=True
)
_LOST: Final = _Fault(
    ErrorCode.FETCH_CONNECT, "The connection was closed without an answer", retryable=True
)
_TIMEOUT: Final = _Fault(ErrorCode.FETCH_TIMEOUT, "The server took too long", retryable=True)
_TRUNCATED: Final = _Fault(
    ErrorCode.FETCH_TRUNCATED, "The connection was closed in the middle of the body", retryable=True
)
_BAD_RESPONSE: Final = _Fault(ErrorCode.FETCH_BAD_RESPONSE, "The answer is not valid HTTP")
_REDIRECT: Final = _Fault(ErrorCode.FETCH_REDIRECT, "The redirect cannot be followed")

FAULTS: Final[Mapping[type[BaseException], _Fault]] = {
    aiohttp.ClientError: _BAD_RESPONSE,
    aiohttp.ClientResponseError: _BAD_RESPONSE,
    aiohttp.ContentTypeError: _BAD_RESPONSE,
    aiohttp.WSServerHandshakeError: _BAD_RESPONSE,
    aiohttp.ClientHttpProxyError: _PROXY,
    aiohttp.TooManyRedirects: _REDIRECT,
    aiohttp.ClientConnectionError: _LOST,
    aiohttp.ClientConnectionResetError: _LOST,
    aiohttp.ClientOSError: _LOST,
    aiohttp.ServerConnectionError: _LOST,
    aiohttp.ServerDisconnectedError: _LOST,
    aiohttp.ClientConnectorError: _CONNECT,
    aiohttp.client_exceptions.UnixClientConnectorError: _CONNECT,
    aiohttp.ClientProxyConnectionError: _PROXY,
    aiohttp.ClientConnectorDNSError: _DNS,
    aiohttp.ClientSSLError: _TLS,
    aiohttp.ClientConnectorSSLError: _TLS,
    aiohttp.ClientConnectorCertificateError: _TLS,
    aiohttp.ServerFingerprintMismatch: _TLS,
    aiohttp.ServerTimeoutError: _TIMEOUT,
    aiohttp.ConnectionTimeoutError: _TIMEOUT,
    aiohttp.SocketTimeoutError: _TIMEOUT,
    aiohttp.ClientPayloadError: _TRUNCATED,
    aiohttp.client_exceptions.UploadAbortedError: _BAD_RESPONSE,
    aiohttp.InvalidURL: _REDIRECT,
    aiohttp.InvalidUrlClientError: _REDIRECT,
    aiohttp.InvalidUrlRedirectClientError: _REDIRECT,
    aiohttp.NonHttpUrlClientError: _REDIRECT,
    aiohttp.NonHttpUrlRedirectClientError: _REDIRECT,
    aiohttp.RedirectClientError: _REDIRECT,
}


@contextmanager
def mapped_faults(url: URL, *, reading: bool = False, trail: Trail | None = None) -> Iterator[None]:
    """Turns aiohttp's exceptions into ours.

    Args:
        url: Who is asked.
        trail: Which addresses were tried and refused.
        reading: Whether part of the body may have arrived, so that a lost connection cut it.

    Raises:
        FetchError: In place of every `aiohttp.ClientError`.
        TimeoutError: As it is, for the time limits further out.
    """
    try:
        yield
    except (aiohttp.ClientError, OSError, UnicodeError) as err:
        if isinstance(err, TimeoutError) and not isinstance(err, aiohttp.ClientError):
            raise
        if trail is not None and trail.blocked and not trail.tried:
            raise blocked_address(url.raw_host or "", trail.blocked[0]) from err
        raise fetch_error_of(err, host=url.raw_host or "", reading=reading) from err


def blocked_address(host: str, found: AddressClass) -> FetchError:
    """Returns the error for a connection that must not be made."""
    what = {
        AddressClass.METADATA: "tells machines in a cloud their secrets",
        AddressClass.PRIVATE: "is not public",
    }.get(found, "is refused")
    return FetchError(
        ErrorCode.FETCH_BLOCKED_ADDRESS,
        f"The address of this host {what}",
        host=host,
        address_class=str(found),
    )


def fetch_error_of(err: BaseException, *, host: str, reading: bool = False) -> FetchError:
    """Returns the `FetchError` for an exception of aiohttp.

    Args:
        err: An `aiohttp.ClientError`, or an `OSError` or `UnicodeError` that slipped through it.
        host: Who was asked.
        reading: Whether part of the body may have arrived, so that a lost connection cut it.
    """
    fault = next((FAULTS[kind] for kind in type(err).__mro__ if kind in FAULTS), _LOST)
    if isinstance(err, UnicodeError):  # a host name that passes every check but the resolver's
        fault = _DNS
    if reading and fault is _LOST:
        fault = _TRUNCATED
    details: dict[str, Detail] = {"host": host}
    retryable = fault.retryable
    reason = ""
    if isinstance(err, aiohttp.ClientHttpProxyError):
        details["status"] = err.status
        retryable = err.status in RETRYABLE_STATUSES
        reason = status_message(err.status)
    elif isinstance(err, aiohttp.ClientConnectorError):
        reason = _reason(err.os_error)
    message = f"{fault.message}: {reason}" if reason else fault.message
    error = FetchError(fault.code, message, retryable=retryable)
    error.details = tuple(details.items())
    return error


def _reason(err: OSError) -> str:
    if isinstance(err, ssl.SSLError):  # its numbers and those of lookups are not those of OSError
        text = getattr(err, "verify_message", "") or getattr(err, "reason", "") or err.strerror
    elif isinstance(err, socket.gaierror) or not err.errno:
        text = err.strerror
    else:
        text = os.strerror(err.errno)
    return text or ""


def status_message(status: int) -> str:
    """Returns `HTTP 404 Not Found` for 404."""
    try:  # the server's own phrase could be anything
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
