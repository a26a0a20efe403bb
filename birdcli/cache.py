"""Answers of earlier runs and validators of URLs, on disk."""

from __future__ import annotations

import hashlib
import logging
import secrets
import sqlite3
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import diskcache

from birdcli.cache_guard import (
    ForeignFileError,
    ForeignFolderError,
    make_private,
    verify_database,
)
from birdcli.cache_values import (
    decode_answer,
    decode_url,
    encode_answer,
    encode_url,
)
from birdcli.kept_bytes import KeptBytes
from birdcli.plain_disk import PlainDisk, unseal
from birdcli.validators import SeenUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from birdcli.items import CachedAnswer, Validators

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)

_DATABASE: Final = "cache.db"
_DATABASE_FILES: Final = (_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm")
_PICTURES: Final = "pictures"
_LOCK_TIMEOUT_S: Final = 5.0
_PENDING_WRITES: Final = 256
# One by one they take several times as long. In a full cache each of a group makes room for ten,
# as room shows only afterwards.
_GROUPED_WRITES: Final = 16

# All of them, so that what the file says does not count.
_SETTINGS: Final = {
    **diskcache.DEFAULT_SETTINGS,
    "eviction_policy": "least-recently-stored",
    # Mapped memory of a file that somebody cuts kills the process (SIGBUS).
    "sqlite_mmap_size": 0,
}


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What is in a cache.

    Attributes:
        folder: Where it is.
        entries: Answers, and URLs with what is known about them.
        bytes: What everything takes on disk.
        pictures: Encoded pictures.
    """

    folder: Path
    entries: int
    bytes: int
    pictures: int = 0


class Answers:
    """Answers of one model with its preprocessing and labels; implements `AnswerCache`."""

    def __init__(self, cache: Cache, fingerprint: str, *, top_k: int) -> None:
        """Keeps to the answers of `fingerprint`; see `Cache.answers`."""
        self._cache = cache
        self._top_k = top_k
        self._prefix = f"answer/{hashlib.sha256(fingerprint.encode()).hexdigest()}/"

    def get(self, sha256: str) -> CachedAnswer | None:
        """Returns the answer for these encoded bytes, or None."""
        return self.get_many((sha256,)).get(sha256)

    def get_many(self, digests: Iterable[str]) -> dict[str, CachedAnswer]:
        """Returns the answers there are, by the digest of the encoded bytes."""
        digests = tuple(digests)
        found = self._cache.read_many([self._prefix + sha256 for sha256 in digests])
        answers = {}
        for sha256, data in zip(digests, found, strict=True):
            answer = None if data is None else decode_answer(data, sha256)
            if answer is not None and len(answer.predictions) >= self._top_k:
                answers[sha256] = self._cut(answer)
        return answers

    def put(self, sha256: str, answer: CachedAnswer) -> None:
        """Keeps an answer."""
        self._cache.write(self._prefix + sha256, encode_answer(answer))

    def _cut(self, answer: CachedAnswer) -> CachedAnswer:
        if len(answer.predictions) == self._top_k:
            return answer
        return replace(answer, predictions=answer.predictions[: self._top_k])


class StoredValidators:
    """Validators by URL; implements `ValidatorStore`. URLs are hashed, they may hold secrets."""

    def __init__(self, cache: Cache) -> None:
        """Belongs to `cache`."""
        self._cache = cache
        self._run = secrets.token_hex(8)

    def get_many(self, urls: Iterable[str]) -> dict[str, SeenUrl]:
        """Returns what is known, by URL."""
        urls = tuple(urls)
        found = self._cache.read_many([self._key(url) for url in urls])
        seen = {}
        for url, data in zip(urls, found, strict=True):
            if data is not None and (stored := decode_url(data)) is not None:
                in_this_run = stored.run == self._run
                seen[url] = SeenUrl(validators=stored.validators, in_this_run=in_this_run)
        return seen

    def put(self, url: str, validators: Validators) -> None:
        """Keeps validators, as asked for in this run."""
        self._cache.write(self._key(url), encode_url(validators, self._run))

    def forget(self, url: str) -> None:
        """Keeps nothing about a URL."""
        self._cache.write(self._key(url), None)

    def _key(self, url: str) -> str:
        return f"url/{hashlib.sha256(url.encode(errors='surrogatepass')).hexdigest()}"


class Cache:
    """One folder with an SQLite file; for any thread.

    Whatever is wrong with it costs one warning, after which it is empty and stays so.
    """

    def __init__(self, folder: Path, *, size_limit: int) -> None:
        """Use `open_cache`.

        Args:
            folder: Made if missing, for this user alone.
            size_limit: Bytes on disk, about, beyond which the oldest entries go.
        """
        self.folder = folder
        self.validators = StoredValidators(self)
        self._size_limit = size_limit
        # diskcache opens a connection per thread and closes only that of the caller.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="birdcli-cache")
        self._unwritten: list[tuple[str, bytes | None]] = []
        self._room = threading.Semaphore(_PENDING_WRITES)
        self._lock = threading.Lock()
        self._closed = False
        self._warned = False
        self._database: Any = None
        self._submit(self._open, None).result()

    def answers(self, fingerprint: str, *, top_k: int) -> Answers:
        """Returns the answers that belong to a fingerprint.

        Args:
            fingerprint: Names everything that changes answers: model, preprocessing, precision,
                labels.
            top_k: Guesses per answer, at most as many as there are classes; answers that hold
                more are cut, those that hold fewer do not count.
        """
        return Answers(self, fingerprint, top_k=top_k)

    def pictures(self, *, keep: bool) -> KeptBytes | None:
        """Returns the encoded pictures, or None if the cache cannot be used.

        Args:
            keep: Whether pictures are added; else only those of earlier runs are read.
        """
        usable = self._submit(lambda: self._database is not None, False).result()
        return self._pictures(keep=keep) if usable else None

    def read_many(self, keys: list[str]) -> list[bytes | None]:
        """Returns the values under some keys, None where there is none or it is damaged."""
        if not keys:
            return []
        work = self._submit(lambda: [self._read_now(key) for key in keys], None)
        return work.result() or [None] * len(keys)

    def write(self, key: str, value: bytes | None) -> None:
        """Keeps a value under a key, or nothing if it is None.

        Soon: nobody waits for the disk, and later reads see it.
        """
        self._room.acquire()
        with self._lock:
            if self._closed:
                self._room.release()
                return
            self._unwritten.append((key, value))
            if len(self._unwritten) == 1:  # else whoever writes the first takes this along
                self._thread.submit(self._guarded, self._write_all, None)

    def info(self) -> CacheInfo:
        """Returns how much is in the cache; nothing if it cannot be used."""
        return self._submit(self._info_now, CacheInfo(self.folder, 0, 0)).result()

    def clear(self) -> int:
        """Removes every entry, also those of a damaged file.

        Returns:
            How many were removed, as far as they could be counted.
        """
        return self._submit(self._clear_now, 0).result()

    def close(self) -> None:
        """Finishes what is being written and closes the file; the cache is empty from then on."""
        with self._lock:
            if not self._closed:
                self._thread.submit(self._close_now)
                self._closed = True
        self._thread.shutdown()

    def _submit(self, work: Callable[[], T], otherwise: T) -> Future[T]:
        with self._lock:
            if not self._closed:
                return self._thread.submit(self._guarded, work, otherwise)
        nothing: Future[T] = Future()
        nothing.set_result(otherwise)
        return nothing

    def _guarded(self, work: Callable[[], T], otherwise: T) -> T:
        try:
            return work()
        # Over a damaged or planted file diskcache raises anything, such as TypeError from adding
        # up columns, and a cache must never cost an image.
        except Exception as err:  # noqa: BLE001
            self._close_now()
            if not self._warned:
                self._warned = True
                _LOG.warning("The cache %s is not used: %s", self.folder, _reason(err))
            return otherwise

    def _open(self) -> None:
        make_private(self.folder, holding=_DATABASE)
        verify_database(self.folder / _DATABASE, _SETTINGS, timeout_s=_LOCK_TIMEOUT_S)
        self._database = diskcache.Cache(
            str(self.folder),
            timeout=_LOCK_TIMEOUT_S,
            disk=PlainDisk,
            **{**_SETTINGS, "size_limit": self._size_limit},
        )

    def _read_now(self, key: str) -> bytes | None:
        if self._database is None:
            return None
        sealed = self._database.get(key)
        return None if sealed is None else unseal(key, sealed)

    def _write_all(self) -> None:
        with self._lock:
            entries, self._unwritten = self._unwritten, []
        try:
            for start in range(0, len(entries), _GROUPED_WRITES):
                self._write_group(entries[start : start + _GROUPED_WRITES])
        finally:
            for _ in entries:
                self._room.release()

    def _write_group(self, entries: list[tuple[str, bytes | None]]) -> None:
        if self._database is not None:
            with self._database.transact():
                for key, value in entries:
                    if value is None:
                        self._database.delete(key)
                    else:
                        self._database.set(key, value)

    def _pictures(self, *, keep: bool) -> KeptBytes:
        return KeptBytes(self.folder / _PICTURES, room=self._room_for_pictures, keep=keep)

    def _room_for_pictures(self) -> int:
        size = 0
        for name in _DATABASE_FILES:
            with suppress(OSError):
                size += (self.folder / name).stat().st_size
        return self._size_limit - size

    def _info_now(self) -> CacheInfo:
        if self._database is None:
            return CacheInfo(self.folder, 0, 0)
        pictures, taken = self._pictures(keep=False).count()
        entries, volume = len(self._database), self._database.volume()
        return CacheInfo(self.folder, entries, volume + taken, pictures)

    def _clear_now(self) -> int:
        make_private(self.folder, holding=_DATABASE)
        pictures = self._pictures(keep=False).clear()  # first: they make room on a full disk
        if self._database is None:
            try:
                self._open()
            except (ForeignFileError, sqlite3.DatabaseError) as err:
                full = getattr(err, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
                if isinstance(err, sqlite3.OperationalError) and not full:  # locked or read-only
                    raise
                for name in _DATABASE_FILES:
                    (self.folder / name).unlink(missing_ok=True)
                self._open()
        return int(self._database.clear()) + pictures

    def _close_now(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()


def open_cache(folder: Path, *, size_limit: int) -> Cache:
    """Opens the cache in a folder; one that cannot be used warns once and is empty.

    Args:
        folder: Made if missing, with mode 0700.
        size_limit: Bytes on disk, about, beyond which the oldest entries go.
    """
    return Cache(folder, size_limit=size_limit)


def _reason(err: Exception) -> str:
    if isinstance(err, diskcache.Timeout):
        return "another program keeps it locked"
    if isinstance(err, OSError):
        return err.strerror or type(err).__name__
    if isinstance(err, (ForeignFolderError, sqlite3.OperationalError)):
        return str(err)
    return "its file is damaged; `birdcli cache clear` begins a new one"
