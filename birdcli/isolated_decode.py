"""Pictures decoded in other processes, so that none can hang or end this one."""

from __future__ import annotations

import json
import logging
import mmap
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np  # noqa: TID253 - loaded with a run over several pictures alone

from birdcli.company import Company
from birdcli.decode_wire import GO, HEADER
from birdcli.errors import DecodeError, ErrorCode
from birdcli.ports import DecodedPixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.ports import Decoder
    from birdcli.settings import DecodeSettings

_LOG: Final = logging.getLogger(__name__)

# The same modules as here, wherever they were found; numpy's threads would take memory for nothing.
_BOOT: Final = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "os.environ['OPENBLAS_NUM_THREADS'] = '1'; "
    "from birdcli.decode_worker import main; main(sys.argv[2:])"
)
_MEMORY_BYTES: Final = 1 << 20
_LONGEST_REPLY_BYTES: Final = 65_536
_TRIES_IN_VAIN: Final = 3  # a machine that is slow is so for all pictures
_START_S: Final = 30.0  # on top of the deadline, for the imports of a worker that has just begun


class _CrashedError(Exception):
    """The worker is gone."""


class _TooSlowError(Exception):
    """The worker did not answer in time."""


class MemoryBudget:
    """Bytes that pictures being decoded take; one larger than the bound passes alone.

    First come, first served, so that a large one is not kept waiting by many small ones.
    """

    def __init__(self, limit: int) -> None:
        """Allows `limit` bytes."""
        self._limit = limit
        self._used = 0
        self._first = threading.Lock()
        self._changed = threading.Condition()

    def acquire(self, size: int) -> None:
        """Waits until so many more fit."""
        with self._first, self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + size <= self._limit)
            self._used += size

    def release(self, size: int) -> None:
        """Gives them back."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class DecodePool:
    """A `Decoder` that hands each picture to one of a few processes.

    A picture that takes too long, or takes its process with it, costs itself alone: the process is
    replaced, and a picture whose process died is tried once more. So is one that took too long
    beside others, then alone and with the same deadline; a few times in vain, and no more, as
    nothing else is decoded meanwhile.
    """

    def __init__(
        self,
        settings: DecodeSettings,
        *,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts nothing yet: a run whose answers are all cached needs no process.

        Args:
            settings: Size, recipe and limits of every picture.
            workers: Processes.
            clock: Seconds, for deadlines.
        """
        self._settings = settings
        self._clock = clock
        self._budget = MemoryBudget(settings.bytes_at_once)
        self._idle: queue.SimpleQueue[_Place] = queue.SimpleQueue()
        self._workers: set[_Worker] = set()
        self._company = Company()
        self._tried_in_vain = 0
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._closed = False
        self._count = workers
        self._started = False
        self._here: Decoder | None = None

    def decode(self, data: bytes) -> DecodedPixels:
        """Returns the pixels of one encoded file.

        Raises:
            DecodeError: As of `decode_image`, or ``decode.timeout`` or ``decode.worker_crashed``.
        """
        self._start_all()
        if self._here is not None:
            return self._here.decode(data)
        place = self._idle.get()
        tried_alone = False
        try:
            with self._company.together() as had_company:
                try:
                    return self._tried(place, data, times=2)
                except _TooSlowError as err:
                    if not had_company() or self._tried_in_vain >= _TRIES_IN_VAIN:
                        raise
                    late = err  # which may be the others' fault
            with self._company.alone():
                if self._tried_in_vain >= _TRIES_IN_VAIN:  # by now
                    raise late
                tried_alone = True
                in_vain, self._tried_in_vain = self._tried_in_vain, 0
                try:
                    return self._tried(place, data, times=1)
                except _TooSlowError:
                    self._tried_in_vain = in_vain + 1
                    raise
        except _TooSlowError as err:
            also = ", also when it was the only one" if tried_alone else ""
            raise DecodeError(
                ErrorCode.DECODE_TIMEOUT,
                f"decoding took longer than {self._settings.timeout_s:g} s{also}",
                timeout_s=self._settings.timeout_s,
            ) from err
        finally:
            self._idle.put(place)

    def close(self) -> None:
        """Ends all processes; what is being decoded fails."""
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, set()
        for worker in workers:
            worker.kill()

    def _tried(self, place: _Place, data: bytes, *, times: int) -> DecodedPixels:
        """Decodes, again where the process dies."""
        for left in reversed(range(times)):
            worker = place.worker = self._running(place.worker)
            try:
                return worker.decode(data, self._budget)
            except _TooSlowError:
                worker.end()
                raise
            except _CrashedError as err:
                if worker.end() == -signal.SIGALRM:  # its own clock, before ours
                    raise _TooSlowError from err
                if not left:
                    raise self._crashed(worker) from err
        raise AssertionError("a loop that returns or raises")

    def _start_all(self) -> None:
        """Starts the processes with the first picture, without waiting for them."""
        with self._starting:
            if self._started:
                return
            self._started = True
            try:
                workers = [self._start() for _ in range(self._count)]
            except OSError as err:  # no more processes or descriptors: safety is not worth a run
                from birdcli.decode import PillowDecoder

                _LOG.warning(
                    "pictures are decoded in this process: no other can be started (%s)",
                    err.strerror,
                )
                self._here = PillowDecoder(self._settings)
                return
        for worker in workers:
            self._idle.put(_Place(worker))

    def _start(self) -> _Worker:
        worker = _Worker(self._settings, self._clock)
        with self._lock:
            closed = self._closed
            if not closed:
                self._workers.add(worker)
        if closed:  # another thread was about to replace one
            worker.kill()
        return worker

    def _running(self, worker: _Worker) -> _Worker:
        """Returns a worker that runs: the given one, or another in its place."""
        if not worker.is_gone:
            return worker
        with self._lock:
            self._workers.discard(worker)
        worker.end()
        try:
            return self._start()
        except OSError as err:
            raise DecodeError(
                ErrorCode.DECODE_WORKER_CRASHED,
                f"no process can be started to decode it: {err.strerror}",
                retryable=True,
            ) from err

    def _crashed(self, worker: _Worker) -> DecodeError:
        code = worker.end()
        _LOG.info("a decoding process ended with %s", code)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return DecodeError(
            ErrorCode.DECODE_WORKER_CRASHED,
            f"the process that decoded this picture {how}, twice",
            exit_code=code,
        )


class _Place:
    """Holds the process of the moment."""

    def __init__(self, worker: _Worker) -> None:
        self.worker = worker


class _Worker:
    """One process, its pipes and the memory shared with it; for one thread at a time."""

    def __init__(self, settings: DecodeSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._grace_s = _START_S
        self._shape = (settings.height, settings.width, 3)
        # Pixels come back in it as well.
        self._memory_file = _memory_file(max(_MEMORY_BYTES, int(np.prod(self._shape))))
        self._memory = mmap.mmap(self._memory_file, 0)
        child_requests, self._requests = os.pipe()
        self._replies, child_replies = os.pipe()
        descriptors = (child_requests, child_replies, self._memory_file)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [
                    *(sys.executable, "-c", _BOOT, json.dumps(sys.path)),
                    *(str(descriptor) for descriptor in descriptors),
                    json.dumps(asdict(settings)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                process_group=0,  # Ctrl-C at a terminal is for the parent
            )
        finally:
            os.close(child_requests)
            os.close(child_replies)
        self._ended = False
        self._ready = select.poll()  # `select` refuses descriptors above 1023
        self._ready.register(self._replies, select.POLLIN)

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self._ended or self._process.poll() is not None

    def decode(self, data: bytes, budget: MemoryBudget) -> DecodedPixels:
        """Returns the pixels of a picture.

        Raises:
            DecodeError: It has none.
            _CrashedError: The process ended.
            _TooSlowError: It did not answer in time.
        """
        if len(data) > len(self._memory):
            self._memory.close()
            os.ftruncate(self._memory_file, len(data))
            self._memory = mmap.mmap(self._memory_file, 0)
        self._memory[: len(data)] = data
        self._send(HEADER.pack(len(data), len(self._memory)))
        reply = self._receive()
        size = reply.get("bytes", 0)
        if isinstance(size, int) and size > 0:
            budget.acquire(size)
            try:
                self._send(GO)
                reply = self._receive()
            finally:
                budget.release(size)
        return self._decoded(reply)

    def kill(self) -> None:
        """Kills the process; whoever waits for it learns that from its pipe."""
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """Kills the process and returns how it ended; again does nothing."""
        if not self._ended:
            self._ended = True
            self._process.kill()
            for descriptor in (self._requests, self._replies, self._memory_file):
                os.close(descriptor)
            self._memory.close()
        return self._process.wait()

    def _decoded(self, reply: dict[str, Any]) -> DecodedPixels:
        if "code" in reply:
            raise _error_of(reply)
        count = int(np.prod(self._shape))
        pixels = np.frombuffer(self._memory[:count], np.uint8).reshape(self._shape)
        try:
            return DecodedPixels(
                pixels=pixels,
                width=int(reply["width"]),
                height=int(reply["height"]),
                format=str(reply["format"]),
                started_s=float(reply["started_s"]),
                ended_s=float(reply["ended_s"]),
                truncated=bool(reply["truncated"]),
            )
        except (KeyError, TypeError, ValueError) as err:  # it has lost its mind to a picture
            raise _CrashedError from err

    def _send(self, data: bytes) -> None:
        try:
            os.write(self._requests, data)
        except OSError as err:
            raise _CrashedError from err

    def _receive(self) -> dict[str, Any]:
        ends_s = self._clock() + self._settings.timeout_s + self._grace_s
        reply = b""
        while not reply.endswith(b"\n"):
            left_s = ends_s - self._clock()
            try:
                if left_s <= 0 or not self._ready.poll(left_s * 1000.0):
                    raise _TooSlowError
                piece = os.read(self._replies, _LONGEST_REPLY_BYTES)
            except OSError as err:
                raise _CrashedError from err
            if not piece or len(reply) > _LONGEST_REPLY_BYTES:
                raise _CrashedError
            reply += piece
        self._grace_s = 0.0
        try:
            fields = json.loads(reply)
        except ValueError as err:
            raise _CrashedError from err
        if not isinstance(fields, dict):
            raise _CrashedError
        return fields


def _error_of(reply: dict[str, Any]) -> DecodeError:
    try:
        return DecodeError(
            ErrorCode(reply["code"]), str(reply["message"]), hint=str(reply["hint"]),
            **reply["details"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as err:
        raise _CrashedError from err


def _memory_file(size: int) -> int:
    """Returns a descriptor of memory without a name, which vanishes with its last holder."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("birdcli-picture")
    else:
        descriptor, name = tempfile.mkstemp(prefix="birdcli-")
        with suppress(OSError):
            Path(name).unlink()
    os.ftruncate(descriptor, size)
    return descriptor
