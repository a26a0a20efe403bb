"""Words for people, written by a thread of its own: nobody waits for whoever reads them."""

from __future__ import annotations

import io
import os
import select
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final, cast

_ROOM_BYTES: Final = 1_000_000
_LOST: Final = b"\nbirdcli: warning: nobody read this for so long that words are missing above\n"


class UnhurriedFile(io.RawIOBase):
    """Takes words at once, and writes them when their reader has time.

    What does not fit into its room is left out, and so is what cannot be written: a full disk or a
    closed terminal costs words, never a run.
    """

    def __init__(self, descriptor: int, *, room: int = _ROOM_BYTES) -> None:
        """Takes over the descriptor, and keeps at most `room` bytes."""
        super().__init__()
        self._descriptor = descriptor
        self._room = room
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._lost = False
        self._writing = False
        self._ending = False
        self._leave_at_s: float | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="words", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tells whether people read it on a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: object) -> int:
        """Takes all of it; see `io.RawIOBase.write`."""
        words = bytes(cast("memoryview", data))
        with self._changed:
            if self._size + len(words) > self._room:
                self._lost = True
            else:
                self._waiting.append(words)
                self._size += len(words)
                self._changed.notify_all()
        return len(words)

    def write_at_once(self, words: bytes) -> None:
        """Writes a few words past those that wait, if that takes no time."""
        with suppress(OSError):
            if _is_ready(self._descriptor, 0):
                os.write(self._descriptor, words[: select.PIPE_BUF])

    def drain(self) -> None:
        """Waits until everything is written, or until the time to leave."""
        with self._changed:
            while self._waiting or self._writing or self._lost:
                left_s = None
                if self._leave_at_s is not None:
                    left_s = self._leave_at_s - time.monotonic()
                    if left_s <= 0:
                        return
                self._changed.wait(left_s)

    def leave_after(self, seconds: float) -> None:
        """Makes `drain` and `close` wait no longer than so many seconds from now."""
        with self._changed:
            self._leave_at_s = time.monotonic() + seconds
            self._changed.notify_all()

    def close(self) -> None:
        """Drains, and closes the descriptor unless a reader holds up its thread."""
        if self.closed:
            return
        self.drain()
        super().close()
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            stuck = self._writing
        if not stuck:
            self._thread.join()
            os.close(self._descriptor)

    def _write_all(self) -> None:
        while (words := self._next()) is not None:
            with suppress(OSError):
                _write_whole(self._descriptor, words)
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _next(self) -> bytes | None:
        with self._changed:
            while not (self._waiting or self._lost or self._ending):
                self._changed.wait()
            if self._ending:
                return None
            self._writing = True
            if self._waiting:
                words = self._waiting.popleft()
                self._size -= len(words)
                return words
            self._lost = False
            return _LOST


def _write_whole(descriptor: int, words: bytes) -> None:
    rest = memoryview(words)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another program, such as ssh, made it non-blocking
            _is_ready(descriptor, None)


def _is_ready(descriptor: int, timeout_ms: int | None) -> bool:
    ready = select.poll()  # `select` refuses descriptors above 1023
    ready.register(descriptor, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in ready.poll(timeout_ms))
