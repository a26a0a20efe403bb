"""The judge of repairs: silent about a right one, and not fooled by any of the wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, OutputError
from birdcli.record import encode_record, record_of
from scripts.fuzz_outputs import Fault, cut_everywhere, fuzz, is_record, judge
from tests.unit.test_record import classified, failed

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.fuzz_outputs import Repair

RECORDS = [
    encode_record(record_of(outcome, "run-1"))
    for outcome in (
        classified("a.jpg"),
        failed("https://u:p@h/b.jpg"),
        classified("c\udcff \u2028"),
    )
]
WHOLE = b"".join(RECORDS)
BEGINNING = b'{"schema":1,"run":"'
BROKEN = b"not a record\n"


def lines_of(path: Path) -> list[bytes]:
    return [line + b"\n" for line in path.read_bytes().split(b"\n")]


def right(path: Path) -> None:
    """The promise in its shortest form, for files that fit into memory."""
    lines = lines_of(path)
    good = list(dict.fromkeys(line for line in lines if is_record(line)))
    content = path.read_bytes()
    begun = BEGINNING.startswith(content[: len(BEGINNING)]) or not content.strip(b"\0")
    torn = b"\n" not in content and begun
    if content and not good and not torn:
        raise OutputError(ErrorCode.OUTPUT_NOT_RESUMABLE, "no record")
    path.write_bytes(b"".join(good))


def keeps_everything(path: Path) -> None:
    path.read_bytes()


def drops_the_first(path: Path) -> None:
    right(path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def turns_round(path: Path) -> None:
    right(path)
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))


def empties(path: Path) -> None:
    path.write_bytes(b"")


def refuses(path: Path) -> None:
    raise OutputError(ErrorCode.OUTPUT_NOT_RESUMABLE, "too careful")


def empties_and_refuses(path: Path) -> None:
    empties(path)
    refuses(path)


def crashes(path: Path) -> None:
    raise RecursionError


def grows(path: Path) -> None:
    right(path)
    path.write_bytes(path.read_bytes() + RECORDS[0])


@pytest.mark.parametrize(
    ("repair", "damaged", "faults"),
    [
        (keeps_everything, RECORDS[0] + BROKEN + RECORDS[1], [Fault.KEPT]),
        (keeps_everything, WHOLE + RECORDS[0], [Fault.DOUBLED]),
        (keeps_everything, WHOLE[:-9], [Fault.TORN]),
        (drops_the_first, WHOLE, [Fault.LOST, Fault.UNSETTLED]),
        (turns_round, WHOLE, [Fault.LOST, Fault.UNSETTLED]),
        (empties, WHOLE, [Fault.LOST]),
        (empties, b"notes", [Fault.DESTROYED]),
        (empties, b"notes\n", [Fault.DESTROYED]),
        (empties_and_refuses, b"notes\n", [Fault.DESTROYED]),
        (refuses, WHOLE, [Fault.REFUSED]),
        (refuses, WHOLE[:-1], [Fault.REFUSED]),
        (crashes, WHOLE, [Fault.CRASHED]),
        (grows, WHOLE, [Fault.DOUBLED]),
    ],
)
def test_a_wrong_repair_is_found_out(
    tmp_path: Path, repair: Repair, damaged: bytes, faults: list[Fault]
) -> None:
    assert [it.fault for it in judge(repair, damaged, tmp_path, case="")] == faults


@pytest.mark.parametrize(
    "line",
    [
        RECORDS[0].replace(b"American Crow", b"American \xff"),
        RECORDS[0].replace(b"American Crow", b"American \0"),
        RECORDS[0].replace(b"0.953125", b"NaN"),
        RECORDS[0].replace(b"0.953125", b"9.53125"),
        RECORDS[0].replace(b'"schema":1', b'"schema":2'),
        b'{"schema":1,"run":"r","index":0,"input":"a","status":"ok","timings_ms":{"total":1}}\n',
        b"[" * 100_000 + b"\n",
        RECORDS[0][:-1],
    ],
)
def test_what_the_schema_refuses_is_no_record(line: bytes) -> None:
    assert is_record(RECORDS[0])
    assert not is_record(line)


def test_a_last_record_without_its_newline_may_be_ended_or_done_again(tmp_path: Path) -> None:
    def cuts(path: Path) -> None:
        path.write_bytes(b"".join(it for it in path.read_bytes().splitlines(True) if is_record(it)))

    assert judge(right, WHOLE[:-1], tmp_path, case="") == []
    assert judge(cuts, WHOLE[:-1], tmp_path, case="") == []


def test_a_right_repair_is_left_in_peace(tmp_path: Path) -> None:
    assert fuzz(right, WHOLE, tmp_path, seeds=range(300)) == []
    assert cut_everywhere(right, WHOLE, tmp_path, step=7) == []


def test_damage_is_the_same_for_the_same_seed_and_finds_every_kind_of_fault(tmp_path: Path) -> None:
    found = fuzz(keeps_everything, WHOLE, tmp_path, seeds=range(60))
    assert found == fuzz(keeps_everything, WHOLE, tmp_path, seeds=range(60))
    assert {Fault.KEPT, Fault.TORN, Fault.DOUBLED} <= {it.fault for it in found}
    assert {it.fault for it in fuzz(empties, WHOLE, tmp_path, seeds=range(60))} >= {
        Fault.LOST,
        Fault.DESTROYED,
    }


def test_every_cut_from_the_beginning_to_the_end_is_tried(tmp_path: Path) -> None:
    sizes: list[int] = []

    def remembers(path: Path) -> None:
        sizes.append(path.stat().st_size)
        right(path)

    cut_everywhere(remembers, WHOLE, tmp_path, last_bytes=5)
    assert sorted({*sizes} & {*range(len(WHOLE) - 5, len(WHOLE) + 1)}) == [
        *range(len(WHOLE) - 5, len(WHOLE) + 1)
    ]
