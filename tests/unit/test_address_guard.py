"""Whom an address belongs to, and who may connect to it."""

from __future__ import annotations

import socket

import pytest

from birdcli.address_guard import (
    AddressClass,
    AddressGuard,
    BlockedAddressError,
    Trail,
    address_class,
    following,
    literal_address,
)

PUBLIC, PRIVATE, METADATA = AddressClass.PUBLIC, AddressClass.PRIVATE, AddressClass.METADATA


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("8.8.8.8", PUBLIC),
        ("2606:4700::1111", PUBLIC),
        ("127.0.0.1", PRIVATE),
        ("127.8.9.1", PRIVATE),
        ("10.1.2.3", PRIVATE),
        ("172.31.0.1", PRIVATE),
        ("192.168.0.1", PRIVATE),
        ("100.64.0.1", PRIVATE),
        ("169.254.1.1", PRIVATE),
        ("0.0.0.0", PRIVATE),
        ("224.0.0.1", PRIVATE),
        ("255.255.255.255", PRIVATE),
        ("::", PRIVATE),
        ("::1", PRIVATE),
        ("fe80::1%eth0", PRIVATE),
        ("fc00::1", PRIVATE),
        ("ff02::1", PRIVATE),
        ("::ffff:127.0.0.1", PRIVATE),
        ("::ffff:8.8.8.8", PUBLIC),
        ("::7f00:1", PRIVATE),
        ("2002:7f00:1::", PRIVATE),
        ("64:ff9b::7f00:1", PRIVATE),
        ("64:ff9b::808:808", PUBLIC),
        ("169.254.169.254", METADATA),
        ("::ffff:169.254.169.254", METADATA),
        ("64:ff9b::a9fe:a9fe", METADATA),
        ("2002:a9fe:a9fe::1", METADATA),
        ("fd00:ec2::254", METADATA),
        ("100.100.100.200", METADATA),
        ("168.63.129.16", METADATA),
        ("fec0::1", PRIVATE),
        ("5f00::1", PRIVATE),
        ("3fff::1", PRIVATE),
        ("192.0.0.8", PRIVATE),
        ("192.88.99.1", PRIVATE),
        ("::ffff:0:8.8.8.8", PRIVATE),
        ("::ffff:0:169.254.169.254", METADATA),
        ("2600:1900::5efe:a9fe:a9fe", METADATA),
        ("2600:1900::200:5efe:7f00:1", PRIVATE),
        ("no number", PRIVATE),
    ],
)
def test_class_of_an_address(number: str, expected: AddressClass) -> None:
    if number == "::ffff:8.8.8.8":
        # Python 3.13 calls the mapped form global, 3.11 private: either way nothing is opened up.
        assert address_class(number) in (PUBLIC, PRIVATE)
    elif number == "64:ff9b::808:808":
        assert address_class(number) in (PUBLIC, PRIVATE)
    else:
        assert address_class(number) is expected


@pytest.mark.parametrize(
    ("host", "number"),
    [
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("8.8.8.8", "8.8.8.8"),
        ("example.org", None),
        ("", None),
        ("1.2.3.4.example.org", None),
    ],
)
def test_numbers_in_any_spelling(host: str, number: str | None) -> None:
    assert literal_address(host) == number


def opened(number: str, trail: Trail | None) -> bool:
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", (number, 80))
    guard = AddressGuard()
    try:
        if trail is None:
            guard.open_socket(info).close()
        else:
            with following(trail):
                guard.open_socket(info).close()
    except BlockedAddressError:
        return False
    return True


@pytest.mark.parametrize(
    ("number", "private", "allowed"),
    [
        ("8.8.8.8", True, True),
        ("8.8.8.8", False, True),
        ("127.0.0.1", True, True),
        ("127.0.0.1", False, False),
        ("169.254.169.254", True, False),
        ("169.254.169.254", False, False),
    ],
)
def test_what_may_be_connected_to(number: str, private: bool, allowed: bool) -> None:
    trail = Trail(private=private)
    assert opened(number, trail) == allowed
    assert (len(trail.tried), len(trail.blocked)) == ((1, 0) if allowed else (0, 1))


def test_a_proxy_may_be_anywhere() -> None:
    assert opened("127.0.0.1", Trail(private=False, is_proxy=True))


def test_a_connection_on_nobodys_behalf_is_refused() -> None:
    assert not opened("8.8.8.8", None)
