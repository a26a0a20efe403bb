"""Every test runs alone: own folders, no BIRDCLI_* or proxy variables, loopback only."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy")


def find_test_data() -> Path | None:
    """The folder with real photos and the real model, or None."""
    named = os.environ.get("BIRDCLI_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared"
    return folder if (folder / "images" / "index.csv").is_file() else None


TEST_DATA = find_test_data()
REQUIRE_TEST_DATA = os.environ.get("BIRDCLI_REQUIRE_TEST_DATA") == "1"


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Loads TensorFlow in one worker only; skips what needs the real data where there is none."""
    # The long ones first: one worker takes TensorFlow, another one the commands.
    items.sort(key=lambda item: "e2e" not in item.nodeid)
    items.sort(key=lambda item: not item.get_closest_marker("tensorflow"))
    for item in items:
        if item.get_closest_marker("tensorflow"):
            item.add_marker(pytest.mark.xdist_group("tensorflow"))
        if TEST_DATA is None and item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason="no BIRDCLI_TEST_DATA"))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names long bytes by their length: workers must agree, and gzip holds the time of day."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and len(val) > 32 else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says in the closing lines how many tests had no data."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "BIRDCLI_TEST_DATA" in str(report.longrepr)
    ]
    terminalreporter.write_line(f"tests skipped for lack of BIRDCLI_TEST_DATA: {len(skipped)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turns a skip for lack of data into a failure where the data is required."""
    if REQUIRE_TEST_DATA and TEST_DATA is None:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real photos and the real model; use with `@pytest.mark.data`."""
    assert TEST_DATA is not None, "mark this test with pytest.mark.data"
    return TEST_DATA


def _is_loopback(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # Unix sockets
    host = str(address[0]).split("%")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith("BIRDCLI_") or name.lower() in PROXY_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("BIRDCLI_HOME", str(tmp_path_factory.mktemp("home")))
    real_connect = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if not _is_loopback(address):
            raise AssertionError(f"a test tried to connect to {address}")
        real_connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps coverage out of the processes that a test starts: they tell of time, or are many."""
    for name in list(os.environ):
        if name.startswith("COVERAGE_"):
            monkeypatch.delenv(name)
