"""A file of records from the start of a run to its end, continued where an earlier run stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from birdcli.errors import ErrorCode, OutputError
from birdcli.items import Failed
from birdcli.output.counting import KeyCounts
from birdcli.output.file import SyncedFile, open_records, unwritable
from birdcli.output.fingerprint import (
    fingerprint_path,
    load_fingerprint,
    new_fingerprint,
    store_fingerprint,
    verify_same_settings,
)
from birdcli.output.keys import key_of_input, key_of_record
from birdcli.output.repair import read_and_repair
from birdcli.output.retry import drop_retried, is_tried_again, merge_retried, retry_path
from birdcli.outside_text import visible_text
from birdcli.settings import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from birdcli.items import ImageRef
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
    _done: KeyCounts | None = None
    _again: KeyCounts | None = None
    _locks: list[int] = field(default_factory=list)

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
        """Puts what was tried again into its place; after the target is closed.

        Raises:
            OutputError: That cannot be done now; the next run with ``--resume`` does it.
        """
        try:
            merge_retried(self.path, locks=self._locks)
        except OSError as err:
            raise unwritable(self.path, err) from err
        finally:
            self.release()

    def discard(self) -> None:
        """Takes back a file that has no record; after the target is closed."""
        if self.path.exists() and self.path.stat().st_size == 0:
            self.path.unlink()
            fingerprint_path(self.path).unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Lets others write the file; again does nothing."""
        while self._locks:
            os.close(self._locks.pop())
        for counts in (self._done, self._again):
            if counts is not None:
                counts.close()
        self._done = self._again = None


def open_session(
    path: Path, settings: Mapping[str, Setting], *, resume: bool, fresh: bool, retry: Retry
) -> OutputSession:
    """Opens a file of records, as it is asked for.

    Args:
        path: The file.
        settings: All that decides answers besides the pictures.
        resume: Whether an existing file is continued.
        fresh: Whether an existing file is thrown away.
        retry: Which failures of an existing file are tried again.

    Raises:
        OutputError: ``output.exists``, ``settings_differ``, ``not_resumable``, ``in_use``,
            ``unwritable`` or ``disk_full``.
    """
    if not (resume or fresh) and (path.exists() or path.is_symlink()):
        hint = "Continue it with --resume, throw it away with --fresh, or choose another name."
        raise _exists(path, hint)
    new = not path.exists()
    path = path.resolve()  # what is written anew must take the place of the file, not of a link
    locks = [open_records(path)]
    try:
        if resume and os.fstat(locks[0]).st_size:
            return _continued(path, locks, settings, retry)
        return _begun(path, locks, settings)
    except BaseException as err:
        if new:
            path.unlink(missing_ok=True)
        for descriptor in locks:
            os.close(descriptor)
        if isinstance(err, OSError):
            raise unwritable(path, err) from err
        raise


def open_plain(path: Path, *, fresh: bool) -> BinaryIO:
    """Opens a file for something else than JSON lines, which cannot be continued.

    Args:
        path: The file.
        fresh: Whether what it holds may be thrown away (it is, at once).

    Raises:
        OutputError: ``output.exists``, ``output.in_use``, ``output.unwritable`` or
            ``output.disk_full``.
    """
    if not fresh and (path.exists() or path.is_symlink()):
        raise _exists(path, "Throw it away with --fresh, or choose another name.")
    descriptor = open_records(path)
    os.ftruncate(descriptor, 0)
    return _synced(descriptor)


def _begun(path: Path, locks: list[int], settings: Mapping[str, Setting]) -> OutputSession:
    os.ftruncate(locks[0], 0)
    drop_retried(path)
    fingerprint = new_fingerprint(settings)
    store_fingerprint(path, fingerprint)  # before the first record
    return OutputSession(_synced(os.dup(locks[0])), fingerprint, path, _locks=locks)


def _continued(
    path: Path, locks: list[int], settings: Mapping[str, Setting], retry: Retry
) -> OutputSession:
    fingerprint = load_fingerprint(path)
    if fingerprint is None:
        raise OutputError(
            ErrorCode.OUTPUT_NOT_RESUMABLE,
            f"{visible_text(str(fingerprint_path(path)))} is missing or damaged, so nobody knows "
            f"which settings {visible_text(path.name)} was made with",
            hint="Choose another --output, or throw the file away with --fresh.",
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
        _synced(os.dup(locks[-1])),
        fingerprint,
        path,
        earlier,
        _done=done,
        _again=again,
        _locks=locks,
    )


def _synced(descriptor: int) -> BinaryIO:
    return cast("BinaryIO", SyncedFile(descriptor))


def _exists(path: Path, hint: str) -> OutputError:
    return OutputError(
        ErrorCode.OUTPUT_EXISTS,
        f"{visible_text(str(path))} exists already",
        hint=hint,
        path=str(path),
    )
