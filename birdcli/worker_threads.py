"""Threads for work that may never end, such as reading from a disk that is gone."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

A = TypeVar("A")
T = TypeVar("T")


class AbandonedError(Exception):
    """Nobody waits for this work any more."""


class _Job(Generic[A, T]):
    """One call, and when a thread began with it."""

    def __init__(self, work: Callable[[A], T], item: A, clock: Callable[[], float]) -> None:
        self.started_s: float | None = None
        self.abandoned = False
        self._work = work
        self._item = item
        self._clock = clock

    def __call__(self) -> T:
        self.started_s = self._clock()
        return self._work(self._item)


class WorkerThreads:
    """A fixed number of threads; one that is stuck is replaced, as it cannot be ended.

    Attributes:
        lost: How many threads are stuck in what was abandoned, perhaps for ever.
    """

    def __init__(
        self, count: int, *, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts no thread yet.

        Args:
            count: How many work at once.
            name: Of the threads.
            clock: Seconds.
        """
        self.lost = 0
        self._count = count
        self._clock = clock
        self._name = name
        self._pool = self._new_pool()
        self._jobs: dict[_Job[Any, Any], asyncio.Future[Any]] = {}

    async def run(self, work: Callable[[A], T], item: A) -> T:
        """Returns what `work(item)` returns, or raises what it raises.

        Raises:
            AbandonedError: `abandon` struck.
        """
        job = _Job(work, item, self._clock)
        while True:
            pool = self._pool
            future = asyncio.get_running_loop().run_in_executor(pool, job)
            self._jobs[job] = future
            try:
                return await future
            except asyncio.CancelledError:
                if job.abandoned:
                    raise AbandonedError from None
                if pool is self._pool or _is_cancelled(asyncio.current_task()):
                    raise
                # It waited behind threads that are stuck: a new one will do it.
            finally:
                del self._jobs[job]

    def abandon(self, *, older_than_s: float) -> None:
        """Gives up what a thread has been at for so long, and replaces the threads."""
        now_s = self._clock()
        stuck = [
            job
            for job in self._jobs
            if job.started_s is not None and now_s - job.started_s >= older_than_s
        ]
        if stuck:
            self.lost += len(stuck)
            self._drop(stuck)
            old, self._pool = self._pool, self._new_pool()
            old.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Gives up what has not begun, without waiting."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _drop(self, jobs: Iterable[_Job[Any, Any]]) -> None:
        for job in jobs:
            job.abandoned = True
            self._jobs[job].cancel()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count, thread_name_prefix=self._name)


def _is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    return task is not None and task.cancelling() > 0
