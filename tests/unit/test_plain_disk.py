"""The store beneath the cache."""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
from diskcache.core import MODE_BINARY, MODE_PICKLE, MODE_RAW, MODE_TEXT

from birdcli.plain_disk import ForeignRowError, PlainDisk, unseal

SEALED = 32 + len(b"value")


@pytest.fixture
def disk(tmp_path: Any) -> PlainDisk:
    return PlainDisk(str(tmp_path))


def sealed(disk: PlainDisk, key: str, value: bytes) -> bytes:
    return bytes(disk.store(value, False, key=key)[3])


def test_a_value_comes_back_under_its_key(disk: PlainDisk) -> None:
    row = sealed(disk, "key", b"value")
    assert unseal("key", disk.fetch(MODE_RAW, None, row, False)) == b"value"


def test_a_value_is_kept_in_its_row_whatever_its_size(disk: PlainDisk, tmp_path: Any) -> None:
    size, mode, filename, _ = disk.store(bytes(1_000_000), False, key="key")
    assert (size, mode, filename) == (0, MODE_RAW, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("position", [0, 31, 32, SEALED - 1])
def test_a_flipped_bit_is_no_value(disk: PlainDisk, position: int) -> None:
    row = bytearray(sealed(disk, "key", b"value"))
    row[position] ^= 1
    assert unseal("key", bytes(row)) is None


@pytest.mark.parametrize("length", [0, 10, 31, 32, SEALED - 1])
def test_a_shortened_row_is_no_value(disk: PlainDisk, length: int) -> None:
    assert unseal("key", sealed(disk, "key", b"value")[:length]) is None


def test_a_row_of_another_key_is_no_value(disk: PlainDisk) -> None:
    assert unseal("other", sealed(disk, "key", b"value")) is None


@pytest.mark.parametrize("key", [1, 1.5, b"key", None, ("a", "b")])
def test_only_text_is_a_key(disk: PlainDisk, key: Any) -> None:
    with pytest.raises(TypeError):
        disk.put(key)


@pytest.mark.parametrize("value", ["text", 1, None, ["a"], bytearray(b"x"), io.BytesIO(b"x")])
def test_only_bytes_are_a_value(disk: PlainDisk, value: Any) -> None:
    with pytest.raises(TypeError):
        disk.store(value, False, key="key")


def test_a_stream_is_no_value(disk: PlainDisk) -> None:
    with pytest.raises(TypeError):
        disk.store(b"value", True, key="key")


@pytest.mark.parametrize(
    ("mode", "filename", "value"),
    [
        (MODE_PICKLE, None, pickle.dumps("gift")),
        (MODE_PICKLE, "a.val", None),
        (MODE_BINARY, "../../etc/passwd", None),
        (MODE_TEXT, "a.val", None),
        (MODE_RAW, "a.val", b"x"),
        (MODE_RAW, None, "text"),
        (MODE_RAW, None, 7),
        (MODE_RAW, None, None),
        ("4", None, b"x"),
        (None, None, b"x"),
    ],
)
def test_rows_of_others_are_refused(
    disk: PlainDisk, mode: object, filename: object, value: object
) -> None:
    with pytest.raises(ForeignRowError):
        disk.fetch(mode, filename, value, False)


@pytest.mark.parametrize("raw", [True, False])
def test_keys_are_never_read_back(disk: PlainDisk, raw: bool) -> None:
    with pytest.raises(ForeignRowError):
        disk.get(pickle.dumps("gift"), raw)


def test_a_file_that_a_row_names_is_not_deleted(tmp_path: Any) -> None:
    kept = tmp_path / "letter.txt"
    kept.write_text("dear")
    PlainDisk(str(tmp_path / "cache")).remove("../letter.txt")
    assert kept.exists()
