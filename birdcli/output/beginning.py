"""A file that becomes an output with its first record, and stays what it was until then."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

from birdcli.errors import ErrorCode, OutputError
from birdcli.output.authorship import looks_like_ours
from birdcli.output.destination import unwritable
from birdcli.output.file import SyncedFile, is_still, open_records
from birdcli.outside_text import visible_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from birdcli.output.destination import File


class Beginning:
    """An empty file in the place of what a path held, from the first record on.

    Until then a wrong list, a model that cannot be loaded or Ctrl-C costs nothing: what was there
    is there still, and where nothing was, nothing is left.

    Attributes:
        begun: Whether it was emptied.
    """

    def __init__(
        self,
        path: Path,
        descriptor: int,
        *,
        new: bool,
        change_beside: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Takes over a file.

        Args:
            path: The file, no link to it.
            descriptor: Of `open_records`.
            new: Whether there was none before.
            change_beside: Puts the files beside it in order. It is entered before what the file
                holds is thrown away, and left when that is on the disk.
        """
        self.begun = False
        self._path = path
        self._descriptor = descriptor
        self._new = new
        self._change_beside = change_beside
        self._closed = False

    def open_target(self) -> BinaryIO:
        """Returns where the records go; whoever writes them closes it before this."""
        target = SyncedFile(os.dup(self._descriptor), before_first=self.begin)
        return cast("BinaryIO", target)

    def begin(self) -> None:
        """Empties the file; again, or when it is closed, does nothing.

        Raises:
            OutputError: ``output.unwritable`` or ``output.disk_full``.
        """
        if self.begun or self._closed:
            return
        try:
            with self._change_beside():
                os.ftruncate(self._descriptor, 0)
                # Old content beside a new fingerprint would be continued as if it were its own.
                os.fsync(self._descriptor)
        except OSError as err:
            raise unwritable(self._path, err) from err
        self.begun = True

    def discard(self) -> None:
        """Removes the file if it was made in vain, and lets go of it."""
        if self._new and not (self.begun or self._closed):
            with suppress(OSError):  # an empty file that stays is the smaller harm
                if is_still(self._path, self._descriptor) and _is_empty(self._descriptor):
                    self._path.unlink()
        self.close()

    def close(self) -> None:
        """Lets others write the file; again does nothing."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)


def open_new(file: File, *, resumable: bool, beside: Sequence[Path] = ()) -> int:
    """Opens a file that must not be there yet; see `open_records`.

    Raises:
        OutputError: ``output.exists``, ``output.in_use``, ``output.unwritable`` or
            ``output.disk_full``.
    """
    _verify_missing(file, resumable=resumable)
    descriptor = open_records(file.path, beside=beside)
    if not _is_empty(descriptor):  # another run began and ended since we looked
        os.close(descriptor)
        _verify_missing(replace(file, linked=True), resumable=resumable)
    return descriptor


def _is_empty(descriptor: int) -> bool:
    return os.fstat(descriptor).st_size == 0


def _verify_missing(file: File, *, resumable: bool) -> None:
    """Raises if there is a file, or a link to where there may be one.

    Raises:
        OutputError: ``output.exists``.
    """
    if file.found is None and not file.linked:
        return
    if file.found is not None and not looks_like_ours(file.path):
        hint = "Choose another name: birdcli did not write this file."
    elif resumable:
        hint = "Continue it with --resume, throw it away with --fresh, or choose another name."
    else:
        hint = "Throw it away with --fresh, or choose another name."
    raise OutputError(
        ErrorCode.OUTPUT_EXISTS,
        f"{visible_text(str(file.path))} exists already",
        hint=hint,
        path=str(file.path),
    )
