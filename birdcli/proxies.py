"""Which proxy, if any, a request goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from birdcli.errors import ErrorCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SCHEMES: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of this machine.

    Attributes:
        by_scheme: URL of the proxy for `http` and for `https` addresses, where there is one.
        bypass: Whether a host is asked directly in spite of them.
    """

    by_scheme: Mapping[str, str]
    bypass: Callable[[str], bool]

    def proxy_for(self, scheme: str, host: str) -> str | None:
        """Returns the proxy's URL, with its user info, or None to connect directly."""
        proxy = self.by_scheme.get(scheme)
        return None if proxy is None or self.bypass(host) else proxy


def resolve_proxies(
    named: Mapping[str, str] | None = None, bypass: Callable[[str], bool] = proxy_bypass
) -> Proxies:
    """Returns the proxies that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` or the system name.

    Args:
        named: Proxies by scheme; None asks the standard library, which reads environment and
            system settings as curl does.
        bypass: Whether a host is asked directly; the standard library knows `NO_PROXY`.

    Raises:
        UsageError: ``usage.bad_flag`` for a proxy that does not speak HTTP.
    """
    found = getproxies() if named is None else named
    by_scheme = {}
    for scheme in _SCHEMES:
        proxy = found.get(scheme) or found.get("all")
        if proxy:
            by_scheme[scheme] = _parse_proxy(proxy)
    return Proxies(by_scheme, bypass)


def _parse_proxy(proxy: str) -> str:
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            ErrorCode.USAGE_BAD_FLAG,
            "the proxy in the environment is no http:// URL",
            hint="Set HTTP_PROXY and HTTPS_PROXY to http://HOST:PORT; SOCKS is not supported.",
        )
    return url
