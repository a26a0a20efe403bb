"""The parts of a run that are opened only if it needs them."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
import time
from typing import IO, TYPE_CHECKING

from birdcli.errors import ErrorCode, UsageError
from birdcli.inputs import Inputs
from birdcli.list_likeness import looks_like_header
from birdcli.sources import STDIN, is_folder
from birdcli.streams import line_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AsyncExitStack, ExitStack

    from birdcli.download_slot import DownloadSlot
    from birdcli.hosts import Hosts
    from birdcli.items import Failed, FetchedImage, ImageRef, Timings, Unread, Validators
    from birdcli.ports import DecodedPixels, Decoder, Fetcher
    from birdcli.progress import LiveProgress
    from birdcli.settings import DecodeSettings, FetchSettings, ListSettings

_log = logging.getLogger(__name__)


class LazyFetcher:
    """Opened with the first URL: a run over files never imports an HTTP library."""

    def __init__(
        self, stack: AsyncExitStack, settings: FetchSettings, hosts: Hosts[Unread]
    ) -> None:
        """Opens nothing yet; `stack` will close what is opened."""
        self._stack = stack
        self._settings = settings
        self._hosts = hosts
        self._opened: asyncio.Future[Fetcher] | None = None

    async def fetch(
        self,
        ref: ImageRef,
        timings: Timings,
        *,
        known: Validators | None = None,
        slot: DownloadSlot | None = None,
    ) -> FetchedImage:
        """Returns the bytes of one URL; see `Fetcher`."""
        if self._opened is None:
            self._opened = asyncio.ensure_future(self._open())
        fetcher = await self._opened
        return await fetcher.fetch(ref, timings, known=known, slot=slot)

    async def _open(self) -> Fetcher:
        from birdcli.fetch import open_http_fetcher

        return await self._stack.enter_async_context(
            open_http_fetcher(self._settings, hosts=self._hosts)
        )


def patience_s(fetch: FetchSettings, decode: DecodeSettings, *, workers: int) -> float:
    """Returns for how long one input may be read and decoded until its thread counts as stuck.

    `--deadline` for the disk, and then all that a picture may wait for in good order: a process
    that is busy with another until that one's deadline, the pictures of all processes that are
    tried once more alone, two tries of its own, and again as many alone, its own among them.
    """
    return fetch.deadline_s + (3 + 2 * workers) * decode.timeout_s


def open_decoder(
    settings: DecodeSettings, inputs: Sequence[str], lists: Sequence[str], *, workers: int
) -> Decoder:
    """Returns processes to decode in; for one picture alone, none are worth starting.

    Args:
        settings: Size, recipe and limits of every picture.
        inputs: The arguments.
        lists: Paths of lists.
        workers: How many processes.
    """

    def here() -> Decoder:
        from birdcli.decode import PillowDecoder

        return PillowDecoder(settings)

    def elsewhere() -> Decoder:
        from birdcli.isolated_decode import DecodePool

        return DecodePool(settings, workers=workers)

    if os.name != "posix":
        return here()
    if len(inputs) != 1 or lists or inputs[0] == STDIN:
        return elsewhere()
    return LateDecoder(lambda: elsewhere() if is_folder(inputs[0]) else here())


class LateDecoder:
    """Chosen with the first picture, in the thread that has read it from its disk.

    Looking whether the only input is a folder may take for ever, and nothing could stop a program
    whose main thread does so.
    """

    def __init__(self, choose: Callable[[], Decoder]) -> None:
        """Chooses nothing yet."""
        self._choose = choose
        self._choosing = threading.Lock()
        self._chosen: Decoder | None = None

    def decode(self, data: bytes) -> DecodedPixels:
        """Returns the pixels of one encoded file; see `Decoder`."""
        with self._choosing:
            if self._chosen is None:
                self._chosen = self._choose()
        return self._chosen.decode(data)

    def close(self) -> None:
        """Ends what decodes; see `Decoder`."""
        if self._chosen is not None:
            self._chosen.close()


def open_inputs(
    inputs: Sequence[str],
    lists: Sequence[str],
    settings: ListSettings,
    *,
    patience_s: float,
    unfinished: Callable[[Iterator[ImageRef | Failed]], Iterator[ImageRef | Failed]],
) -> Inputs:
    """Returns the inputs of a run; see `Inputs`.

    Raises:
        UsageError: ``usage.input_unreadable``.
    """
    wanted = STDIN in inputs or STDIN in lists
    return Inputs(
        inputs,
        lists,
        settings,
        stdin=_open_stdin() if wanted else io.BytesIO(),
        clock=time.perf_counter,
        patience_s=patience_s,
        unfinished=unfinished,
    )


def show_progress(
    stack: ExitStack,
    people: IO[str],
    inputs: Sequence[str],
    lists: Sequence[str],
    settings: ListSettings,
    *,
    enabled: bool,
) -> LiveProgress:
    """Returns the line that says how far a run is; the stack removes it.

    Args:
        stack: Of the run.
        people: Who reads it.
        inputs: The arguments.
        lists: Paths of lists.
        settings: How they are read.
        enabled: Whether there is such a line.
    """
    from birdcli.progress import LiveProgress
    from birdcli.table import console_on

    console = console_on(people)
    if not enabled:
        return LiveProgress(console, enabled=False)
    from birdcli.list_length import EstimatedLength

    length = EstimatedLength(inputs, lists, settings)
    stack.enter_context(line_below(people))
    progress = LiveProgress(console, enabled=True, estimate=lambda: length.inputs)
    return stack.enter_context(progress)


def _open_stdin() -> io.BufferedReader:
    """Opens standard input anew: `sys.stdin` would be closed under the feet of its reader."""
    try:
        os.set_blocking(0, True)  # an empty read of a non-blocking pipe would look like its end
        return _Stdin(io.FileIO(0, "rb", closefd=False))
    except OSError as err:
        raise UsageError(
            ErrorCode.USAGE_INPUT_UNREADABLE, f"standard input cannot be read: {err.strerror}"
        ) from err


class _Stdin(io.BufferedReader):
    """Standard input; says so if what comes is a table, which it is not read as."""

    _begun = False

    def read1(self, size: int = -1, /) -> bytes:
        """Reads what is there."""
        data = super().read1(size)
        if not self._begun:
            self._begun = True
            if looks_like_header(data.partition(b"\n")[0]):
                _log.warning(
                    "standard input is read as lines, and begins like a table: "
                    "-f FILE.csv reads its columns"
                )
        return data
