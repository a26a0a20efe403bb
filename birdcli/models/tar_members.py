"""Members of a tar, read forwards."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Protocol

from birdcli.models.member_names import archive_unsafe
from birdcli.models.members import (
    CHUNK_BYTES,
    LARGEST_READ,
    Budget,
    Member,
    archive_broken,
    parsing_hostile_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO",
}


class Readable(Protocol):
    """A binary file, or a decompressor of one."""

    def read(self, size: int, /) -> bytes:
        """Returns up to `size` bytes, fewer at the end only."""
        ...


class _TarBytes:
    """The unpacked bytes of a tar as the file that `tarfile` reads: forwards, counted, in pieces.

    tarfile believes headers with negative sizes (CVE-2025-8194) and reads extended headers of any
    size into memory; both end here. Every byte counts, those of headers and padding too.
    """

    def __init__(self, raw: Readable, budget: Budget) -> None:
        self._raw = raw
        self._budget = budget
        self._position = 0
        self.member = "the first member"
        self.last_read = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST_READ:
            raise archive_unsafe(
                self.member, "has a size, or is followed by a header, that cannot be"
            )
        data = self._raw.read(size)
        self._position += len(data)
        self._budget.spend(len(data), self.member)
        self.last_read = data
        return data

    def seek(self, position: int) -> None:
        """Skips to a position; there is no way back, so that every call makes headway."""
        while self._position < position:
            if not self.read(min(CHUNK_BYTES, position - self._position)):
                raise archive_broken(f"it ends inside {self.member!r}")

    def drain(self) -> None:
        """Reads on to the end, where gzip keeps its checksum."""
        while self.read(CHUNK_BYTES):
            pass


def _check_kind(info: tarfile.TarInfo) -> None:
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) or info.issparse():
        kind = _KINDS.get(info.type, "no regular file or folder")
        raise archive_unsafe(info.name, f"is {kind}")


def _iter_chunks(stream: _TarBytes, info: tarfile.TarInfo) -> Iterator[bytes]:
    with parsing_hostile_bytes():
        left = info.size
        while left:
            data = stream.read(min(CHUNK_BYTES, left))
            if not data:
                raise archive_broken(f"it ends inside {info.name!r}")
            left -= len(data)
            yield data


def iter_tar_members(unpacked: Readable, budget: Budget) -> Iterator[Member]:
    """Yields the members in the order of the archive.

    Args:
        unpacked: The tar itself; a decompressor's file object for compressed ones.
        budget: Counts every byte that comes out of `unpacked`.

    Raises:
        ModelError: ``model.archive_unsafe`` for links, devices, FIFOs, sparse files, headers made
            to confuse, or a budget that is spent; ``model.source_unreadable`` if it is cut or
            damaged.

    Source:
        tarfile's own `filter="data"` can be escaped on Python 3.11.7 (CVE-2025-4517), so nothing
        is left to it: only what is a regular file or folder comes out, as bytes.
    """
    stream = _TarBytes(unpacked, budget)
    with parsing_hostile_bytes():
        tar = tarfile.TarFile(fileobj=stream, encoding="utf-8")  # type: ignore[arg-type]  # reads
        while (info := tar.next()) is not None:
            stream.member = info.name
            _check_kind(info)
            if info.isdir():
                yield Member(name=info.name, is_folder=True, chunks=iter(()))
            else:
                yield Member(name=info.name, is_folder=False, chunks=_iter_chunks(stream, info))
        # tarfile takes a header that it cannot read for the end; the real end is a zero block.
        if stream.last_read != bytes(tarfile.BLOCKSIZE):
            raise archive_broken(f"it ends or is damaged after {stream.member!r}")
        stream.drain()
