"""A file of records from the start of a run to its end, continued where an earlier run stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from birdcli.errors import ErrorCode, OutputError
from birdcli.items import Failed
from birdcli.output.authorship import looks_like_ours
from birdcli.output.beginning import Beginning, open_new
from birdcli.output.companions import begun_beside, companions_of, verify_companions
from birdcli.output.counting import KeyCounts
from birdcli.output.destination import unwritable
from birdcli.output.file import SyncedFile, open_records
from birdcli.output.fingerprint import (
    fingerprint_path,
    load_fingerprint,
    new_fingerprint,
    verify_same_settings,
)
from birdcli.output.keys import key_of_input, key_of_record
from birdcli.output.repair import read_and_repair
from birdcli.output.retry import is_tried_again, merge_retried, retry_path
from birdcli.outside_text import visible_text
from birdcli.settings import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from birdcli.items import ImageRef
    from birdcli.output.destination import File
    from birdcli.output.fingerprint import Fingerprint, Setting
    from birdcli.output.lines import RecordHead
    from birdcli.output.repair import Repair


@dataclass(slots=True)
class Earlier:
    """What a file held before this run.

    Attributes:
        named: Records with an answer.
        failed: Records of failures that are not tried again.
        tried_again: Records of failures that are, if their inputs are named once more.
        named_again: How many of those inputs have been named so far.
        repair: What was wrong with the file, or None if there was none.
    """

    named: int = 0
    failed: int = 0
    tried_again: int = 0
    named_again: int = 0
    repair: Repair | None = None

    @property
    def done(self) -> int:
        """Records whose inputs need no work."""
        return self.named + self.failed

    @property
    def records(self) -> int:
        """All of them."""
        return self.done + self.tried_again

    def keep_unnamed(self) -> int:
        """Counts failures that nobody named once more as done, once all inputs are known.

        Returns:
            How many there are.
        """
        unnamed = self.tried_again - self.named_again
        self.tried_again -= unnamed
        self.failed += unnamed
        return unnamed


@dataclass(slots=True)
class OutputSession:
    """The output of one run.

    Attributes:
        target: Where records go; the session's owner closes it before `finish`.
        fingerprint: Of the file.
        earlier: What the file held before.
    """

    target: BinaryIO
    fingerprint: Fingerprint
    path: Path
    earlier: Earlier = field(default_factory=Earlier)
    _beginning: Beginning | None = None
    _done: KeyCounts | None = None
    _again: KeyCounts | None = None
    _locks: list[int] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether what the file held is gone, or continued."""
        return self._beginning is None or self._beginning.begun

    def unfinished(self, inputs: Iterator[ImageRef | Failed]) -> Iterator[ImageRef | Failed]:
        """Yields the inputs without a record, each as soon as it is known."""
        if self._done is None:
            yield from inputs
            return
        for item in inputs:
            ref = item.ref if isinstance(item, Failed) else item
            key = key_of_input(ref, self.fingerprint.salt)
            if self._done.take(key):
                continue
            if self._again is not None and self._again.take(key):
                self.earlier.named_again += 1
            yield item

    def finish(self) -> None:
        """Ends the file, which is there even without a record; after the target is closed.

        Raises:
            OutputError: What was tried again cannot be put into its place now; the next run with
                ``--resume`` does it.
        """
        try:
            if self._beginning is not None:
                self._beginning.begin()
            merge_retried(self.path, locks=self._locks)
        finally:
            self.release()

    def discard(self) -> None:
        """Leaves everything as it was, if no record was written; after the target is closed."""
        if self._beginning is None:
            self.finish()
        else:
            self._beginning.discard()

    def release(self) -> None:
        """Lets others write the file; again does nothing."""
        if self._beginning is not None:
            self._beginning.close()
        while self._locks:
            os.close(self._locks.pop())
        for counts in (self._done, self._again):
            if counts is not None:
                counts.close()
        self._done = self._again = None


def open_session(
    file: File, settings: Mapping[str, Setting], *, resume: bool, fresh: bool, retry: Retry
) -> OutputSession:
    """Opens a file of records, as it is asked for.

    Args:
        file: Where it is or will be.
        settings: All that decides answers besides the pictures.
        resume: Whether an existing file is continued.
        fresh: Whether an existing file is thrown away, with the first record.
        retry: Which failures of an existing file are tried again.

    Raises:
        OutputError: ``output.exists``, ``settings_differ``, ``not_resumable``, ``in_use``,
            ``unwritable`` or ``disk_full``.
    """
    path = file.path
    beside = companions_of(path)
    verify_companions(path)
    if resume or fresh:
        locks = [open_records(path, beside=beside)]
    else:
        locks = [open_new(file, resumable=True, beside=beside)]
    try:
        if resume and os.fstat(locks[0]).st_size:
            return _continued(path, locks, settings, retry)
    except BaseException as err:
        for descriptor in locks:
            os.close(descriptor)
        if isinstance(err, OSError):
            raise unwritable(path, err) from err
        raise
    fingerprint = new_fingerprint(settings)
    beginning = Beginning(
        path,
        locks[0],
        new=file.found is None,
        change_beside=lambda: begun_beside(path, fingerprint),
    )
    return OutputSession(beginning.open_target(), fingerprint, path, _beginning=beginning)


def _continued(
    path: Path, locks: list[int], settings: Mapping[str, Setting], retry: Retry
) -> OutputSession:
    fingerprint = load_fingerprint(path)
    if fingerprint is None:
        raise OutputError(
            ErrorCode.OUTPUT_NOT_RESUMABLE,
            f"{visible_text(str(fingerprint_path(path)))} is missing or damaged, so nobody knows "
            f"which settings {visible_text(path.name)} was made with",
            hint="Choose another --output, or throw the file away with --fresh."
            if looks_like_ours(path)
            else "Choose another --output: birdcli did not write this file.",
            path=str(path),
        )
    verify_same_settings(path, fingerprint.settings, settings)
    merge_retried(path, locks=locks)
    earlier, done = Earlier(), KeyCounts()
    again = KeyCounts() if retry is not Retry.NONE else None

    def count(head: RecordHead) -> None:
        if again is not None and is_tried_again(head, retry):
            again.add_all([key_of_record(head)])
            earlier.tried_again += 1
            return
        done.add_all([key_of_record(head)])
        if head.error is None:
            earlier.named += 1
        else:
            earlier.failed += 1

    earlier.repair = read_and_repair(path, count, locks=locks)
    os.lseek(locks[-1], 0, os.SEEK_END)  # one that was written anew does not append by itself
    if retry is not Retry.NONE:
        locks.append(open_records(retry_path(path, retry)))
    return OutputSession(
        cast("BinaryIO", SyncedFile(os.dup(locks[-1]))),
        fingerprint,
        path,
        earlier,
        _done=done,
        _again=again,
        _locks=locks,
    )
