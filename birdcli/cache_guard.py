"""Whether a folder and the database in it are ours to use."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COUNTERS: Final = frozenset({"count", "size", "hits", "misses"})
_TABLES: Final = frozenset({"Cache", "Settings"})
_TABLES_QUERY: Final = (
    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
)
# Those of diskcache, which keep count; others might not even end.
_OUR_TRIGGER: Final = re.compile(
    r"CREATE TRIGGER Settings_\w+ AFTER (INSERT|UPDATE|DELETE) ON Cache FOR EACH ROW BEGIN"
    r" UPDATE Settings SET value = value( [-+] (1|NEW\.size|OLD\.size))+"
    r' WHERE key = "(count|size)"; END'
)
_TEXT_SETTINGS: Final = frozenset({"eviction_policy", "sqlite_journal_mode"})


class ForeignFolderError(Exception):
    """The folder is not ours to use."""


class ForeignFileError(Exception):
    """The file is no cache of birdcli's."""


def make_private(folder: Path, *, holding: str) -> None:
    """Makes the folder, or sees that it is ours, before anything in it is touched.

    Args:
        folder: Gets mode 0700.
        holding: The file that tells a cache from other folders.

    Raises:
        ForeignFolderError: It is not ours to use.
        OSError: It cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.name == "nt":  # the user's profile is private already, and modes mean nothing
        return
    status = folder.stat()
    # The user may have linked it to another disk; somebody else may not have.
    if {status.st_uid, folder.lstat().st_uid} != {os.geteuid()}:
        raise ForeignFolderError("it belongs to another user")
    entries = {entry.name for entry in folder.iterdir()}
    if entries and holding not in entries:
        raise ForeignFolderError("the folder holds other files")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022 and entries:
        raise ForeignFolderError("other users could have written to it")
    if mode != 0o700:
        folder.chmod(0o700)


def verify_database(path: Path, settings: Mapping[str, object], *, timeout_s: float) -> None:
    """Sees that a file is a cache and not locked, before diskcache believes it.

    diskcache runs `PRAGMA` with names and sets attributes of itself from the rows it finds, and
    waits up to a minute per statement for a lock while it opens.

    Args:
        path: Of the database, which may be missing.
        settings: What diskcache is opened with.
        timeout_s: How long to wait for a lock.

    Raises:
        ForeignFolderError: It belongs to another program.
        ForeignFileError: It was a cache, and somebody has changed it.
        sqlite3.Error: It is damaged, locked or cannot be written.
    """
    connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        tables = {name for (name,) in connection.execute(_TABLES_QUERY)}
        if not tables <= _TABLES:
            raise ForeignFolderError(f"its {path.name} belongs to another program")
        triggers = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
        if not all(_OUR_TRIGGER.fullmatch(" ".join(sql.split())) for (sql,) in triggers):
            raise ForeignFileError
        rows = []
        if "Settings" in tables:
            rows = connection.execute("SELECT key, value FROM Settings").fetchall()
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    for key, value in rows:
        if key in _TEXT_SETTINGS:
            known = value == settings[key]
        else:
            known = (key in settings or key in _COUNTERS) and type(value) is int
        if not known:
            raise ForeignFileError
