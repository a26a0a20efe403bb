"""Credentials that are sent to their own host only."""

from __future__ import annotations

import base64
import logging
import netrc as netrc_module
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_LOG = logging.getLogger(__name__)
_KAGGLE_HOST = "www.kaggle.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A name and a secret, with where they may go.

    Attributes:
        host: The only host they are sent to, on any port, lower case.
        username: May be empty.
        password: Or token; never shown.
        scheme: The only scheme they are sent over; None allows http too.
    """

    host: str
    username: str
    password: str = field(repr=False)
    scheme: str | None = None

    def belongs_to(self, url: str) -> bool:
        """Tells whether a URL is of the host that these are for."""
        parts = urlsplit(url)
        return parts.hostname == self.host and self.scheme in (None, parts.scheme)

    @property
    def authorization(self) -> str:
        """The value of the `Authorization` header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Credentials:
    """All credentials of a user; of several for one host the first counts."""

    entries: tuple[Credential, ...] = ()

    def headers_for(self, url: str) -> dict[str, str]:
        """Returns the headers that log in to the host of a URL; mostly there are none."""
        for entry in self.entries:
            if entry.belongs_to(url):
                return {"Authorization": entry.authorization}
        return {}


def _netrc_path(named: str | None) -> Path | None:
    if named:
        return Path(named)
    try:
        return Path.home() / ".netrc"
    except RuntimeError:  # a user without a home, as in some containers
        return None


def _load_netrc(path: Path) -> tuple[Credential, ...]:
    try:
        hosts = netrc_module.netrc(str(path)).hosts
    except FileNotFoundError:
        return ()
    except netrc_module.NetrcParseError as err:
        # The parser's own message quotes the word it met, which may be the password.
        _LOG.warning("%s is ignored: line %s cannot be understood", path, err.lineno)
        return ()
    except (OSError, UnicodeDecodeError) as err:
        _LOG.warning("%s is ignored: it cannot be read (%s)", path, type(err).__name__)
        return ()
    # The `default` entry belongs to no host, so no host gets it.
    return tuple(
        Credential(host=host.lower(), username=login, password=password)
        for host, (login, _account, password) in hosts.items()
        if host != "default"
    )


def load_credentials(
    *, netrc: str | None = None, kaggle_username: str | None = None, kaggle_key: str | None = None
) -> Credentials:
    """Collects what the user has set up, as curl and the Kaggle tools would.

    Args:
        netrc: Path of the netrc file (`NETRC`); None or empty for `~/.netrc`.
        kaggle_username: `KAGGLE_USERNAME`.
        kaggle_key: `KAGGLE_KEY`; counts together with the name only.

    Returns:
        The Kaggle key, for https://www.kaggle.com alone, then the machines of the netrc file. A
        netrc file that cannot be read gives a warning and no entries.
    """
    kaggle: tuple[Credential, ...] = ()
    if kaggle_username and kaggle_key:
        kaggle = (
            Credential(
                host=_KAGGLE_HOST, username=kaggle_username, password=kaggle_key, scheme="https"
            ),
        )
    path = _netrc_path(netrc)
    return Credentials(kaggle + (_load_netrc(path) if path else ()))
