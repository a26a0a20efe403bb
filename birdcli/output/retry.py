"""Records of a second try, kept beside a file until they replace those of the first."""

from __future__ import annotations

import shutil
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from birdcli.errors import OutputError
from birdcli.files import sync_folder
from birdcli.output.counting import KeyCounts
from birdcli.output.destination import unwritable
from birdcli.output.doubles import Doubles
from birdcli.output.file import rewritten
from birdcli.output.keys import key_of_record
from birdcli.output.lines import head_of, iter_lines
from birdcli.output.repair import read_and_repair
from birdcli.outside_text import visible_text
from birdcli.settings import Retry

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from birdcli.output.lines import RecordHead


def is_tried_again(head: RecordHead, retry: Retry) -> bool:
    """Tells whether the input of a record is tried again."""
    if head.error is None or retry is Retry.NONE:
        return False
    return retry is Retry.ALL or head.error.retryable


def retry_path(output: Path, retry: Retry = Retry.RETRYABLE) -> Path:
    """Returns where the records of a second try are until the end of the run.

    The name tells which failures they replace, which a later run has to know.
    """
    suffix = ".retry-all" if retry is Retry.ALL else ".retry"
    return output.with_name(output.name + suffix)


def drop_retried(output: Path) -> None:
    """Removes what a second try left beside a file that begins anew."""
    for retry in (Retry.RETRYABLE, Retry.ALL):
        retry_path(output, retry).unlink(missing_ok=True)


def merge_retried(output: Path, *, locks: list[int]) -> None:
    """Puts the records of a second try in the place of the errors of the first.

    The file is written anew beside itself, so that it is whole at every moment: with the old
    records of all, or with the new ones of those that were tried again. A second try that was put
    in place already, by a run that was killed right after it, is not put there twice.

    Args:
        output: The file.
        locks: Gets its lock if it was written anew.

    Raises:
        OutputError: ``output.disk_full`` or ``output.unwritable`` if that cannot be done now, and
            ``output.not_resumable`` if what is there is no file of records.
    """
    for retry in (Retry.RETRYABLE, Retry.ALL):
        retried = retry_path(output, retry)
        if not retried.exists():
            continue
        try:
            _merge(output, retried, retry, locks)
            retried.unlink()
            sync_folder(output.parent)
        except OSError as err:
            raise _not_merged(output, retried, err) from err


def _not_merged(output: Path, retried: Path, err: OSError) -> OutputError:
    fault = unwritable(output, err)
    beside = _count_lines(retried)
    return OutputError(
        fault.code,
        f"{fault.message}; {_count_lines(output):,} records are safe in it, and the {beside:,} of "
        f"what was tried again beside it, in {visible_text(retried.name)}",
        hint="Make room for a copy of it, then --resume puts them into their place.",
        path=str(output),
    )


def _count_lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except OSError:
        return 0


class _MergedAlreadyError(Exception):
    """The file holds records of the run that tried again, and that run wrote only beside it."""


def _merge(output: Path, retried: Path, retry: Retry, locks: list[int]) -> None:
    counts, runs = KeyCounts(), set[str]()

    def count(head: RecordHead) -> None:
        counts.add_all([key_of_record(head)])
        runs.add(head.run)

    try:
        if read_and_repair(retried, count, locks=locks).records:
            with suppress(_MergedAlreadyError):
                _replace(output, retried, retry, counts, runs, locks)
    finally:
        counts.close()


def _replace(
    output: Path,
    retried: Path,
    retry: Retry,
    counts: KeyCounts,
    runs: Container[str],
    locks: list[int],
) -> None:
    with (
        output.open("rb") as old,
        retried.open("rb") as new,
        rewritten(output, locks) as out,
        closing(Doubles(output)) as doubles,
    ):
        for line in iter_lines(old):
            head = head_of(line)
            if head is None or doubles.is_double(line, head):
                continue  # torn or damaged: its input is done again
            if head.run in runs:
                raise _MergedAlreadyError
            if not (is_tried_again(head, retry) and counts.take(key_of_record(head))):
                out.write(line.data)
        shutil.copyfileobj(new, out)
