"""URLs of earlier runs, as users ask for them again: online, offline, with another model."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode
from tests.e2e.conftest import PICTURES, REPOSITORY, Birdcli, Finished
from tests.image_server import ImageServer, Reply, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("unmeasured")

ENGINES = {"tensorflow", "openvino", "ai_edge_litert"}
_NO_NETWORK = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("a socket is used")
for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = refuse
from birdcli.cli.app import main
main()
"""


@pytest.fixture
def cache(birdcli: Birdcli, first_run: Finished, tmp_path: Path) -> Path:
    """A cache that knows the answers to the pictures, and no URL."""
    assert first_run.code == 0
    copy = tmp_path / "cache"
    copy.mkdir(mode=0o700)
    with (  # not file by file: tests that run beside this one write to it
        closing(sqlite3.connect(birdcli.home / "cache" / "cache.db")) as source,
        closing(sqlite3.connect(copy / "cache.db")) as target,
    ):
        source.backup(target)
    return copy


@pytest.fixture
def server(pictures: Path) -> Iterator[ImageServer]:
    """Serves the pictures, without validators."""
    routes = {f"/{name}": Reply(body=(pictures / name).read_bytes()) for name in PICTURES}
    with serving(routes) as running:
        yield running


def urls_of(server: ImageServer) -> list[str]:
    return [server.url(f"/{name}") for name in PICTURES]


def test_a_run_over_known_urls_loads_no_engine_even_where_validators_are_missing(
    birdcli: Birdcli, cache: Path, server: ImageServer
) -> None:
    urls = [*urls_of(server), server.url("/gone.jpg")]
    assert birdcli("classify", "--cache-dir", cache, *urls).code == 4
    done, imported = birdcli.importing("classify", "--cache-dir", cache, *urls)
    assert [record.get("cache") for record in done.records] == ["hit"] * 5 + [None]
    assert "aiohttp" in imported
    assert not imported & ENGINES
    assert len(server.requests) == 12


def test_a_url_that_was_answered_in_this_run_is_not_asked_again(
    birdcli: Birdcli, cache: Path, server: ImageServer
) -> None:
    url = server.url("/a.png")
    with birdcli.start("classify", "--cache-dir", cache, "-") as running:
        assert running.stdin is not None
        assert running.stdout is not None
        records = []
        for _ in range(3):
            running.stdin.write(f"{url}\n".encode())
            running.stdin.flush()
            records.append(json.loads(running.stdout.readline()))
        running.stdin.close()
        assert running.wait(30) == 0
    assert [record["index"] for record in records] == [0, 1, 2]
    assert {record["status"] for record in records} == {"ok"}
    assert server.asked("/a.png") == 1


def test_offline_needs_neither_network_nor_http_nor_engine(
    birdcli: Birdcli, cache: Path, server: ImageServer, pictures: Path, first_run: Finished
) -> None:
    urls = urls_of(server)
    birdcli("classify", "--cache-dir", cache, *urls)
    asked = len(server.requests)
    arguments: list[str | Path] = [
        "classify",
        "--offline",
        "--cache-dir",
        cache,
        *urls,
        pictures / "a.png",
    ]
    done, imported = birdcli.importing(*arguments)
    assert done.code == 0, done.stderr
    assert not imported & {*ENGINES, "aiohttp"}
    guesses = [record["predictions"] for record in first_run.records]
    assert [record["predictions"] for record in done.records] == [*guesses, guesses[0]]
    again = subprocess.run(
        [sys.executable, "-c", _NO_NETWORK, *arguments],
        env=birdcli.environment,
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert len(again.stdout.splitlines()) == 6
    assert len(server.requests) == asked


def test_offline_a_url_without_an_answer_is_a_failure_that_says_what_to_do(
    birdcli: Birdcli, cache: Path, server: ImageServer, pictures: Path
) -> None:
    done = birdcli(
        *("classify", "--offline", "--cache-dir", cache),
        *(server.url("/a.png"), pictures / "a.png"),
    )
    assert done.code == 4
    failed, answered = done.records
    assert answered["status"] == "ok"
    error = failed["error"]
    assert error["code"] == ErrorCode.FETCH_NOT_CACHED
    assert (error["attempts"], error["retryable"]) == (0, False)
    assert "--offline" in error["hint"]
    assert server.requests == []


@pytest.mark.parametrize("flag", ["--offline", "--cache-bytes"])
def test_what_needs_the_cache_cannot_do_without(birdcli: Birdcli, flag: str) -> None:
    done = birdcli.inline("classify", flag, "--no-cache", "a.jpg")
    assert (done.code, done.stdout) == (2, b"")
    assert f"error[{ErrorCode.USAGE_BAD_FLAG}]" in done.stderr
    assert flag in done.stderr


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_kept_bytes_are_classified_offline_by_another_model(
    birdcli: Birdcli, cache: Path, server: ImageServer
) -> None:
    urls = urls_of(server)
    kept = birdcli("classify", "--cache-bytes", "--cache-dir", cache, *urls)
    assert {record["cache"] for record in kept.records} == {"hit"}
    info = json.loads(birdcli("cache", "info", "--json", "--cache-dir", cache).stdout)
    assert info["pictures"] == 5
    done = birdcli("classify", "--offline", "--precision", "float32", "--cache-dir", cache, *urls)
    assert done.code == 0, done.stderr
    assert {record["cache"] for record in done.records} == {"miss"}
    assert [r["image"]["sha256"] for r in done.records] == [
        r["image"]["sha256"] for r in kept.records
    ]
    assert len(server.requests) == 5
    assert birdcli("cache", "clear", "--cache-dir", cache).code == 0
    assert not (cache / "pictures").exists()


def test_pictures_are_kept_though_their_answers_are_known(
    birdcli: Birdcli, cache: Path, pictures: Path
) -> None:
    url = "/a.png"
    with serving({url: Reply(body=(pictures / "a.png").read_bytes(), etag='"1"')}) as server:
        for flags in ((), ("--cache-bytes",), ("--cache-bytes",)):
            done = birdcli("classify", *flags, "--cache-dir", cache, server.url(url))
            assert [record["cache"] for record in done.records] == ["hit"]
        asked = ["if-none-match" in seen.headers for seen in server.requests]
    assert asked == [False, False, True]
    info = json.loads(birdcli("cache", "info", "--json", "--cache-dir", cache).stdout)
    assert info["pictures"] == 1


def test_two_runs_may_share_a_cache(birdcli: Birdcli, cache: Path, server: ImageServer) -> None:
    urls = urls_of(server) * 20
    running = [birdcli.start("classify", "--cache-dir", cache, *urls) for _ in range(2)]
    for process in running:
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert len(stdout.splitlines()) == 100
        assert b"is not used" not in stderr
