"""Model archives unpacked without trusting them."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, ModelError
from birdcli.files import sync_folder
from birdcli.models.member_names import MemberTree
from birdcli.models.members import Budget, Member, archive_broken, parsing_hostile_bytes
from birdcli.models.tar_members import iter_tar_members
from birdcli.models.zip_members import iter_zip_members

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_MAGIC_AT = 257


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How large an archive may become.

    Attributes:
        max_members: Files and folders, with the folders that are only implied.
        max_bytes: Unpacked bytes, those of tar headers included.
        max_ratio: Unpacked bytes per byte of the archive...
        ratio_from_bytes: ...once that many are unpacked: small files compress well.
    """

    max_members: int = 10_000
    max_bytes: int = 4_000_000_000
    max_ratio: int = 200
    ratio_from_bytes: int = 10_000_000


def _iter_members(archive: Path, limits: ArchiveLimits) -> Iterator[Member]:
    with parsing_hostile_bytes(), archive.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        budget = Budget(
            max_bytes=limits.max_bytes,
            max_ratio=limits.max_ratio,
            ratio_from_bytes=limits.ratio_from_bytes,
            archive_bytes=archive.stat().st_size,
        )
        if head.startswith(_GZIP):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield from iter_tar_members(unpacked, budget)
        elif head.startswith(_ZIP):
            yield from iter_zip_members(archive, budget)
        elif head.startswith(b"ustar", _TAR_MAGIC_AT):
            yield from iter_tar_members(file, budget)
        else:
            raise archive_broken("it is no .tar.gz, .tar or .zip")


def _unwritable(err: OSError, into: Path) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_UNWRITABLE,
        f"cannot unpack into {into}: {err.strerror or err}",
        path=str(into),
    )


def _write_file(target: Path, member: Member) -> None:
    with target.open("xb") as out:
        for chunk in member.chunks:
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    target.chmod(0o644)


def _unpack(archive: Path, into: Path, limits: ArchiveLimits) -> None:
    tree = MemberTree(limits.max_members)
    files = 0
    for member in _iter_members(archive, limits):
        target = into.joinpath(*tree.add(member.name, is_folder=member.is_folder))
        if member.is_folder:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_file(target, member)
            files += 1
    if not files:
        raise archive_broken("it holds no files")
    for folder in [into, *(path for path in into.rglob("*") if path.is_dir())]:
        if folder != into:
            folder.chmod(0o755)
        sync_folder(folder)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def unpack_archive(archive: Path, into: Path, limits: ArchiveLimits | None = None) -> None:
    """Unpacks a .tar.gz, .tar or .zip, whatever it is called, or leaves nothing behind.

    Only regular files (0644) and folders (0755) come out; owners, times and execute bits of the
    archive are ignored. Bytes are counted while they are unpacked: headers lie. Files and folders
    are synced.

    Args:
        archive: The file.
        into: An empty folder, or one to be made.
        limits: How large it may become; None for the defaults of `ArchiveLimits`.

    Raises:
        ModelError: ``model.archive_unsafe``, naming the member, if the archive tries something
            that an honest one does not; ``model.source_unreadable`` if it is cut, damaged, empty
            or of another kind; ``model.unwritable`` if the folder cannot be written.
    """
    try:
        into.mkdir(exist_ok=True)
        if any(into.iterdir()):
            raise FileExistsError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
    except OSError as err:
        raise _unwritable(err, into) from err
    try:
        _unpack(archive, into, limits or ArchiveLimits())
    except OSError as err:
        _empty(into)
        raise _unwritable(err, into) from err
    except BaseException:
        _empty(into)
        raise


def find_model_root(folder: Path) -> Path:
    """Returns the folder of the model: the only folder inside, if the model is wrapped in one.

    Args:
        folder: What an archive was unpacked into.

    Returns:
        `folder/x` if `x` is all there is and holds `saved_model.pb`, else `folder`.
    """
    entries = list(folder.iterdir())
    if len(entries) == 1 and (entries[0] / "saved_model.pb").is_file():
        return entries[0]
    return folder
