"""URLs of pictures as requests need them: checked, verbatim, free of secrets."""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from birdcli.errors import ErrorCode, FetchError, SourceError

_SCHEMES: Final = ("http", "https")

# Text that is a URL already is sent as it was typed: quoting it anew would turn %7E into ~ and
# break the signatures of signed URLs.
_VERBATIM: Final = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")

_ESCAPED_BYTE: Final = re.compile("[\udc80-\udcff]")
_NUMBER: Final = re.compile(r"\d[\d.]*")
_NO_HOST: Final = re.compile(r"[\x00-\x20\x7f]")

_NO_ADDRESS: Final = "The host of this URL is a number that is no address"
_NO_NAME: Final = "The host of this URL is no name that a host can have"


@dataclass(frozen=True, slots=True)
class WebUrl:
    """Where to ask for a picture.

    Attributes:
        url: The address, without user info or fragment.
        authorization: Value of the `Authorization` header made from the user info, or None; it
            is for the origin of `url` alone.
    """

    url: URL
    authorization: str | None = field(repr=False)

    @property
    def host(self) -> str:
        """The host, lowercase."""
        return (self.url.raw_host or "").lower()

    def headers_for(self, url: URL) -> dict[str, str]:
        """Returns the headers with which another URL of the same download may be asked."""
        if self.authorization is None or _origin(url) != _origin(self.url):
            return {}
        return {"Authorization": self.authorization}


def parse_web_url(source: str) -> WebUrl:
    """Parses what the user gave.

    Raises:
        SourceError: ``source.invalid_url`` or ``source.bad_scheme``.
    """
    try:
        url = _parse(source.strip())
    except ValueError as err:
        raise SourceError(ErrorCode.SOURCE_INVALID_URL, "This is no valid URL", attempts=0) from err
    if url.scheme not in _SCHEMES:
        raise SourceError(
            ErrorCode.SOURCE_BAD_SCHEME,
            "Only http:// and https:// URLs can be downloaded",
            attempts=0,
            scheme=url.scheme,
        )
    if (problem := _host_problem(url)) is not None:
        hint = "Write it as four numbers, such as 192.0.2.1." if problem is _NO_ADDRESS else ""
        raise SourceError(ErrorCode.SOURCE_INVALID_URL, problem, hint=hint, attempts=0)
    authorization = None
    if url.user is not None or url.password is not None:
        secret = f"{url.user or ''}:{url.password or ''}".encode()
        authorization = f"Basic {base64.b64encode(secret).decode('ascii')}"
    return WebUrl(_bare(url), authorization)


def redirect_target(url: URL, location: str | None) -> URL:
    """Returns where a redirect leads, without user info or fragment.

    Args:
        url: The address that redirects.
        location: Its `Location` header, or None without one.

    Raises:
        FetchError: ``fetch.redirect`` if that is no http(s) URL.
    """
    if not location:
        raise FetchError(ErrorCode.FETCH_REDIRECT, "The redirect leads nowhere")
    try:
        target = url.join(_parse(location.strip()))
    except ValueError as err:
        raise FetchError(
            ErrorCode.FETCH_REDIRECT, "The redirect leads to something that is no URL"
        ) from err
    if target.scheme not in _SCHEMES or _host_problem(target) is not None:
        raise FetchError(
            ErrorCode.FETCH_REDIRECT,
            "The redirect leads to something that is no http:// or https:// URL",
            scheme=target.scheme,
        )
    return _bare(target)


def _parse(text: str) -> URL:
    # Bytes that are no UTF-8 go out as the bytes they are.
    text = _ESCAPED_BYTE.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", text)
    text.encode()  # half characters, which yarl would leave out, are a ValueError here
    url = URL(text, encoded=_VERBATIM.fullmatch(text) is not None)
    if url.explicit_port == 0:  # asking for the port also makes yarl look at it
        raise ValueError("no port")
    return url


def _origin(url: URL) -> tuple[str, str, int | None]:
    return url.scheme, (url.raw_host or "").lower(), url.port


def _bare(url: URL) -> URL:
    return url.with_user(None).with_fragment(None)


def _host_problem(url: URL) -> str | None:
    host = url.raw_host
    if not host:
        return "This URL names no host"
    # 127.1: others would make it an address
    if _NUMBER.fullmatch(host) and not _is_address(host):
        return _NO_ADDRESS
    try:
        host.encode("idna")  # the resolver does this, and fails in its own ways
    except UnicodeError:
        return _NO_NAME
    return _NO_NAME if _NO_HOST.search(host) else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
