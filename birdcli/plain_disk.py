"""A diskcache store without pickle and without files: text keys, bytes values, digests."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any, Final, NoReturn

import diskcache  # noqa: TID253 - loaded with cache.py alone
from diskcache.core import MODE_RAW, UNKNOWN  # noqa: TID253

_DIGEST_BYTES: Final = 32


class ForeignRowError(OSError):
    """A row that this store has not written; diskcache takes an `OSError` for a miss."""


class PlainDisk(diskcache.Disk):  # type: ignore[misc] # diskcache has no types
    """Keeps every value in its row, behind a digest of key and value.

    diskcache itself unpickles whatever a row says it should (CVE-2025-69872), opens and deletes
    the file a row names, and does not notice a shortened value.
    """

    def put(self, key: str) -> tuple[str, bool]:
        """Returns a key as its column and the mark that it is no pickle.

        Raises:
            TypeError: The key is no text.
        """
        if type(key) is not str:
            raise TypeError("keys are text")
        return key, True

    def get(self, key: object, raw: object) -> NoReturn:
        """Refuses to turn columns into keys, which is what iterating over a cache does."""
        raise ForeignRowError("keys are not read back")

    def store(
        self,
        value: bytes,
        read: bool,
        key: Any = UNKNOWN,
    ) -> tuple[int, int, None, memoryview]:
        """Returns the columns of a value.

        Raises:
            TypeError: The value is not bytes, or the key no text.
        """
        if type(value) is not bytes or type(key) is not str or read:
            raise TypeError("values are bytes")
        return 0, MODE_RAW, None, sqlite3.Binary(_digest(key, value) + value)

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """Returns the sealed value of a row; `unseal` opens it.

        Raises:
            ForeignRowError: Another program's row.
        """
        if mode != MODE_RAW or filename is not None or type(value) is not bytes:
            raise ForeignRowError("not a row of birdcli")
        return value

    def remove(self, file_path: object) -> None:
        """Deletes nothing: no row of ours has a file."""


def unseal(key: str, sealed: bytes) -> bytes | None:
    """Returns the value stored under a key, or None if it is not what was stored there."""
    digest, value = sealed[:_DIGEST_BYTES], sealed[_DIGEST_BYTES:]
    return value if digest == _digest(key, value) else None


def _digest(key: str, value: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + value).digest()
