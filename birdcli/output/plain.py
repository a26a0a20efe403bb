"""A file of something else than JSON lines, which cannot be continued."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from birdcli.output.beginning import Beginning, open_new
from birdcli.output.file import open_records

if TYPE_CHECKING:
    from birdcli.output.destination import File


class PlainOutput:
    """The output of one run.

    Attributes:
        target: Where everything goes; its owner closes it before `finish` or `discard`.
    """

    def __init__(self, file: File, *, fresh: bool) -> None:
        """Opens it.

        Args:
            file: Where it is or will be.
            fresh: Whether what it holds may be thrown away, with the first bytes.

        Raises:
            OutputError: ``output.exists``, ``output.in_use``, ``output.unwritable`` or
                ``output.disk_full``.
        """
        descriptor = open_records(file.path) if fresh else open_new(file, resumable=False)
        self._beginning = Beginning(file.path, descriptor, new=file.found is None)
        self.target: BinaryIO = self._beginning.open_target()

    @property
    def begun(self) -> bool:
        """Whether what the file held is gone."""
        return self._beginning.begun

    def finish(self) -> None:
        """Ends the file, which is there even if nothing was written.

        Raises:
            OutputError: ``output.unwritable`` or ``output.disk_full``.
        """
        try:
            self._beginning.begin()
        finally:
            self.release()

    def discard(self) -> None:
        """Leaves everything as it was, if nothing was written."""
        self._beginning.discard()

    def release(self) -> None:
        """Lets others write the file; again does nothing."""
        self._beginning.close()
