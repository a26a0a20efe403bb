"""Arrays of an npz file that anybody may have made, read within bounds."""

from __future__ import annotations

import io
import math
import zipfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_HEADERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(data: bytes, names: Sequence[str], *, max_bytes: int) -> list[NDArray[Any]]:
    """Returns arrays of an npz file, read-only; nothing is unpickled.

    Args:
        data: The file.
        names: Which arrays; others are not looked at.
        max_bytes: Largest array, with its header.

    Raises:
        ValueError: The file is damaged, an array is missing, of Python objects or too large, or
            its length is not the one that its shape demands.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [_read_array(archive, f"{name}.npy", max_bytes) for name in names]
    # Damaged files raise about a dozen kinds: of zipfile, zlib, struct, tokenize, ast, NumPy.
    except Exception as err:
        raise ValueError(f"{type(err).__name__}: {err}" if str(err) else repr(err)) from err


def _read_array(archive: zipfile.ZipFile, member: str, max_bytes: int) -> NDArray[Any]:
    info = archive.getinfo(member)
    if info.file_size > max_bytes:
        raise ValueError(f"{member} has {info.file_size:,} bytes, {max_bytes:,} are allowed")
    content = io.BytesIO(archive.read(info))
    version = np.lib.format.read_magic(content)
    if version not in _HEADERS:
        raise ValueError(f"{member} is of version {version}")
    shape, is_fortran, dtype = _HEADERS[version](content)
    values = content.read()
    # What the header says is believed only where the bytes agree: NumPy would allocate it first.
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(values):
        raise ValueError(f"{member} has {len(values):,} bytes for {dtype} {list(shape)}")
    if dtype.kind == "U":  # NumPy makes strings of numbers that are no letters
        values.decode("utf-32-be" if dtype.str[0] == ">" else "utf-32-le", "surrogatepass")
    # It refuses objects, too.
    return np.frombuffer(values, dtype).reshape(shape, order="F" if is_fortran else "C")
