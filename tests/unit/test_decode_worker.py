"""What a process that decodes does, without the process."""

from __future__ import annotations

import io
import json
import os
import resource
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from birdcli import decode_worker
from birdcli.decode import decode_image
from birdcli.decode_memory import MOST
from birdcli.decode_wire import GO, HEADER
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = DecodeSettings(height=20, width=30)
MEMORY_BYTES = 1 << 20


@pytest.fixture(autouse=True)
def memory_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def encoded(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").resize((width, height)).save(file, "PNG", compress_level=9)
    return file.getvalue()


def large(width: int = 7000) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 2000), (10, 200, 30)).save(file, "PNG")
    return file.getvalue()


class Served:
    """The replies to requests that are all there from the beginning, and the memory after them."""

    def __init__(self, data: bytes, requests: bytes, settings: DecodeSettings = SETTINGS) -> None:
        assert len(data) <= MEMORY_BYTES
        memory = os.memfd_create("test")
        os.ftruncate(memory, MEMORY_BYTES)
        os.pwrite(memory, data, 0)
        (read, write), (reply_read, reply_write) = os.pipe(), os.pipe()
        os.write(write, requests)
        os.close(write)
        with io.FileIO(read, "rb") as incoming, io.FileIO(reply_write, "wb") as out:
            decode_worker._serve(decode_worker._Pipes(incoming, out, memory), settings)
        with io.FileIO(reply_read, "rb") as replies:
            self.replies: list[dict[str, Any]] = [
                json.loads(line) for line in replies.readall().splitlines()
            ]
        self.pixels = np.frombuffer(os.pread(memory, 20 * 30 * 3, 0), np.uint8)
        os.close(memory)


def request(data: bytes, memory_bytes: int = MEMORY_BYTES) -> bytes:
    return HEADER.pack(len(data), memory_bytes)


def test_pixels_come_back_in_the_memory() -> None:
    data = encoded(40, 30)
    served = Served(data, request(data))
    assert [reply["width"] for reply in served.replies] == [40]
    np.testing.assert_array_equal(served.pixels, decode_image(data, SETTINGS).pixels.reshape(-1))


def test_it_serves_until_the_pipe_ends() -> None:
    served = Served(b"<html>", request(b"<html>") * 3 + b"half a request")
    assert [reply["code"] for reply in served.replies] == ["decode.not_an_image"] * 3


def test_memory_that_has_changed_its_size_is_mapped_anew() -> None:
    data = encoded(40, 30)
    # The parent says how large it is; here it was as large all along.
    assert Served(data, request(data, memory_bytes=2)).replies[0]["width"] == 40


@pytest.mark.parametrize(("width", "asked"), [(6000, 0), (7000, 56_000_000)])
def test_large_pictures_ask_for_room(width: int, asked: int) -> None:
    data = large(width)
    served = Served(data, request(data) + (GO if asked else b""))
    assert [reply.get("bytes", 0) for reply in served.replies[:-1]] == ([asked] if asked else [])
    assert served.replies[-1]["width"] == width


@pytest.mark.parametrize("end", [0, 40])
def test_the_room_of_a_large_picture_is_not_left_to_the_next(
    monkeypatch: pytest.MonkeyPatch, end: int
) -> None:
    allowed: list[int] = []
    monkeypatch.setattr(decode_worker._MemoryLimit, "allow", lambda _, size: allowed.append(size))
    data = large()
    data = data[: len(data) - end]
    reply = Served(data, request(data) + GO).replies[-1]
    assert ("code" in reply) == bool(end)
    assert allowed == [50_000_000, 14_000_000 * MOST, 50_000_000]


def test_waiting_for_room_is_no_time_of_decoding() -> None:
    data = large()
    reply = Served(data, request(data) + GO).replies[-1]
    assert 0 < reply["ended_s"] - reply["started_s"] < 5


def test_a_part_of_a_large_picture_asks_once() -> None:
    data = large()
    part = data[: len(data) * 3 // 4]
    served = Served(part, request(part) + GO, replace(SETTINGS, allow_truncated=True))
    assert [sorted(reply)[0] for reply in served.replies] == ["bytes", "ended_s"]
    assert served.replies[-1]["truncated"] is True
