"""Where the records of a run go, and in which form."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO

from birdcli.cli.installing import print_line
from birdcli.cli.run_id import new_run_id
from birdcli.errors import ErrorCode, UsageError
from birdcli.settings import Retry
from birdcli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from birdcli.items import Failed, ImageRef
    from birdcli.output.fingerprint import Setting
    from birdcli.output.session import Earlier, OutputSession
    from birdcli.streams import Streams
    from birdcli.writer import OutcomeWriter

# While libraries are kept off descriptor 1, these names would lead to the log.
_STDOUT_NAMES = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What the command line asks for; see `birdcli classify --help`."""

    path: Path | None
    form: str
    fresh: bool
    resume: bool
    retry: Retry
    top_k: int

    def __post_init__(self) -> None:
        """Refuses what contradicts itself."""
        continued = "--resume" if self.retry is Retry.NONE else "--retry-failed"
        if self.resumes and self.fresh:
            raise _bad(f"{continued} and --fresh contradict each other")
        if self.resumes and (self.path is None or self.is_stdout):
            raise _bad(f"{continued} needs --output FILE: a pipe cannot be continued")
        if self.resumes and self.form not in ("auto", "jsonl"):
            raise _bad(f"{continued} needs JSON lines, not --format {self.form}")

    @property
    def resumes(self) -> bool:
        """Whether an existing file is continued."""
        return self.resume or self.retry is not Retry.NONE

    @property
    def is_stdout(self) -> bool:
        """Whether records go to standard output, be it by one of its names."""
        return self.path is None or str(self.path) in _STDOUT_NAMES


def _bad(message: str) -> UsageError:
    return UsageError(ErrorCode.USAGE_BAD_FLAG, message)


class RunOutput:
    """The writer of a run, and the file behind it if there is one.

    Attributes:
        writer: Takes the outcomes.
        session: The file of JSON lines; None for other forms, pipes and standard output.
    """

    def __init__(
        self,
        options: OutputOptions,
        settings: Mapping[str, Setting],
        streams: Streams,
        *,
        table: bool,
    ) -> None:
        """Opens it.

        Args:
            options: Where and how.
            settings: All that decides answers besides the pictures, for the fingerprint.
            streams: Of this process.
            table: Whether standard output is a terminal.

        Raises:
            OutputError: It cannot be opened, or not continued.
            UsageError: ``usage.bad_flag`` for a pipe that is to be continued.
        """
        self._options = options
        self.session: OutputSession | None = None
        self.writer: OutcomeWriter = self._open(settings, streams, table=table)

    @property
    def earlier(self) -> Earlier | None:
        """What the file held before, if it is continued."""
        if self.session is None or not self._options.resumes:
            return None
        return self.session.earlier

    def unfinished(self, inputs: Iterator[ImageRef | Failed]) -> Iterator[ImageRef | Failed]:
        """Yields the inputs that have no record yet."""
        return inputs if self.session is None else self.session.unfinished(inputs)

    def close(self) -> None:
        """Ends the file: synced, what was tried again in its place; again does nothing.

        Raises:
            OutputError: Something did not reach the disk.
        """
        try:
            self.writer.close()
            if self.session is not None:
                self.session.finish()
        finally:
            self._release()

    def discard(self) -> None:
        """Takes back a file that was made for records and has none, for the next try."""
        self.writer.close()
        if self.session is not None:
            self.session.discard()
        elif self._options.path is not None and self._options.path.is_file():
            self._options.path.unlink()

    def _release(self) -> None:
        if self.session is not None:
            self.session.release()

    def _open(
        self, settings: Mapping[str, Setting], streams: Streams, *, table: bool
    ) -> OutcomeWriter:
        from birdcli.writer import CsvWriter, JsonLinesWriter

        options = self._options
        name = options.form
        if name == "auto":
            name = "table" if table else "jsonl"
        target, digest = self._open_target(settings, streams, records=name == "jsonl")
        if name == "csv":
            return CsvWriter(target, top_k=options.top_k)
        if name == "table":
            from birdcli.table import TableWriter, console_on

            console = console_on(open(target.fileno(), "w", closefd=False))  # noqa: SIM115
            return TableWriter(console, target, top_k=options.top_k)
        run = new_run_id(time.time(), secrets.randbits(80))
        return JsonLinesWriter(target, run=run, digest=digest)

    def _open_target(
        self, settings: Mapping[str, Setting], streams: Streams, *, records: bool
    ) -> tuple[BinaryIO, Callable[[str], str] | None]:
        from birdcli.output.file import is_stream, open_stream
        from birdcli.output.keys import input_digest
        from birdcli.output.session import open_plain, open_session

        options = self._options
        if options.path is None or options.is_stdout:
            # A descriptor of its own: the writer closes it.
            return os.fdopen(os.dup(streams.records.fileno()), "wb", buffering=0), None
        if is_stream(options.path):
            if options.resumes:
                raise _bad("a pipe or a device cannot be continued: --output needs a file")
            return open_stream(options.path), None
        if not records:
            return open_plain(options.path, fresh=options.fresh), None
        self.session = session = open_session(
            options.path,
            settings,
            resume=options.resumes,
            fresh=options.fresh,
            retry=options.retry,
        )
        salt = session.fingerprint.salt
        return session.target, lambda source: input_digest(source, salt)


def tell_earlier(earlier: Earlier, people: IO[str]) -> None:
    """Says what a file that is continued holds already, and what was wrong with it."""
    repair = earlier.repair
    if repair is not None and repair.damaged_lines:
        print_line(
            people,
            "birdcli: warning: "
            + counted(repair.damaged_lines, "damaged line was", "damaged lines were")
            + " taken out of the output; whatever has no record is done again",
        )
    if not earlier.done and not earlier.tried_again:
        return
    has = counted(earlier.done, "input has its record", "inputs have their records")
    text = f"birdcli: {has}"
    if earlier.tried_again:
        text += "; " + counted(
            earlier.tried_again, "that failed is tried again", "that failed are tried again"
        )
    print_line(people, text)
