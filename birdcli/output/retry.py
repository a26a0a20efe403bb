"""Records of a second try, kept beside a file until they replace those of the first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from birdcli.files import atomic_writer, sync_folder
from birdcli.output.counting import KeyCounts
from birdcli.output.keys import key_of_record
from birdcli.output.lines import head_of, iter_lines
from birdcli.output.repair import read_and_repair
from birdcli.settings import Retry

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.output.lines import RecordHead


def is_tried_again(head: RecordHead, retry: Retry) -> bool:
    """Tells whether the input of a record is tried again."""
    if head.error is None or retry is Retry.NONE:
        return False
    return retry is Retry.ALL or head.error.retryable


def retry_path(output: Path) -> Path:
    """Returns where the records of a second try are until the end of the run."""
    return output.with_name(output.name + ".retry")


def merge_retried(output: Path) -> int:
    """Puts the records of a second try in the place of the errors of the first.

    The file is written anew beside itself, so that it is whole at every moment: with the old
    records of all, or with the new ones of those that were tried again.

    Returns:
        How many records there were; 0 also if there was no second try.

    Raises:
        OutputError: ``output.not_resumable`` if what is there is no file of records.
        OSError: There is no room, or the folder cannot be written.
    """
    retried = retry_path(output)
    if not retried.exists():
        return 0
    counts = KeyCounts()
    try:
        found = read_and_repair(retried, lambda head: counts.add_all([key_of_record(head)]))
        if found.records:
            _replace(output, retried, counts)
    finally:
        counts.close()
    retried.unlink()
    sync_folder(output.parent)
    return found.records


def _replace(output: Path, retried: Path, counts: KeyCounts) -> None:
    with output.open("rb") as old, retried.open("rb") as new, atomic_writer(output) as out:
        for line in iter_lines(old):
            head = head_of(line)
            superseded = head is not None and head.error is not None
            if not (superseded and counts.take(key_of_record(head))):  # type: ignore[arg-type]
                out.write(line.data)
        for line in iter_lines(new):
            out.write(line.data)
        os.fchmod(out.fileno(), output.stat().st_mode & 0o777)
