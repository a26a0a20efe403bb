"""The server of faults does what its paths say."""

from __future__ import annotations

import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.chaos_server import LAST_MODIFIED, ChaosServer, chaos

ROOT = Path(__file__).resolve().parent.parent.parent


def _get(server: ChaosServer, target: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    client = http.client.HTTPConnection(server.addresses[0], server.port, timeout=5)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request("GET", target, headers=names)
        response = client.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        client.close()


def _raw(server: ChaosServer, target: str) -> bytes:
    with socket.create_connection((server.addresses[0], server.port), timeout=5) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = b""
        while part := client.recv(65_536):
            received += part
        return received


def test_each_picture_is_valid_and_different() -> None:
    with chaos() as server:
        bodies = [_get(server, f"/ok/{number}")[1] for number in (1, 2, 70_000)]
    pixels = [Image.open(io.BytesIO(body)).convert("RGB").getpixel((0, 0)) for body in bodies]
    assert pixels == [(0, 0, 1), (0, 0, 2), (1, 17, 112)]


def test_a_known_picture_is_not_sent_again() -> None:
    with chaos() as server:
        etag = _get(server, "/ok/3")[2]["ETag"]
        assert _get(server, "/ok/3", If_None_Match=etag)[0] == 304
        assert _get(server, "/ok/3", If_Modified_Since=LAST_MODIFIED)[0] == 304
        assert _get(server, "/ok/4", If_None_Match=etag)[0] == 200


@pytest.mark.parametrize("target", ["/short", "/chunked-broken"])
def test_a_body_that_ends_early_is_incomplete(target: str) -> None:
    with chaos() as server, pytest.raises(http.client.IncompleteRead):
        _get(server, target)


def test_a_longer_body_goes_on_after_its_announced_end() -> None:
    with chaos() as server:
        assert _raw(server, "/long").endswith(b"x" * 100)


def test_a_reset_is_an_error_not_an_end() -> None:
    with chaos() as server, pytest.raises(ConnectionResetError):
        _raw(server, "/reset-middle")


def test_a_connection_closed_without_a_byte_says_nothing() -> None:
    with chaos() as server:
        assert _raw(server, "/closes") == b""


def test_a_flaky_path_fails_as_often_as_it_says() -> None:
    with chaos() as server:
        assert [_get(server, "/flaky/2/7")[0] for _ in range(3)] == [503, 503, 200]


def test_a_limited_host_says_when_to_come_again() -> None:
    with chaos() as server:
        assert _get(server, "/429?after=2")[2]["Retry-After"] == "2"
        assert _get(server, "/429?after=2&date=1")[2]["Retry-After"].endswith("GMT")
        assert [_get(server, "/429?after=0&times=1")[0] for _ in range(2)] == [429, 200]


def test_a_full_port_lets_nobody_in() -> None:
    with chaos() as server, pytest.raises(TimeoutError):
        socket.create_connection((server.addresses[0], server.full_port), timeout=0.3)


def test_silence_lasts_until_the_client_gives_up() -> None:
    with chaos() as server:
        client = socket.create_connection((server.addresses[0], server.port), timeout=0.3)
        with client:
            client.sendall(b"GET /never-answers HTTP/1.1\r\n\r\n")
            with pytest.raises(TimeoutError):
                client.recv(1)


def test_requests_are_logged_with_host_and_time() -> None:
    with chaos(addresses=2) as server:
        before = time.monotonic()
        for address in server.addresses:
            client = http.client.HTTPConnection(address, server.port, timeout=5)
            client.request("GET", "/ok/1", headers={"X-Mine": "1"})
            client.getresponse().read()
            client.close()
        first, second = server.requests_of("/ok/1")
    assert (first.address, second.address) == ("127.0.0.1", "127.0.0.2")
    assert before <= first.at_s <= second.at_s
    assert first.headers["x-mine"] == "1"


def test_it_serves_from_a_process_of_its_own(tmp_path: Path) -> None:
    port_file = tmp_path / "ports.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos_server", "--port-file", str(port_file)], cwd=ROOT
    )
    try:
        until = time.monotonic() + 20
        while not port_file.exists():
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.02)
        client = http.client.HTTPConnection("127.0.0.1", json.loads(port_file.read_text())["port"])
        client.request("GET", "/ok/1")
        assert client.getresponse().status == 200
        client.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
