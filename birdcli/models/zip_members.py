"""Members of a zip whose two sets of headers agree."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from typing import TYPE_CHECKING

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
    from pathlib import Path

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_UTF8_NAME = 0x800
_SIZES_FOLLOW = 0x8
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_IN_ZIP64_FIELD = 0xFFFFFFFF


class _SmallReads(io.BufferedReader):
    """A file that refuses to be read into memory whole, as a table of contents may demand."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = LARGEST_READ + 1 if size is None or size < 0 else size
        data = super().read(min(wanted, LARGEST_READ + 1))
        if len(data) > LARGEST_READ:
            raise archive_unsafe("the table of contents", "is too large")
        return data


def _zip64_sizes(extra: bytes) -> tuple[int, ...]:
    """Returns the long sizes of a local header: unpacked, then packed."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            return struct.unpack_from(f"<{length // 8}Q", extra, 4)
        extra = extra[4 + length :]
    return ()


def _check_local_header(file: io.BufferedReader, info: zipfile.ZipInfo) -> int:
    """Raises unless the header before the data tells what the table of contents told.

    Returns:
        Where the data begins.
    """
    file.seek(info.header_offset)
    (
        signature,
        _version,
        flags,
        method,
        _time,
        _date,
        crc,
        packed,
        unpacked,
        name_len,
        extra_len,
    ) = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    name = file.read(name_len)
    in_zip64 = iter(_zip64_sizes(file.read(extra_len)))
    unpacked = next(in_zip64, -1) if unpacked == _IN_ZIP64_FIELD else unpacked
    packed = next(in_zip64, -1) if packed == _IN_ZIP64_FIELD else packed
    told = (crc, packed, unpacked)
    listed = (info.CRC, info.compress_size, info.file_size)
    same = (
        signature == b"PK\x03\x04"
        and (flags, method) == (info.flag_bits, info.compress_type)
        and name == info.orig_filename.encode("utf-8" if flags & _UTF8_NAME else "cp437")
        and (told == listed or (bool(flags & _SIZES_FOLLOW) and told == (0, 0, 0)))
    )
    if not same:
        raise archive_unsafe(info.orig_filename, "has two headers that differ")
    return file.tell()


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    if info.flag_bits & _ENCRYPTED:
        raise archive_unsafe(name, "is encrypted")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG):
        raise archive_unsafe(name, "is no regular file or folder")
    if name.endswith("/") and info.file_size:
        raise archive_unsafe(name, "is a folder with content")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise archive_broken(f"{name!r} is compressed by method {info.compress_type}")


def _check_layout(file: io.BufferedReader, archive: zipfile.ZipFile) -> None:
    """Raises unless every member is sound and no two share bytes, as in the densest bombs."""
    previous_end = 0
    for info in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        _check_member(info)
        begin = _check_local_header(file, info)
        if info.header_offset < previous_end:
            raise archive_unsafe(info.orig_filename, "overlaps another member")
        previous_end = begin + info.compress_size
        if previous_end > archive.start_dir:
            raise archive_unsafe(info.orig_filename, "overlaps the table of contents")


def _iter_chunks(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget
) -> Iterator[bytes]:
    with parsing_hostile_bytes(), archive.open(info) as unpacked:
        while data := unpacked.read(CHUNK_BYTES):
            budget.spend(len(data), info.filename)
            yield data


def iter_zip_members(path: Path, budget: Budget) -> Iterator[Member]:
    """Yields the members in the order of the table of contents.

    Args:
        path: The zip.
        budget: Counts every unpacked byte.

    Raises:
        ModelError: ``model.archive_unsafe`` for links, devices, encrypted or overlapping members,
            headers that differ, or a budget that is spent; ``model.source_unreadable`` if it is
            cut, damaged, or compressed in an unusual way.
    """
    with (
        parsing_hostile_bytes(),
        _SmallReads(io.FileIO(path)) as file,
        zipfile.ZipFile(file) as archive,
    ):
        _check_layout(file, archive)
        for info in archive.infolist():
            yield Member(
                name=info.orig_filename,
                is_folder=info.is_dir(),
                chunks=_iter_chunks(archive, info, budget),
            )
