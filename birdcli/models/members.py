"""Members of an archive, counted while they are read."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.member_names import archive_unsafe

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 1 << 16
LARGEST_READ = 4 << 20
"""More than any honest header or table of contents of 10,000 members holds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One file or folder on its way out of an archive.

    Attributes:
        name: As it stands in the archive, unchecked.
        is_folder: Folders have no chunks.
        chunks: The content; to be read before the next member is asked for.
    """

    name: str
    is_folder: bool
    chunks: Iterator[bytes]


class Budget:
    """How many bytes an archive may still become, whatever its headers say."""

    def __init__(
        self, *, max_bytes: int, max_ratio: int, ratio_from_bytes: int, archive_bytes: int
    ) -> None:
        """Starts with nothing spent; see `ArchiveLimits` for the limits."""
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self._ratio_from_bytes = ratio_from_bytes
        self._archive_bytes = archive_bytes
        self._spent = 0

    def spend(self, count: int, member: str) -> None:
        """Counts unpacked bytes.

        Raises:
            ModelError: ``model.archive_unsafe`` past a limit, naming the member.
        """
        self._spent += count
        if self._spent > self._max_bytes:
            raise archive_unsafe(member, f"unpacks to more than {self._max_bytes:,} bytes in total")
        if (
            self._spent > self._ratio_from_bytes
            and self._spent > self._max_ratio * self._archive_bytes
        ):
            raise archive_unsafe(
                member, f"is a bomb: it unpacks to over {self._max_ratio} times its size"
            )


def archive_broken(why: str) -> ModelError:
    """Returns the error for an archive that is damaged rather than hostile."""
    return ModelError(
        ErrorCode.MODEL_SOURCE_UNREADABLE,
        f"the archive cannot be read: {why}",
        hint="It may be cut or damaged: get it again.",
    )


@contextmanager
def parsing_hostile_bytes() -> Iterator[None]:
    """Turns whatever a parser of archives meets into ``model.source_unreadable``."""
    try:
        yield
    except ModelError:
        raise
    except Exception as err:  # what zipfile, tarfile and zlib raise on hostile bytes has no list
        raise archive_broken(f"{type(err).__name__}: {err}") from err
