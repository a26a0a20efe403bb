"""Golden outputs come from anybody: what is no table of eight probes is refused, and no more."""

from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.golden import decode_golden

CLASSES = 12
SCORES = np.random.RandomState(3).dirichlet(np.ones(CLASSES), 8).astype(np.float32)
NAMES = np.array([[f"Species {i}" for i in range(5)]] * 8)
DIGEST = np.array("0123456789abcdef" * 4)


def npz(**arrays: Any) -> bytes:
    """A file of golden outputs with some arrays replaced."""
    out = io.BytesIO()
    np.savez(out, **{"scores": SCORES, "names": NAMES, "png_sha256": DIGEST} | arrays)
    return out.getvalue()


def member(header: bytes, *, magic: bytes = b"\x93NUMPY\x01\x00", values: bytes = b"") -> bytes:
    """A file of golden outputs whose scores are these bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, zipfile.ZipFile(io.BytesIO(npz())) as whole:
        archive.writestr("scores.npy", magic + len(header).to_bytes(2, "little") + header + values)
        for name in ("names.npy", "png_sha256.npy"):
            archive.writestr(name, whole.read(name))
    return out.getvalue()


def of_shape(shape: str, descr: str = "'<f4'", values: bytes = b"") -> bytes:
    """A file of golden outputs whose scores say that they have this shape and type."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
    return member(header.encode(), values=values)


def changed(offset: int, value: int, *, central: int | None = None) -> bytes:
    """A file with one byte changed in its first local header and in its central one."""
    data = bytearray(npz())
    data[offset] = value
    if central is not None:
        data[data.index(b"PK\x01\x02") + central] = value
    return bytes(data)


def with_bomb() -> bytes:
    """A file of 100 KB whose scores are 100 MB of zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", bytes(100_000_000))
    return out.getvalue()


def with_object() -> bytes:
    """A file whose scores would run code if they were unpickled."""
    code = pickle.dumps(print)
    return of_shape("(1,)", "'|O'", code + bytes(-len(code) % 8))


def damaged_deflate() -> bytes:
    """A compressed file with a hole in its scores."""
    out = io.BytesIO()
    np.savez_compressed(out, scores=SCORES, names=NAMES, png_sha256=DIGEST)
    data = bytearray(out.getvalue())
    start = data.index(b"scores.npy") + 40
    data[start : start + 40] = bytes(byte ^ 0xFF for byte in data[start : start + 40])
    return bytes(data)


def with_nan(value: float) -> np.ndarray:
    scores = SCORES.copy()
    scores[3, 4] = value
    return scores


FORGED = {
    "empty": b"",
    "cut": b"PK\x03\x04 cut",
    "whole but for its end": npz()[:-30],
    "a pickle": b"\x80\x04pickle",
    "no file": b"not a file",
    "encrypted": changed(6, 1, central=8),
    "method 99": changed(8, 99, central=10),
    "damaged deflate": damaged_deflate(),
    "a bomb": with_bomb(),
    "a pickled object": with_object(),
    "an address of an object": of_shape("(1,)", "'|O'", bytes(8)),
    "nan": npz(scores=with_nan(np.nan)),
    "inf": npz(scores=with_nan(np.inf)),
    "all nan": npz(scores=np.full_like(SCORES, np.nan)),
    "float64": npz(scores=SCORES.astype(np.float64)),
    "big endian": npz(scores=SCORES.astype(">f4")),
    "complex": npz(scores=SCORES.astype(np.complex64)),
    "bool": npz(scores=SCORES > 0.5),
    "text": npz(scores=SCORES.astype("U")),
    "scalar": npz(scores=np.float32(1)),
    "seven probes": npz(scores=SCORES[:7]),
    "no probes": npz(scores=SCORES[:0], names=NAMES[:0]),
    "three axes": npz(scores=SCORES[..., None]),
    "no class": npz(scores=SCORES[:, :0], names=np.zeros((8, 0), "U1")),
    "too many classes": npz(scores=np.zeros((8, 100_001), np.float32)),
    "names of seven": npz(names=NAMES[:7]),
    "four names": npz(names=NAMES[:, :4]),
    "names in a row": npz(names=NAMES[0]),
    "one name": npz(names=np.array("x")),
    "names as bytes": npz(names=NAMES.astype("S")),
    "names as numbers": npz(names=np.zeros((8, 5))),
    "five names of three classes": npz(scores=SCORES[:, :3]),
    "a letter beyond Unicode": npz(names=np.full((8, 5), 0x7FFFFFFF, np.uint32).view("U1")),
    "short digest": npz(png_sha256=np.array("abc")),
    "digest in capitals": npz(png_sha256=np.array("ABCDEF0123456789" * 4)),
    "two digests": npz(png_sha256=np.array([str(DIGEST)] * 2)),
    "digest as number": npz(png_sha256=np.array(7)),
    "29 TiB": of_shape("(8, 1000000000000)"),
    "more than 2^64": of_shape("(8, 1000000000000000000000000000)"),
    "negative": of_shape("(8, -1)"),
    "both negative": of_shape("(-8, -12)", values=bytes(384)),
    "no bytes per item": of_shape("(8, 1000000000000)", "'<U0'"),
    "more bytes than values": of_shape("(8, 2)", values=bytes(65)),
    "a header that is no dict": member(b"(" * 200 + b"\n"),
    "a header of another program": member(b"{'descr': __import__('os')}\n"),
    "version 9": member(b"{}", magic=b"\x93NUMPY\x09\x00"),
    "no array": member(b"", magic=b"not an array"),
}


@pytest.mark.parametrize("data", FORGED.values(), ids=FORGED)
def test_a_forged_file_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        decode_golden(data)
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    assert caught.value.message.startswith("the golden outputs cannot be read: ")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["scores", "names", "png_sha256"])
def test_a_file_without_one_of_the_arrays_is_refused(name: str) -> None:
    out = io.BytesIO()
    arrays: dict[str, Any] = {"scores": SCORES, "names": NAMES, "png_sha256": DIGEST}
    del arrays[name]
    np.savez(out, **arrays)
    with pytest.raises(ModelError, match=rf"{name}\.npy"):
        decode_golden(out.getvalue())


@pytest.mark.parametrize("order", ["C", "F"])
def test_every_order_of_numbers_is_read_as_it_is(order: Any) -> None:
    golden = decode_golden(npz(scores=np.asarray(SCORES, order=order)))
    np.testing.assert_array_equal(golden.scores, SCORES)
    assert golden.names == tuple(tuple(row) for row in NAMES.tolist())


def test_a_model_of_few_classes_has_as_many_names() -> None:
    assert decode_golden(npz(scores=SCORES[:, :2], names=NAMES[:, :2])).scores.shape == (8, 2)
