"""Where the records of a run go, and in which form."""

from __future__ import annotations

import os
import secrets
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Self

from birdcli.cli.installing import print_line
from birdcli.cli.run_id import new_run_id
from birdcli.errors import ErrorCode, UsageError
from birdcli.output.destination import (
    Descriptor,
    Destination,
    File,
    Stream,
    find_destination,
    unwritable,
)
from birdcli.outside_text import visible_text
from birdcli.settings import Retry
from birdcli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from birdcli.items import Failed, ImageRef
    from birdcli.output.fingerprint import Setting
    from birdcli.output.plain import PlainOutput
    from birdcli.output.session import Earlier, OutputSession
    from birdcli.streams import Streams
    from birdcli.writer import OutcomeWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What the command line asks for; see `birdcli classify --help`.

    Attributes:
        read: The inputs and lists that were named.
    """

    path: Path | None
    form: str
    fresh: bool
    resume: bool
    retry: Retry
    top_k: int
    read: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what contradicts itself."""
        continued = "--resume" if self.retry is Retry.NONE else "--retry-failed"
        if self.resumes and self.fresh:
            raise _bad(f"{continued} and --fresh contradict each other")
        if self.resumes and not isinstance(self.destination(), File):
            raise _bad(f"{continued} needs --output FILE: a pipe or a device cannot be continued")
        if self.path is not None and self.path.suffix.lower() in _PACKED:
            raise _packed(self.path)
        if self.resumes and self.form not in ("auto", "jsonl"):
            raise _bad(f"{continued} needs JSON lines, not --format {self.form}")

    @property
    def resumes(self) -> bool:
        """Whether an existing file is continued."""
        return self.resume or self.retry is not Retry.NONE

    @property
    def is_stdout(self) -> bool:
        """Whether records go to standard output, be it by one of its names."""
        return self.destination() == Descriptor(1)

    def destination(self) -> Destination:
        """Returns where records go.

        Raises:
            OutputError: ``output.unwritable``: nowhere.
        """
        return find_destination(self.path)


def _bad(message: str, *, hint: str = "") -> UsageError:
    return UsageError(ErrorCode.USAGE_BAD_FLAG, message, hint=hint)


def _packed(path: Path) -> UsageError:
    name, tool = visible_text(str(path)), _PACKED[path.suffix.lower()]
    return _bad(
        f"{name} would hold plain text under the name of a packed file",
        hint=f"Leave out --output and append: | {tool} > {shlex.quote(name)}",
    )


_PACKED: Final = {
    ".gz": "gzip",
    ".bz2": "bzip2",
    ".xz": "xz",
    ".zst": "zstd",
}


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
        self._streams = streams
        self.session: OutputSession | None = None
        self._file: OutputSession | PlainOutput | None = None
        self._discarded = False
        self._target: BinaryIO
        self.writer: OutcomeWriter = self._open(settings, table=table)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the file, or leaves everything as it was if the run failed before its first record.

        Raises:
            OutputError: See `close`.
        """
        if kind is None:
            self.close()
        else:
            self.discard()

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
        if self._discarded:
            return
        file, self._file = self._file, None
        try:
            self.writer.close()
            if file is not None:
                file.finish()
        finally:
            if file is not None:
                file.release()

    def discard(self) -> None:
        """Ends the file; one without a record is left as it was before the run.

        Raises:
            OutputError: See `close`.
        """
        if self._file is None or self._file.begun:
            self.close()
            return
        self._discarded = True
        self._target.close()  # past the writer, which might have a header to write
        self._file.discard()

    def _open(self, settings: Mapping[str, Setting], *, table: bool) -> OutcomeWriter:
        from birdcli.output.keys import input_digest
        from birdcli.writer import CsvWriter, JsonLinesWriter

        name = self._options.form
        if name == "auto":
            name = "table" if table else "jsonl"
        self._target = target = self._open_target(settings, records=name == "jsonl")
        if name == "csv":
            return CsvWriter(target, top_k=self._options.top_k)
        if name == "table":
            from birdcli.table import TableWriter, console_on

            console = console_on(open(target.fileno(), "w", closefd=False))  # noqa: SIM115
            return TableWriter(console, target, top_k=self._options.top_k)
        run = new_run_id(time.time(), secrets.randbits(80))
        if self.session is None:
            return JsonLinesWriter(target, run=run)
        salt = self.session.fingerprint.salt
        return JsonLinesWriter(
            target,
            run=run,
            digest=lambda source: input_digest(source, salt),
            earlier=self.session.earlier.records,
        )

    def _open_target(self, settings: Mapping[str, Setting], *, records: bool) -> BinaryIO:
        from birdcli.output.file import open_stream
        from birdcli.output.overlap import verify_apart
        from birdcli.output.plain import PlainOutput
        from birdcli.output.session import open_session

        options = self._options
        destination = options.destination()
        if isinstance(destination, Descriptor):
            return self._open_descriptor(destination.number)
        if isinstance(destination, Stream):
            return open_stream(destination.path)
        verify_apart(destination, options.read)
        if not records:
            self._file = plain = PlainOutput(destination, fresh=options.fresh)
            return plain.target
        self._file = self.session = session = open_session(
            destination,
            settings,
            resume=options.resumes,
            fresh=options.fresh,
            retry=options.retry,
        )
        return session.target

    def _open_descriptor(self, number: int) -> BinaryIO:
        from birdcli.output.overlap import verify_descriptor_apart

        try:
            # One of its own: the writer closes it.
            descriptor = self._streams.given(number)
        except OSError as err:
            raise unwritable(self._options.path or Path("-"), err) from err
        target = os.fdopen(descriptor, "wb", buffering=0)
        verify_descriptor_apart(descriptor, self._options.read)
        return target


def tell_earlier(earlier: Earlier, people: IO[str]) -> None:
    """Says what a file that is continued holds already, and what was wrong with it."""
    repair = earlier.repair
    if repair is not None and repair.damaged_lines:
        print_line(
            people,
            "birdcli: warning: "
            + counted(
                repair.damaged_lines, "damaged or doubled line was", "damaged or doubled lines were"
            )
            + " taken out of the output; inputs that have no record now are done again",
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
