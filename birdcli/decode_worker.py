"""Decoding in a process of its own, which may hang, crash or be killed: its whole main program.

The parent writes encoded bytes to shared memory and a line to the request pipe; pixels and a line
come back. It ends with the request pipe, whatever has become of the parent.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from birdcli.decode import decode_image, ignore_library_warnings
from birdcli.decode_wire import GO, HEADER
from birdcli.errors import DecodeError
from birdcli.settings import DecodeSettings

_LARGE_PIXELS: Final = 4_000_000  # smaller pictures need no permission
_GRACE_S: Final = 5.0
_PIXEL_BYTES: Final = 12  # coefficients, the picture, and a second one of another mode
_OTHER_BYTES: Final = 512_000_000


@dataclass(frozen=True, slots=True)
class _Pipes:
    requests: io.FileIO
    replies: io.FileIO
    memory: int


def main(arguments: list[str]) -> None:
    """Serves requests until their pipe ends.

    Args:
        arguments: Descriptors of requests, replies and shared memory; the settings as JSON.
    """
    requests, replies, memory = (int(number) for number in arguments[:3])
    settings = DecodeSettings(**json.loads(arguments[3]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    ignore_library_warnings()
    _limit_memory(settings)
    with io.FileIO(requests, "rb") as incoming, io.FileIO(replies, "wb") as out:
        _serve(_Pipes(incoming, out, memory), settings)


def _limit_memory(settings: DecodeSettings) -> None:
    used = 0
    with suppress(OSError, ValueError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + _OTHER_BYTES + _PIXEL_BYTES * settings.max_pixels
    with suppress(OSError, ValueError):  # a lower limit holds already
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _serve(pipes: _Pipes, settings: DecodeSettings) -> None:
    memory = mmap.mmap(pipes.memory, 0)
    while len(request := pipes.requests.read(HEADER.size) or b"") == HEADER.size:
        size, memory_size = HEADER.unpack(request)
        if memory_size != len(memory):
            memory.close()
            memory = mmap.mmap(pipes.memory, 0)
        # Should the parent be gone and a decoder never return, the system ends this process.
        signal.setitimer(signal.ITIMER_REAL, settings.timeout_s + _GRACE_S)
        reply = _decode(memory, size, pipes, settings)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        _send(pipes, reply)


def _decode(
    memory: mmap.mmap, size: int, pipes: _Pipes, settings: DecodeSettings
) -> dict[str, object]:
    def admit(pixels: int) -> None:
        if pixels > _LARGE_PIXELS:
            _send(pipes, {"pixels": pixels})
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            if pipes.requests.read(1) != GO:
                os._exit(0)
            signal.setitimer(signal.ITIMER_REAL, settings.timeout_s + _GRACE_S)

    try:
        decoded = decode_image(memory[:size], settings, admit=admit)
    except DecodeError as err:
        return {
            "code": err.code.value,
            "message": err.message,
            "hint": err.hint,
            "details": dict(err.details),
        }
    pixels = decoded.pixels.tobytes()
    memory[: len(pixels)] = pixels
    return {
        "width": decoded.width,
        "height": decoded.height,
        "format": decoded.format,
        "started_s": decoded.started_s,
        "ended_s": decoded.ended_s,
        "truncated": decoded.truncated,
    }


def _send(pipes: _Pipes, reply: dict[str, object]) -> None:
    try:
        pipes.replies.write(json.dumps(reply).encode() + b"\n")
    except BrokenPipeError:
        sys.exit(0)
