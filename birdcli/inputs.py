"""Arguments, lists and folders as one numbered stream of inputs."""

from __future__ import annotations

import math
import os
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, SourceError
from birdcli.items import ErrorInfo, Failed, ImageRef, SourceKind, Stage, Timings
from birdcli.lists import (
    BadEntry,
    ListFormat,
    iter_entries,
    list_format_of,
    open_list,
    verify_list,
)
from birdcli.sources import (
    STDIN,
    is_folder,
    list_folder,
    local_path,
    source_error,
    verify_web_url,
    web_scheme,
)
from birdcli.watch import Busy
from birdcli.worker_threads import AbandonedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from io import BufferedIOBase

    from birdcli.settings import ListSettings

_MOMENT_S: Final = 1.0
_MOST_SILENT: Final = 64


@dataclass(frozen=True, slots=True)
class _Found:
    """An input before it is numbered; with an error it has failed already."""

    source: str
    kind: SourceKind
    id: str | None = None
    error: ErrorInfo | None = None
    since_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Path:
    """A path that may be a folder; one found in a folder is one."""

    source: str
    path: str
    id: str | None = None
    is_folder: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A question to a disk that may never answer."""

    at: _Path
    since_s: float


class Inputs:
    """All inputs of a run, each as soon as it is known.

    Folders become the picture files in them, sorted by the parts of their paths, without hidden
    ones and without following links to folders; one without any picture is a failed input. A file
    that does not exist is an input too.

    It is iterated by one thread. Where that one waits for a disk that never answers, `give_up_look`
    makes the path a failed input, and whoever iterates anew, in another thread, goes on behind it.
    What decides that is kept out of the generators: one that waits cannot be resumed by others.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        lists: Sequence[str],
        settings: ListSettings,
        *,
        stdin: BufferedIOBase,
        clock: Callable[[], float],
        patience_s: float = math.inf,
        unfinished: Callable[[Iterator[ImageRef | Failed]], Iterator[ImageRef | Failed]] = iter,
    ) -> None:
        """Opens nothing yet.

        Args:
            arguments: URLs, files or folders; `-` is a list of lines on stdin.
            lists: Paths of lists; `-` again is stdin.
            settings: How to read lists, and which shard of all inputs to keep.
            stdin: Standard input.
            clock: Seconds, for timings and patience.
            patience_s: How long a disk may take to say whether a path is a folder, or what is in
                it.
            unfinished: Leaves out the inputs that an earlier run has finished.
        """
        self._lists = lists
        self._settings = settings
        self._stdin = stdin
        self._clock = clock
        self._patience_s = patience_s
        self._unfinished = unfinished
        self._index = 0
        self._steps: list[Iterator[_Found | _Path]] = [self._iter_given(arguments)]
        self._walked: tuple[_Path, int] | None = None  # with the index of what it will hold first
        self._list = ""
        self._reading_since_s: float | None = None
        self._lock = threading.Lock()  # of what follows
        self._look: _Look | None = None
        self._silent: Counter[str] = Counter()  # looks that were given up, by folder
        self._given_up: _Found | None = None

    def __iter__(self) -> Iterator[ImageRef | Failed]:
        """Yields what no earlier iteration has yielded.

        Raises:
            UsageError: ``usage.input_unreadable``, before the first input for a list that cannot
                be opened, between inputs for one that turns out broken.
            AbandonedError: `give_up_look` struck: another thread goes on.
        """
        return self._unfinished(self._iter_numbered())

    def waiting(self) -> Busy | None:
        """Returns what the disk or the list is asked for; for any thread."""
        now_s = self._clock()
        if (look := self._look) is not None:
            return Busy(look.at.source, Stage.FETCH, now_s - look.since_s)
        if (since_s := self._reading_since_s) is not None and self._list:
            return Busy(self._list, Stage.QUEUE, now_s - since_s)
        return None

    def give_up_look(self) -> bool:
        """Makes a path whose disk has not answered in time a failed input.

        Returns:
            Whether it did: then iterate anew, in another thread.
        """
        with self._lock:
            look = self._look
            if look is None:
                return False
            waited_s = self._clock() - look.since_s
            folder = os.path.dirname(look.at.path)  # noqa: PTH120 - takes any text
            # One that sits beside others without an answer is not waited for as long again.
            patience_s = _MOMENT_S if self._silent[folder] else self._patience_s
            if waited_s < min(patience_s, self._patience_s):
                return False
            self._look = None
            self._silent[folder] += 1
            message = f"The disk has not answered within {waited_s:.1f} s"
            self._given_up = _silent(look.at, message, look.since_s)
            return True

    def _iter_numbered(self) -> Iterator[ImageRef | Failed]:
        kept, count = self._settings.shard or (0, 1)
        for item in self._iter_found():
            index = self._index
            self._index += 1
            if index % count != kept:
                continue
            ref = ImageRef(index=index, source=item.source, kind=item.kind, id=item.id)
            if item.error is None:
                yield ref
                continue
            timings = Timings(self._clock() if item.since_s is None else item.since_s)
            if item.since_s is not None:
                timings = timings.mark(Stage.FETCH, self._clock())
            yield Failed(ref=ref, error=item.error, timings=timings)

    def _iter_found(self) -> Iterator[_Found]:
        if (given_up := self._given_up) is not None:
            self._given_up = None
            yield given_up
        while self._steps:
            self._reading_since_s = self._clock()
            step = next(self._steps[-1], None)
            self._reading_since_s = None
            if isinstance(step, _Found):
                yield step
            elif step is not None:
                if (found := self._look_at(step)) is not None:
                    yield found
            else:
                self._steps.pop()
                if len(self._steps) == 1 and (empty := self._empty_folder()) is not None:
                    yield empty

    def _look_at(self, step: _Path) -> _Found | None:
        """Returns the input that a path is; None for a folder, whose content is next."""
        folder = os.path.dirname(step.path)  # noqa: PTH120 - takes any text
        if self._silent and self._silent[folder] >= _MOST_SILENT:  # each of them holds a thread
            message = f"The disk has not answered for {_MOST_SILENT} others in this folder"
            return _silent(step, message, self._clock())
        self._look = look = _Look(step, self._clock())
        found: _Found | None = None
        try:
            if step.is_folder or is_folder(step.path):
                content = list_folder(step.path)
            else:
                found = _Found(step.source, SourceKind.FILE, step.id)
        except OSError as err:
            error = ErrorInfo.from_error(source_error(err))
            found = _Found(step.source, SourceKind.FILE, step.id, error)
        with self._lock:
            if self._look is not look:
                self._silent[folder] -= 1
                raise AbandonedError
            self._look = None
        if found is None:
            if len(self._steps) == 1:
                self._walked = step, self._index
            self._steps.append(_iter_paths(step, *content))
        return found

    def _empty_folder(self) -> _Found | None:
        """Returns the folder that was asked for as a failed input, if nothing was in it."""
        assert self._walked is not None  # noqa: S101 - set when its content was begun
        folder, first = self._walked
        if self._index > first:
            return None
        error = SourceError(ErrorCode.SOURCE_EMPTY, "The folder holds no pictures", attempts=0)
        return _Found(folder.source, SourceKind.FILE, folder.id, ErrorInfo.from_error(error))

    def _iter_given(self, arguments: Sequence[str]) -> Iterator[_Found | _Path]:
        for path in self._lists:
            if path != STDIN:
                self._list = path
                verify_list(path)
        self._list = ""
        for argument in arguments:
            if argument == STDIN:
                yield from self._iter_list(self._stdin, ListFormat.LINES, "stdin")
            else:
                yield _step(argument, None)
        for path in self._lists:
            if path == STDIN:
                yield from self._iter_list(self._stdin, ListFormat.LINES, "stdin")
                continue
            self._list = path
            with open_list(path) as stream:
                yield from self._iter_list(stream, list_format_of(path), path)
            self._list = ""

    def _iter_list(
        self, stream: BufferedIOBase, list_format: ListFormat, name: str
    ) -> Iterator[_Found | _Path]:
        for entry in iter_entries(stream, list_format, self._settings, name):
            if isinstance(entry, BadEntry):
                # The place stands for the row, which may be long, or hold half a URL with a
                # password.
                place = f"{name}:{entry.line}"
                yield _Found(place, SourceKind.FILE, entry.id, _bad_entry(entry, name))
            else:
                yield _step(entry.source, entry.id)


def _step(source: str, row_id: str | None) -> _Found | _Path:
    try:
        scheme = web_scheme(source)
        if scheme is None:
            return _Path(source, local_path(source), row_id)
        verify_web_url(source, scheme)
    except SourceError as err:
        return _Found(source, SourceKind.URL, row_id, ErrorInfo.from_error(err))
    return _Found(source, SourceKind.URL, row_id)


def _bad_entry(entry: BadEntry, name: str) -> ErrorInfo:
    return ErrorInfo(
        code=entry.code,
        message=f"Line {entry.line} of {name} {entry.reason}",
        attempts=0,
        details=(("list", name), ("line", entry.line)),
    )


def _silent(at: _Path, message: str, since_s: float) -> _Found:
    error = SourceError(ErrorCode.SOURCE_UNREADABLE, message, retryable=True)
    return _Found(at.source, SourceKind.FILE, at.id, ErrorInfo.from_error(error), since_s)


def _iter_paths(
    folder: _Path, names: list[str], folders: frozenset[str]
) -> Iterator[_Found | _Path]:
    for name in names:
        # pathlib would drop the "./" that the user typed
        path = os.path.join(folder.path, name)  # noqa: PTH118
        if name in folders:
            yield _Path(path, path, folder.id, is_folder=True)
        else:
            yield _Found(path, SourceKind.FILE, folder.id)
