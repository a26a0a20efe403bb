"""Which addresses a download may connect to."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where clouds tell their machines secrets: AWS, Google, Azure, DigitalOcean, OpenStack; AWS for
# containers and pods; Alibaba; Azure's wire server; Oracle.
_METADATA: Final = frozenset(
    ipaddress.ip_address(number)
    for number in (
        *("169.254.169.254", "fd00:ec2::254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192"),
    )
)
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# Each ends with an IPv4 address: compatible, translated (SIIT), and the two of NAT64.
_ENDS_WITH_IPV4: Final = (
    *(ipaddress.ip_network("::/96"), ipaddress.ip_network("::ffff:0:0:0/96")),
    *(_NAT64, ipaddress.ip_network("64:ff9b:1::/48")),
)
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
# Special, whatever the Python at hand knows: protocols, 6to4 relays, documentation.
_SPECIAL: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "2001:db8::/32", "3fff::/20")
)


class AddressClass(StrEnum):
    """Whom an address belongs to."""

    PUBLIC = "public"
    PRIVATE = "private"
    METADATA = "metadata"


class BlockedAddressError(OSError):
    """A connection that must not be made."""


def address_class(number: str) -> AddressClass:
    """Returns whom an address belongs to; of one that holds another, the more private.

    Args:
        number: As a socket takes it, such as `127.0.0.1`, `::1` or `fe80::1%eth0`.
    """
    try:
        address = ipaddress.ip_address(number.partition("%")[0])
    except ValueError:  # no number at all: nothing is known in its favour
        return AddressClass.PRIVATE
    classes = {_class_of(one) for one in (address, *_embedded(address))}
    for found in (AddressClass.METADATA, AddressClass.PRIVATE):
        if found in classes:
            return found
    return AddressClass.PUBLIC


def literal_address(host: str) -> str | None:
    """Returns the number that a host is, in any spelling a socket understands, or None for a name.

    `0x7f000001`, `2130706433`, `127.1` and `[::1]` are numbers, too.
    """
    host = host.strip("[]")
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _class_of(address: Address) -> AddressClass:
    if address in _METADATA:
        return AddressClass.METADATA
    if isinstance(address, ipaddress.IPv6Address) and not _may_be_public(address):
        return AddressClass.PRIVATE
    if address.is_multicast or any(address in network for network in _SPECIAL):
        return AddressClass.PRIVATE
    return AddressClass.PUBLIC if address.is_global else AddressClass.PRIVATE


def _may_be_public(address: ipaddress.IPv6Address) -> bool:
    return address in _GLOBAL_UNICAST or address in _NAT64 or address.ipv4_mapped is not None


def _embedded(address: Address) -> Iterator[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    is_isatap = int(address) >> 32 & 0xFFFF_FFFF in _ISATAP
    if is_isatap or any(address in network for network in _ENDS_WITH_IPV4):
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


@dataclass(slots=True)
class Trail:
    """What one request may connect to, and what it tried.

    Attributes:
        private: Whether addresses that are not public are allowed.
        is_proxy: Whether the connection is to a proxy, which the user has set.
        tried: Classes of the addresses a connection was allowed to.
        blocked: Classes of those that were refused.
    """

    private: bool
    is_proxy: bool = False
    tried: list[AddressClass] = field(default_factory=list)
    blocked: list[AddressClass] = field(default_factory=list)


_CURRENT: Final[ContextVar[Trail | None]] = ContextVar("birdcli_trail", default=None)


@contextmanager
def following(trail: Trail) -> Iterator[None]:
    """Makes a trail count for the connections of this block, whatever task makes them."""
    token = _CURRENT.set(trail)
    try:
        yield
    finally:
        _CURRENT.reset(token)


class AddressGuard:
    """Makes sockets, the one place where every address passes: of names and of numbers."""

    def __init__(self, classify: Callable[[str], AddressClass] = address_class) -> None:
        """Judges by `classify`."""
        self._classify = classify

    def open_socket(self, info: tuple[int, int, int, str, tuple[str | int, ...]]) -> socket.socket:
        """Returns a socket for an address of `getaddrinfo`.

        Raises:
            BlockedAddressError: The request on whose behalf it is must not go there.
        """
        family, kind, protocol, _, address = info
        trail = _CURRENT.get()
        found = self._classify(str(address[0]))
        if trail is None or not _is_allowed(found, trail):
            if trail is not None:
                trail.blocked.append(found)
            raise BlockedAddressError(f"{address[0]} is a {found} address")
        trail.tried.append(found)
        return socket.socket(family, kind, protocol)


def _is_allowed(found: AddressClass, trail: Trail) -> bool:
    if trail.is_proxy:
        return True
    return found is AddressClass.PUBLIC or (found is AddressClass.PRIVATE and trail.private)
