"""Reads the tensors of a PyTorch legacy checkpoint without PyTorch.

Such a file is five pickles and then the raw numbers: magic number, protocol version, the writer's
byte order, the tensors (each a window onto a storage), the storages' keys, and for each storage,
in that order, its length as int64 and its items. Pickles are programs, so only what these five
need is admitted.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from birdcli.errors import ErrorCode, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Tensor: TypeAlias = NDArray[Any]
    """float32 or int64, any shape."""

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_LENGTH: Final = np.dtype("<i8")
_STORAGE_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
_MAX_RANK: Final = 8
_PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


def _broken(message: str) -> ModelError:
    return ModelError(ErrorCode.MODEL_LOAD_FAILED, f"the PyTorch checkpoint is broken: {message}")


def _unsafe(what: str, **details: str) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_UNSAFE_OP,
        f"the PyTorch checkpoint asks for {what}, which no table of tensors needs",
        hint="A pickle is a program. Do not use this file unless you know who made it.",
        **details,
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


# The three types below stand in for what the file names. They have slots and refuse assignment,
# so that the pickle opcode BUILD, which sets attributes, cannot change what they do.


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    length: int


@dataclass(frozen=True, slots=True)
class _Window:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _RebuildTensor:
    """Stands in for `torch._utils._rebuild_tensor_v2`; every number is checked, nothing is made."""

    def __call__(self, *arguments: object) -> _Window:
        match arguments:
            case (_Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
                pass
            case _:
                raise _broken("a tensor is no window onto a storage")
        if not all(map(_is_count, (offset, *shape, *strides))) or len(shape) != len(strides):
            raise _broken("a tensor has an impossible shape")
        largest = max((*shape, *strides), default=0)
        if len(shape) > _MAX_RANK or largest > max(storage.length, 1):
            raise _broken("a tensor is larger than its storage")
        last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        items = math.prod(shape)
        if items > storage.length or (items > 0 and last >= storage.length):
            raise _broken("a tensor reaches past its storage")
        return _Window(storage, offset, shape, strides)


class _TensorUnpickler(pickle.Unpickler):
    """Admits four globals by name, and storages by persistent id."""

    def __init__(self, data: bytes, *, available: int) -> None:
        """Reads one pickle; all storages together may hold `available` bytes."""
        super().__init__(io.BytesIO(data))
        self._available = available
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Returns the stand-in for a global."""
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _RebuildTensor()
            case "torch", ("FloatStorage" | "LongStorage"):
                return _StorageType(_STORAGE_TYPES[name])
            case _:
                raise _unsafe(f"{module}.{name}", name=f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        """Returns the storage that a persistent id describes."""
        match pid:
            case ("storage", _StorageType() as kind, str(key), "cpu", length, None) if _is_count(
                length
            ):
                storage = _Storage(key, kind.dtype, length)
            case _:
                raise _broken("a persistent id describes no storage in main memory")
        if key not in self.storages:
            self._available -= _LENGTH.itemsize + length * storage.dtype.itemsize
            if self._available < 0:
                raise _broken("its storages are larger than the file")
            self.storages[key] = storage
        if self.storages[key] != storage:
            raise _broken(f"storage {key!r} is described in two ways")
        return storage


class _Reader:
    """Walks over the parts of a checkpoint."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self.storages: dict[str, _Storage] = {}

    def unpickle(self) -> Any:
        """Returns the next pickle's value."""
        start = self._position
        stream = io.BytesIO(self._data)
        stream.seek(start)
        try:
            for op, argument, _ in pickletools.genops(stream):
                # The unpickler allocates its memo up to the largest index, before anything else.
                if op.name in _PUTS and (argument or 0) > len(self._data):
                    raise _broken("a memo index larger than the file")
        except ValueError as err:
            raise _broken(str(err)) from err
        self._position = stream.tell()
        unpickler = _TensorUnpickler(
            self._data[start : self._position], available=len(self._data) - self._position
        )
        try:
            value = unpickler.load()
        except ModelError:
            raise
        except Exception as err:  # hostile bytes: pickle documents no list of its exceptions
            raise _broken(str(err) or type(err).__name__) from err
        self.storages |= unpickler.storages
        return value

    def read_storage(self, storage: _Storage) -> Tensor:
        """Returns the next storage's items, a read-only view of the file."""
        start = self._position + _LENGTH.itemsize
        end = start + storage.length * storage.dtype.itemsize
        if end > len(self._data):
            raise _broken("it ends inside its numbers")
        if int.from_bytes(self._data[self._position : start], "little") != storage.length:
            raise _broken(f"storage {storage.key!r} has another length than its tensors say")
        self._position = end
        return np.frombuffer(self._data, storage.dtype, storage.length, start)

    def at_end(self) -> bool:
        """Tells whether all bytes were read."""
        return self._position == len(self._data)


def _check_windows(value: object) -> Mapping[str, _Window]:
    if not isinstance(value, dict):
        raise _broken("it holds no table of tensors")
    windows: dict[str, _Window] = {}
    for name, window in dict.items(value):  # BUILD can put another `items` on the instance
        if not (isinstance(name, str) and isinstance(window, _Window)):
            raise _broken("its table holds something else than tensors by name")
        windows[name] = window
    return windows


def _check_keys(value: object, storages: Mapping[str, _Storage]) -> list[str]:
    if not (isinstance(value, list) and all(isinstance(key, str) for key in value)):
        raise _broken("it holds no list of storages")
    if sorted(value) != sorted(storages):
        raise _broken("its storages are not those of its tensors")
    return value


def read_checkpoint(data: bytes) -> dict[str, Tensor]:
    """Returns the tensors of a checkpoint that `torch.save` wrote before PyTorch 1.6.

    Nothing the file says is allocated: tensors are windows onto `data`, and none is larger than
    it. Time is not bounded, as a few bytes can nest tuples without end: check a digest first.

    Args:
        data: The whole file.

    Returns:
        Tensors by name, in the order of the file: float32 or int64, read-only, strided.

    Raises:
        ModelError: ``model.unsafe_op`` naming a global that a table of tensors does not need;
            ``model.load_failed`` for anything that is no such file, or not all of one.

    Source:
        `torch.serialization._legacy_save`; the layout is stable, new files have another one.
    """
    reader = _Reader(data)
    if reader.unpickle() != _MAGIC:
        raise _broken("it does not start as one")
    if reader.unpickle() != _PROTOCOL:
        raise _broken("another version of the format")
    match reader.unpickle():
        case {"little_endian": True}:
            pass
        case _:
            raise _broken("its numbers are not little-endian")
    windows = _check_windows(reader.unpickle())
    keys = _check_keys(reader.unpickle(), reader.storages)
    items = {key: reader.read_storage(reader.storages[key]) for key in keys}
    if not reader.at_end():
        raise _broken("bytes follow its last number")
    return {
        name: as_strided(
            items[window.storage.key][window.offset :],
            window.shape,
            [step * window.storage.dtype.itemsize for step in window.strides],
            writeable=False,
        )
        for name, window in windows.items()
    }
