from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.resolver import Address, look_up

if TYPE_CHECKING:
    from pytest_mock import MockerFixture

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 80))


async def test_addresses_come_from_the_system(mocker: MockerFixture) -> None:
    getaddrinfo = mocker.patch("socket.getaddrinfo", return_value=[ADDRESS])
    found = await look_up("birds.example", 80, socket.AF_INET)
    assert found == [Address("192.0.2.7", socket.AF_INET, 6)]
    getaddrinfo.assert_called_once_with("birds.example", 80, socket.AF_INET, socket.SOCK_STREAM)


async def test_an_unknown_name_is_an_os_error(mocker: MockerFixture) -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    mocker.patch("socket.getaddrinfo", side_effect=unknown)
    with pytest.raises(socket.gaierror):
        await look_up("birds.example", 80, socket.AF_UNSPEC)


async def test_a_name_that_idna_cannot_encode_is_an_os_error() -> None:
    with pytest.raises(OSError, match="no host name"):
        await look_up("a" * 64 + ".example", 80, socket.AF_UNSPEC)


def test_a_silent_name_server_holds_up_neither_the_caller_nor_the_loop(
    mocker: MockerFixture,
) -> None:
    release, done = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any) -> list[Any]:
        release.wait(10)
        done.set()
        return [ADDRESS]

    mocker.patch("socket.getaddrinfo", getaddrinfo)

    async def run() -> None:
        async with asyncio.timeout(0.01):
            await look_up("birds.example", 80, socket.AF_UNSPEC)

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert not done.is_set()
    release.set()  # its answer meets a closed loop, which must not end in a traceback
    assert done.wait(10)
    for thread in threading.enumerate():
        if thread.name == "look-up birds.example":
            thread.join(10)


async def test_an_answer_that_nobody_waits_for_is_dropped(mocker: MockerFixture) -> None:
    release, asked = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any) -> list[Any]:
        asked.set()
        release.wait(10)
        return [ADDRESS]

    mocker.patch("socket.getaddrinfo", getaddrinfo)
    task = asyncio.ensure_future(look_up("birds.example", 80, socket.AF_UNSPEC))
    await asyncio.sleep(0)
    assert asked.wait(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    for thread in threading.enumerate():
        if thread.name == "look-up birds.example":
            thread.join(10)
    await asyncio.sleep(0)
