"""What a power cut leaves in a file of records."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, OutputError
from birdcli.output import doubles as doubles_module
from birdcli.output import lines as lines_module
from birdcli.output.lines import Line, head_of, iter_lines
from birdcli.output.repair import Repair, read_and_repair
from tests.output_runs import refs, run_into

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = refs([f"http://h/{index}.jpg" for index in range(6)])


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    run_into(tmp_path / "made.jsonl", INPUTS)
    return (tmp_path / "made.jsonl").read_bytes().splitlines(keepends=True)


def repaired(path: Path, content: bytes) -> tuple[Repair, list[int], bytes]:
    path.write_bytes(content)
    indexes: list[int] = []
    repair = read_and_repair(path, lambda head: indexes.append(head.index), locks=[])
    return repair, indexes, path.read_bytes()


def test_a_whole_file_is_left_alone(tmp_path: Path, lines: list[bytes]) -> None:
    content = b"".join(lines)
    assert repaired(tmp_path / "f", content) == (Repair(6, 0, 0), list(range(6)), content)


@pytest.mark.parametrize("torn", [b"{", b'{"schema":1,"run":"x"', b"\0" * 5000, b"\n", b"a\nb\nc"])
def test_a_torn_end_is_cut_off(tmp_path: Path, lines: list[bytes], torn: bytes) -> None:
    content = b"".join(lines)
    repair, indexes, after = repaired(tmp_path / "f", content + torn)
    assert (repair.torn_bytes, indexes, after) == (len(torn), list(range(6)), content)


@pytest.mark.parametrize("kept", [0, 1, 15, 16, 40])
@pytest.mark.parametrize("zeros", [0, 1, 4096])
def test_a_first_record_of_which_a_power_cut_left_a_part_is_cut_off(
    tmp_path: Path, lines: list[bytes], kept: int, zeros: int
) -> None:
    repair, indexes, after = repaired(tmp_path / "f", lines[0][:kept] + bytes(zeros))
    assert (repair.torn_bytes, indexes, after) == (kept + zeros, [], b"")


def test_a_record_without_its_newline_gets_it(tmp_path: Path, lines: list[bytes]) -> None:
    repair, indexes, after = repaired(tmp_path / "f", b"".join(lines)[:-1])
    assert (repair.records, indexes, after) == (6, list(range(6)), b"".join(lines))


@pytest.mark.parametrize("damage", [b"\0" * 4096, b"garbage\n", b"x\ny\n\n", b'{"a":1}\n', b"3\n"])
def test_damage_in_the_middle_is_taken_out(
    tmp_path: Path, lines: list[bytes], damage: bytes
) -> None:
    content = b"".join([*lines[:2], damage, *lines[2:]])
    repair, indexes, after = repaired(tmp_path / "f", content)
    lost = 0 if damage.endswith(b"\n") else 1  # the record that follows on the same line
    assert repair.records == 6 - lost
    assert repair.damaged_lines == max(damage.count(b"\n"), 1)
    assert len(indexes) == 6 - lost
    assert after == b"".join(lines[:2] + lines[2 + lost :])


def test_damage_at_both_places_is_taken_out(tmp_path: Path, lines: list[bytes]) -> None:
    content = b"".join([b"x\n", *lines[:2], b"y\nz\n", *lines[2:], b"torn"])
    repair, _, after = repaired(tmp_path / "f", content)
    assert (repair, after) == (Repair(6, 4, 3), b"".join(lines))


def test_a_file_appended_to_itself_is_cut_in_half(tmp_path: Path, lines: list[bytes]) -> None:
    content = b"".join(lines)
    repair, indexes, after = repaired(tmp_path / "f", 2 * content)
    assert (repair.damaged_lines, indexes, after) == (6, list(range(6)), content)


def test_of_lines_that_are_there_twice_the_first_stay(tmp_path: Path, lines: list[bytes]) -> None:
    twice = [lines[3], lines[0], lines[1], lines[0], lines[2], lines[3], lines[0], *lines[4:]]
    repair, indexes, after = repaired(tmp_path / "f", b"".join(twice))
    assert (repair.damaged_lines, indexes) == (3, [3, 0, 1, 2, 4, 5])
    assert after == b"".join([lines[3], *lines[:3], *lines[4:]])


def test_a_last_line_that_is_there_twice_and_torn_is_cut_off(
    tmp_path: Path, lines: list[bytes]
) -> None:
    content = b"".join(lines)
    _, indexes, after = repaired(tmp_path / "f", content + lines[1][:-1])
    assert (indexes, after) == (list(range(6)), content)


def test_the_same_input_twice_keeps_both_records(tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    run_into(path, refs(["a.jpg", "a.jpg"]))
    run_into(path, refs(["a.jpg", "a.jpg", "a.jpg"]))
    content = path.read_bytes()
    repair, _, after = repaired(tmp_path / "f", content)
    assert (repair, after) == (Repair(3, 0, 0), content)


def test_records_of_one_index_that_differ_are_both_kept(tmp_path: Path, lines: list[bytes]) -> None:
    changed = lines[0].replace(b"http://h/0.jpg", b"http://h/x.jpg")
    content = b"".join([*lines, changed])
    assert repaired(tmp_path / "f", content) == (Repair(7, 0, 0), [*range(6), 0], content)


@pytest.mark.parametrize("seed", range(5))
def test_doubles_are_found_however_far_apart_and_out_of_order(
    tmp_path: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(doubles_module, "_NEAR", 8)
    monkeypatch.setattr(doubles_module, "_MOST_RUNS", 3)
    chance = random.Random(seed)
    run = json.loads(lines[0])["run"].encode()
    made = [
        lines[0]
        .replace(run, b"run-%d" % (number % 5))
        .replace(b'"index":0', b'"index":%d' % number)
        for number in range(200)
    ]
    made.sort(key=lambda line: chance.random() < 0.5)
    content = [line for line in made for _ in range(chance.choice((1, 1, 2)))]
    content += chance.sample(made, 30)
    repair, _, after = repaired(tmp_path / "f", b"".join(content))
    assert after == b"".join(dict.fromkeys(content))
    assert repair.damaged_lines == len(content) - 200


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b'{"schema":2,"run":"x","news":1}\n',
        b"precious\ntext",
        b"precious",
        b"precious\n",
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(OutputError) as caught:
        read_and_repair(path, lambda head: None, locks=[])
    assert caught.value.code is ErrorCode.OUTPUT_NOT_RESUMABLE
    assert path.read_bytes() == content


def test_a_line_without_end_is_never_held(
    tmp_path: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "LONGEST_LINE_BYTES", 3_000_000)
    path = tmp_path / "f"
    path.write_bytes(lines[0] + b"x" * 10_000_000 + b"\n" + lines[1])
    with path.open("rb") as file:
        found = list(iter_lines(file))
    assert [len(line.data) for line in found] == [len(lines[0]), 0, len(lines[1])]
    assert [line.whole for line in found] == [True, False, True]
    assert read_and_repair(path, lambda head: None, locks=[]).records == 2
    assert path.read_bytes() == lines[0] + lines[1]


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"null\n",
        b'{"schema":1}\n',
        b'{"schema":1,"run":"r","index":0,"input":"a","status":"error"}\n',
        b'{"schema":1,"run":"r","index":0,"input":"a","status":"fine"}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
    ],
)
def test_no_record(data: bytes) -> None:
    assert head_of(Line(0, data, len(data), whole=True)) is None
