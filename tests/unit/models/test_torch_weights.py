"""The reader of PyTorch's legacy files, on honest, broken and hostile ones."""

from __future__ import annotations

import contextlib
import os
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.torch_weights import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# A pickle is written here opcode by opcode: what is tested is what a hostile writer can say.
NONE, TRUE, FALSE, STOP = b"N", b"\x88", b"\x89", b"."
REDUCE, BUILD, EMPTY_DICT, EMPTY_TUPLE = b"R", b"b", b"}", b")"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def list_of(*parts: bytes) -> bytes:
    return b"](" + b"".join(parts) + b"e"


def dict_of(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def pickled(value: bytes) -> bytes:
    return b"\x80\x02" + value + STOP


def named(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


ORDERED_DICT = named("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE
REBUILD = named("torch._utils", "_rebuild_tensor_v2")


def storage(
    length: int = 6,
    *,
    key: bytes = text("7"),
    kind: bytes = named("torch", "FloatStorage"),
    location: bytes = text("cpu"),
    view: bytes = NONE,
) -> bytes:
    return tuple_of(text("storage"), kind, key, location, number(length), view) + b"Q"


def tensor(
    shape: Sequence[int] = (2, 3),
    strides: Sequence[int] = (3, 1),
    *,
    offset: int = 0,
    source: bytes | None = None,
) -> bytes:
    return (
        REBUILD
        + tuple_of(
            storage() if source is None else source,
            number(offset),
            tuple_of(*map(number, shape)),
            tuple_of(*map(number, strides)),
            FALSE,
            ORDERED_DICT,
        )
        + REDUCE
    )


def floats(values: Sequence[float]) -> bytes:
    return struct.pack("<q", len(values)) + np.asarray(values, "<f4").tobytes()


SIX = floats(range(6))
MAGIC = pickled(number(0x1950A86A20F9469CFC6C))
PROTOCOL = pickled(number(1001))
SYSTEM = pickled(dict_of({"protocol_version": number(1001), "little_endian": TRUE}))
HEADER = MAGIC + PROTOCOL + SYSTEM


def checkpoint(
    table: bytes, *, keys: Sequence[str] = ("7",), numbers: bytes = SIX, header: bytes = HEADER
) -> bytes:
    return header + pickled(table) + pickled(list_of(*map(text, keys))) + numbers


def refusal(data: bytes) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_checkpoint(data)
    return caught.value


def test_a_tensor_has_its_shape_type_and_numbers() -> None:
    tensors = read_checkpoint(checkpoint(dict_of({"weight": tensor()})))
    assert list(tensors) == ["weight"]
    assert tensors["weight"].dtype == np.float32
    np.testing.assert_array_equal(tensors["weight"], [[0, 1, 2], [3, 4, 5]])


def test_strides_and_offset_are_followed() -> None:
    tensors = read_checkpoint(checkpoint(dict_of({"w": tensor((2, 2), (1, 2), offset=1)})))
    np.testing.assert_array_equal(tensors["w"], [[1, 3], [2, 4]])


def test_int64_storages_and_scalars_are_read() -> None:
    longs = storage(1, kind=named("torch", "LongStorage"))
    data = checkpoint(
        dict_of({"n": tensor((), (), source=longs)}), numbers=struct.pack("<qq", 1, 42)
    )
    tensors = read_checkpoint(data)
    assert tensors["n"].dtype == np.int64
    assert tensors["n"] == 42


def test_storages_are_found_by_the_order_of_the_key_list() -> None:
    table = dict_of(
        {
            "a": tensor((1,), (1,), source=storage(1, key=text("10"))),
            "b": tensor((1,), (1,), source=storage(1, key=text("2"))),
        }
    )
    tensors = read_checkpoint(
        checkpoint(table, keys=("2", "10"), numbers=floats([5.0]) + floats([6.0]))
    )
    assert (tensors["a"][0], tensors["b"][0]) == (6.0, 5.0)


def test_two_tensors_may_share_a_storage() -> None:
    tensors = read_checkpoint(checkpoint(dict_of({"a": tensor(), "b": tensor((6,), (1,))})))
    assert np.shares_memory(tensors["a"], tensors["b"])


def test_an_empty_storage_is_an_empty_tensor() -> None:
    table = dict_of({"e": tensor((0, 1), (1, 1), source=storage(0))})
    assert read_checkpoint(checkpoint(table, numbers=floats([])))["e"].shape == (0, 1)


def test_an_ordered_dict_with_metadata_is_a_table() -> None:
    filled = ORDERED_DICT + text("w") + tensor() + b"s"
    table = filled + dict_of({"_metadata": ORDERED_DICT}) + BUILD
    assert list(read_checkpoint(checkpoint(table))) == ["w"]


def test_tensors_cannot_be_written_to() -> None:
    tensors = read_checkpoint(checkpoint(dict_of({"w": tensor()})))
    with pytest.raises(ValueError, match="read-only"):
        tensors["w"][0] = 1


FORBIDDEN = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "getattr"),
    ("subprocess", "Popen"),
    ("torch", "load"),
    ("torch", "HalfStorage"),
    ("torch", "nn.Module"),
    ("torch._utils", "_rebuild_tensor"),
    ("collections", "OrderedDict.fromkeys"),
    ("collections", "defaultdict"),
    ("_codecs", "encode"),
    ("copyreg", "_reconstructor"),
    ("birdcli.models.torch_weights", "read_checkpoint"),
]


@pytest.mark.parametrize(("module", "name"), FORBIDDEN)
def test_a_global_is_refused_by_name(module: str, name: str) -> None:
    error = refusal(checkpoint(dict_of({"w": named(module, name)})))
    assert error.code is ErrorCode.MODEL_UNSAFE_OP
    assert f"{module}.{name}" in error.message


def call_os_system(opcode: str, command: str) -> bytes:
    argument = text(command)
    return {
        "GLOBAL": named("os", "system") + tuple_of(argument) + REDUCE,
        "STACK_GLOBAL": text("os") + text("system") + b"\x93" + tuple_of(argument) + REDUCE,
        "INST": b"(" + argument + b"ios\nsystem\n",
        "OBJ": b"(" + named("os", "system") + argument + b"o",
        "NEWOBJ": named("os", "system") + tuple_of(argument) + b"\x81",
    }[opcode]


@pytest.mark.parametrize("opcode", ["GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ"])
@pytest.mark.parametrize("part", range(5))
def test_no_part_of_the_file_runs_os_system(tmp_path: Path, opcode: str, part: int) -> None:
    witness = tmp_path / "was-here"
    evil = pickled(call_os_system(opcode, f"touch {witness}"))
    parts = [MAGIC, PROTOCOL, SYSTEM, pickled(dict_of({"w": tensor()})), pickled(list_of())]
    parts[part] = evil
    error = refusal(b"".join(parts) + SIX)
    assert error.code is ErrorCode.MODEL_UNSAFE_OP
    assert "os.system" in error.message
    assert not witness.exists()


def test_a_witness_of_os_system_would_be_seen(tmp_path: Path) -> None:
    witness = tmp_path / "was-here"
    os.system(f"touch {witness}")
    assert witness.exists()


@pytest.mark.parametrize(
    "called",
    [
        pytest.param(REBUILD + EMPTY_TUPLE + REDUCE, id="rebuild without arguments"),
        pytest.param(REBUILD + tuple_of(*[text("os")] * 6) + REDUCE, id="rebuild text"),
        pytest.param(named("torch", "FloatStorage") + EMPTY_TUPLE + REDUCE, id="call a type"),
        pytest.param(text("os.system") + EMPTY_TUPLE + REDUCE, id="call text"),
        pytest.param(ORDERED_DICT + tuple_of(text("ls")) + REDUCE, id="call a dict"),
        pytest.param(storage() + EMPTY_TUPLE + REDUCE, id="call a storage"),
        pytest.param(REBUILD + tuple_of() + b"\x81", id="NEWOBJ of a function"),
        pytest.param(REBUILD + dict_of({"__call__": ORDERED_DICT}) + BUILD, id="BUILD on rebuild"),
        pytest.param(
            REBUILD + tuple_of(NONE, dict_of({"__call__": ORDERED_DICT})) + BUILD,
            id="BUILD slots on rebuild",
        ),
        pytest.param(
            storage() + tuple_of(NONE, dict_of({"length": number(2**40)})) + BUILD,
            id="BUILD slots on a storage",
        ),
        pytest.param(
            named("collections", "OrderedDict")
            + tuple_of(NONE, dict_of({"__init__": REBUILD}))
            + BUILD,
            id="BUILD slots on OrderedDict",
        ),
        pytest.param(b"\x82\x01", id="EXT1"),
        pytest.param(b"\x97", id="NEXT_BUFFER"),
    ],
)
def test_admitted_names_cannot_be_misused(called: bytes) -> None:
    assert refusal(checkpoint(dict_of({"w": called}))).code is ErrorCode.MODEL_LOAD_FAILED


def test_a_method_planted_on_the_table_is_not_called() -> None:
    table = ORDERED_DICT + text("w") + tensor() + b"s"
    table += dict_of({"items": named("collections", "OrderedDict")}) + BUILD
    assert list(read_checkpoint(checkpoint(table))) == ["w"]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(storage(2**62), id="2**62 items"),
        pytest.param(storage(-1), id="negative length"),
        pytest.param(storage(location=text("cuda:0")), id="on a GPU"),
        pytest.param(storage(key=number(7)), id="a number as key"),
        pytest.param(storage(view=tuple_of(text("v"), number(0), number(1))), id="a view"),
        pytest.param(storage(kind=text("FloatStorage")), id="text as type"),
        pytest.param(storage(kind=ORDERED_DICT), id="a dict as type"),
        pytest.param(text("storage") + b"Q", id="bare text"),
        pytest.param(tuple_of(text("module"), text("os")) + b"Q", id="another kind of id"),
        pytest.param(b"Pstorage\n", id="PERSID"),
        pytest.param(
            tuple_of(
                text("storage"), named("torch", "FloatStorage"), text("7"), text("cpu"), TRUE, NONE
            )
            + b"Q",
            id="true as length",
        ),
    ],
)
def test_a_persistent_id_is_a_storage_or_refused(source: bytes) -> None:
    error = refusal(checkpoint(dict_of({"w": tensor((1,), (1,), source=source)})))
    assert error.code is ErrorCode.MODEL_LOAD_FAILED


def test_many_storages_cannot_together_exceed_the_file() -> None:
    table = dict_of({str(i): tensor((1,), (1,), source=storage(50, key=text(str(i))))
                     for i in range(100)})  # fmt: skip
    error = refusal(checkpoint(table, numbers=bytes(100 * 50)))
    assert "larger than the file" in error.message


def test_one_storage_described_in_two_ways_is_refused() -> None:
    table = dict_of({"a": tensor(), "b": tensor((1,), (1,), source=storage(5))})
    assert "two ways" in refusal(checkpoint(table)).message


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((7,), (1,), 0),
        ((6,), (1,), 1),
        ((2, 3), (4, 1), 0),
        ((2**40,), (0,), 0),
        ((2**40, 0), (0, 0), 0),
        ((-1,), (1,), 0),
        ((1,), (-1,), 0),
        ((1,), (1,), -1),
        ((2, 3), (1,), 0),
        ((1,) * 65, (1,) * 65, 0),
        ((1,), (2**70,), 0),
    ],
)
def test_a_tensor_stays_within_its_storage(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    error = refusal(checkpoint(dict_of({"w": tensor(shape, strides, offset=offset)})))
    assert error.code is ErrorCode.MODEL_LOAD_FAILED


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"B" + struct.pack("<I", 2**32 - 1) + b"x", id="4 GB of bytes"),
        pytest.param(b"\x8e" + struct.pack("<Q", 2**62) + b"x", id="2**62 bytes"),
        pytest.param(b"\x96" + struct.pack("<Q", 2**40) + b"x", id="a 1 TB bytearray"),
        pytest.param(b"\x95" + struct.pack("<Q", 2**62) + NONE, id="a huge frame"),
        pytest.param(NONE + b"r" + struct.pack("<I", 2**32 - 1), id="a memo of 32 GB"),
        pytest.param(b"I" + b"9" * 5000 + b"\n", id="a number of 5000 digits"),
        pytest.param(b"(" * 1000, id="marks without end"),
        pytest.param(b"0", id="an empty stack"),
        pytest.param(b"\xff", id="no opcode"),
    ],
)
def test_a_hostile_size_is_refused_before_allocation(value: bytes) -> None:
    assert refusal(checkpoint(dict_of({"w": value}))).code is ErrorCode.MODEL_LOAD_FAILED


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(tensor(), id="a tensor"),
        pytest.param(list_of(tensor()), id="a list"),
        pytest.param(EMPTY_DICT + number(1) + tensor() + b"s", id="a number as name"),
        pytest.param(dict_of({"w": text("x")}), id="text as tensor"),
        pytest.param(dict_of({"w": storage()}), id="a bare storage"),
    ],
)
def test_only_a_table_of_tensors_by_name_is_read(table: bytes) -> None:
    assert refusal(checkpoint(table)).code is ErrorCode.MODEL_LOAD_FAILED


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(pickled(number(1)) + PROTOCOL + SYSTEM, id="magic number"),
        pytest.param(MAGIC + pickled(number(1002)) + SYSTEM, id="protocol"),
        pytest.param(MAGIC + PROTOCOL + pickled(dict_of({"little_endian": FALSE})), id="order"),
        pytest.param(MAGIC + PROTOCOL + pickled(NONE), id="no system"),
    ],
)
def test_another_format_is_refused(header: bytes) -> None:
    error = refusal(checkpoint(dict_of({"w": tensor()}), header=header))
    assert error.code is ErrorCode.MODEL_LOAD_FAILED


@pytest.mark.parametrize("keys", [(), ("8",), ("7", "7"), ("7", "8")])
def test_the_key_list_must_be_that_of_the_tensors(keys: tuple[str, ...]) -> None:
    error = refusal(checkpoint(dict_of({"w": tensor()}), keys=keys))
    assert "storages are not those" in error.message


def test_keys_must_be_a_list_of_text() -> None:
    data = HEADER + pickled(dict_of({"w": tensor()})) + pickled(list_of(number(7))) + SIX
    assert "list of storages" in refusal(data).message


def test_another_length_in_the_numbers_is_refused() -> None:
    error = refusal(checkpoint(dict_of({"w": tensor()}), numbers=struct.pack("<q", 5) + SIX[8:]))
    assert "another length" in error.message


def test_bytes_after_the_last_number_are_refused() -> None:
    error = refusal(checkpoint(dict_of({"w": tensor()}), numbers=SIX + b"\0"))
    assert "follow" in error.message


def test_a_file_cut_anywhere_is_refused() -> None:
    whole = checkpoint(dict_of({"w": tensor()}))
    read_checkpoint(whole)
    for end in range(len(whole)):
        assert refusal(whole[:end]).code is ErrorCode.MODEL_LOAD_FAILED


def test_a_storage_cut_short_after_a_longer_key_list_is_refused() -> None:
    # Space that the check of the table counts as numbers is taken by the list of keys.
    table = dict_of({"w": tensor((40,), (1,), source=storage(40, key=text("k" * 170)))})
    error = refusal(checkpoint(table, keys=("k" * 170,), numbers=floats([0.0] * 5)))
    assert error.code is ErrorCode.MODEL_LOAD_FAILED
    assert "ends inside" in error.message


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_our_words(data: bytes) -> None:
    assert refusal(data).code.startswith("model.")


WHOLE = checkpoint(dict_of({"w": tensor()}))
CHANGE = st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))


# pickletools warns of a backslash in damaged text; a user would never see it.
@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
@given(st.lists(CHANGE, min_size=1, max_size=4))
def test_any_damage_gives_tensors_or_our_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for position, value in changes:
        data[position] = value
    with contextlib.suppress(ModelError):
        tensors = read_checkpoint(bytes(data))
        assert all(tensor.nbytes <= len(data) for tensor in tensors.values())
