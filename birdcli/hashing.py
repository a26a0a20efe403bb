"""sha256 digests of bytes, streams or files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, ModelError

if TYPE_CHECKING:
    from pathlib import Path


def sha256_of_bytes(data: bytes) -> str:
    """Returns the digest of bytes, lowercase hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Returns the digest of a file's content, lowercase hex.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_matches(path: Path, sha256: str) -> bool:
    """Tells whether a file's content has this digest.

    Raises:
        OSError: The file cannot be read.
    """
    return sha256_of_file(path) == sha256


def verify_digest(path: Path, sha256: str) -> None:
    """Raises unless a regular file, not a link to one, has this digest.

    Raises:
        ModelError: ``model.sha256_mismatch`` if it differs, is missing or cannot be read.
    """
    if path.is_symlink() or not path.is_file():
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH, f"{path} is missing or no regular file", path=str(path)
        )
    try:
        found = sha256_of_file(path)
    except OSError as err:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH,
            f"{path} cannot be read: {err.strerror}",
            path=str(path),
        ) from err
    if found != sha256:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH,
            f"{path} has sha256 {found[:12]}…, expected {sha256[:12]}…",
            hint="It was changed since. `birdcli registry pull` installs a damaged version again.",
            path=str(path),
            found=found,
            expected=sha256,
        )
