"""Decoding in a process of its own, which may hang, crash or be killed: its whole main program.

The parent writes encoded bytes to shared memory and their size to the request pipe; pixels and a
line come back. It ends with the request pipe, whatever has become of the parent: between two
pictures because there is nothing to read, and in the middle of one, perhaps in C code that never
returns, because the kernel then sends SIGIO (a parent's death signal would strike when the *thread*
that started the process ends).
"""

from __future__ import annotations

import fcntl
import io
import json
import mmap
import os
import resource
import signal
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from birdcli.decode import decode_image, ignore_library_warnings
from birdcli.decode_memory import MOST
from birdcli.decode_wire import GO, HEADER
from birdcli.errors import DecodeError
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGE_BYTES: Final = 50_000_000  # what takes less needs no permission
_GRACE_S: Final = 5.0
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
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when to stop
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    with suppress(OSError):  # not every system does it for pipes; then the timer is left
        fcntl.fcntl(requests, fcntl.F_SETOWN, os.getpid())
    ignore_library_warnings()
    with io.FileIO(requests, "rb") as incoming, io.FileIO(replies, "wb") as out:
        _serve(_Pipes(incoming, out, memory), settings)


class _MemoryLimit:
    """How much memory this process may have beside what its start has taken."""

    def __init__(self) -> None:
        self._used = 0
        with suppress(OSError, ValueError):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            self._used = pages * resource.getpagesize()

    def allow(self, size: int) -> None:
        """Leaves as much as a picture of so many bytes may need, and then some."""
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = self._used + _OTHER_BYTES + size
        with suppress(OSError, ValueError):  # a lower limit holds already
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))


@contextmanager
def _mortal(pipes: _Pipes, settings: DecodeSettings) -> Iterator[None]:
    """Ends this process with its parent, or with its time, whatever the block is doing."""
    flags = fcntl.fcntl(pipes.requests, fcntl.F_GETFL)
    fcntl.fcntl(pipes.requests, fcntl.F_SETFL, flags | os.O_ASYNC)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout_s + _GRACE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        fcntl.fcntl(pipes.requests, fcntl.F_SETFL, flags)


def _serve(pipes: _Pipes, settings: DecodeSettings) -> None:
    memory = mmap.mmap(pipes.memory, 0)
    limit = _MemoryLimit()
    limit.allow(_LARGE_BYTES)
    while len(request := pipes.requests.read(HEADER.size) or b"") == HEADER.size:
        size, memory_size = HEADER.unpack(request)
        if memory_size != len(memory):
            memory.close()
            memory = mmap.mmap(pipes.memory, 0)
        _send(pipes, _Decoding(pipes, settings, limit).decode(memory, size))


class _Decoding:
    """One picture."""

    def __init__(self, pipes: _Pipes, settings: DecodeSettings, limit: _MemoryLimit) -> None:
        self._pipes = pipes
        self._settings = settings
        self._limit = limit
        self._admitted = _LARGE_BYTES
        self._began_s = 0.0
        self._running = ExitStack()

    def decode(self, memory: mmap.mmap, size: int) -> dict[str, object]:
        """Returns the reply; pixels are put into the memory."""
        try:
            with self._running:
                self._running.enter_context(_mortal(self._pipes, self._settings))
                decoded = decode_image(memory[:size], self._settings, admit=self._admit)
        except DecodeError as err:
            return {
                "code": err.code.value,
                "message": err.message,
                "hint": err.hint,
                "details": dict(err.details),
            }
        finally:
            if self._began_s:
                self._limit.allow(_LARGE_BYTES)
        memory[: decoded.pixels.nbytes] = decoded.pixels.reshape(-1).data
        return {
            "width": decoded.width,
            "height": decoded.height,
            "format": decoded.format,
            "started_s": max(decoded.started_s, self._began_s),
            "ended_s": decoded.ended_s,
            "truncated": decoded.truncated,
        }

    def _admit(self, pixels: int, size: int) -> None:
        """Waits until the parent has room; once for a picture, however often it is tried."""
        if size <= self._admitted:
            return
        self._admitted = self._settings.max_pixels * MOST
        self._running.close()  # time does not count, and the parent's answer must not kill
        _send(self._pipes, {"bytes": size})
        if self._pipes.requests.read(1) != GO:
            os._exit(0)
        self._began_s = time.perf_counter()
        self._limit.allow(pixels * MOST)
        self._running.enter_context(_mortal(self._pipes, self._settings))


def _send(pipes: _Pipes, reply: dict[str, object]) -> None:
    try:
        pipes.replies.write(json.dumps(reply).encode() + b"\n")
    except BrokenPipeError:
        sys.exit(0)
