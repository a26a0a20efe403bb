"""How often each key is there, on disk: ten million keys take no memory worth naming."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable

_CACHE_KB: Final = 32_768
_TOGETHER: Final = 2_000


class KeyCounts:
    """A multiset of keys in a private temporary file; for one thread at a time.

    The system removes the file even if the process is killed.
    """

    def __init__(self) -> None:
        """Starts empty.

        Raises:
            OutputError: ``output.disk_full``, here and everywhere: there is no room for it.
        """
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KB}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(
            "CREATE TABLE counts (key BLOB PRIMARY KEY, count INTEGER) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")
        self._new: list[tuple[bytes]] = []

    def add_all(self, keys: Iterable[bytes]) -> None:
        """Counts keys, one more each."""
        for key in keys:
            self._new.append((key,))
            if len(self._new) == _TOGETHER:
                self._store()

    def take(self, key: bytes) -> bool:
        """Tells whether a key is there, and counts it one less."""
        if self._new:
            self._store()
        try:
            taken = self._database.execute(
                "UPDATE counts SET count = count - 1 WHERE key = ? AND count > 0", (key,)
            )
        except sqlite3.Error as err:
            raise _no_room(err) from err
        return taken.rowcount == 1

    def holds(self, key: bytes) -> bool:
        """Tells whether a key is there."""
        if self._new:
            self._store()
        try:
            found = self._database.execute("SELECT 1 FROM counts WHERE key = ?", (key,))
            return found.fetchone() is not None
        except sqlite3.Error as err:
            raise _no_room(err) from err

    def close(self) -> None:
        """Forgets everything."""
        self._database.close()

    def _store(self) -> None:
        self._new.sort()  # neighbours share a page
        try:
            self._database.executemany(
                "INSERT INTO counts VALUES (?, 1) "
                "ON CONFLICT (key) DO UPDATE SET count = count + 1",
                self._new,
            )
        except sqlite3.Error as err:
            raise _no_room(err) from err
        self._new.clear()


def _no_room(err: sqlite3.Error) -> OutputError:
    return OutputError(
        ErrorCode.OUTPUT_DISK_FULL,
        f"no temporary file can be kept of what is done: {err}",
        hint="Set SQLITE_TMPDIR to a folder with room: 40 bytes per line.",
    )
