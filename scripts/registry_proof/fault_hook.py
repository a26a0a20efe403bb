"""A process that dies, or whose disk is full, at the n-th change of a folder.

Python tells audit hooks of every file that is opened, renamed or removed, whoever does it, before
it happens. So no step of the program under proof has to be marked, and none can be forgotten.
`os.fsync`, which has no such event, counts as well: before it, the bytes are written but not kept.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
)


class Fault(StrEnum):
    """What happens at the chosen step."""

    KILL = "kill"
    """The process dies as by `kill -9`."""
    FULL = "full"
    """This step and all later ones that need room fail: no space left on device."""


class FaultHook:
    """Counts the steps that change a folder, and strikes at one of them."""

    def __init__(self, folder: Path, *, step: int, fault: Fault) -> None:
        """Watches from now on.

        Args:
            folder: Changes below it count.
            step: Which one to strike at, from 1; 0 only counts.
            fault: What happens then.
        """
        self.steps = 0
        self._folder = os.fsencode(folder.resolve())
        self._step = step
        self._fault = fault
        self._fsync = os.fsync
        sys.addaudithook(self._watch)
        os.fsync = self._watched_fsync  # type: ignore[assignment]  # birdcli passes descriptors

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and self._inside(path):
                self._count(needs_room=True)
        elif event in _CHANGES and self._inside(arguments[0]):
            self._count(needs_room=event in ("os.mkdir", "os.rename"))

    def _watched_fsync(self, descriptor: int) -> None:
        self._count(needs_room=not stat.S_ISDIR(os.fstat(descriptor).st_mode))
        self._fsync(descriptor)

    def _inside(self, path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        absolute = os.path.abspath(os.fsencode(path))  # noqa: PTH100 - no resolving: it would open
        return absolute == self._folder or absolute.startswith(self._folder + b"/")

    def _count(self, *, needs_room: bool) -> None:
        self.steps += 1
        if self._step and self.steps >= self._step:
            if self._fault is Fault.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            if needs_room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
