"""Damages files of records as power cuts and people do, and judges what a repair makes of them.

The repair is a parameter, so that the judge shares no code with what it judges: what counts as a
record is said by the JSON Schema that ships with the package and by Python's own strict parser.

    findings = fuzz(repair, whole, folder, seeds=range(2000))
    findings += cut_everywhere(repair, whole, folder)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from jsonschema import Draft202012Validator

from birdcli.errors import OutputError
from birdcli.record import load_record_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Repair: TypeAlias = "Callable[[Path], object]"
"""Repairs a file in place, or raises `OutputError` and leaves it as it is."""

LAST_BYTES: Final = 65_536
_LONGEST_RUN: Final = 6_000
_BEGINNING: Final = b'{"schema":1,"run":"'


class Fault(StrEnum):
    """How a repair broke its promise."""

    LOST = "a whole record is gone, or they changed their order"
    KEPT = "a line that is no record is still there"
    DOUBLED = "a record is still there twice"
    TORN = "the last line has no end, so the next record would be glued to it"
    REFUSED = "a file with whole records was refused"
    DESTROYED = "a file of something else was changed"
    UNSETTLED = "a second repair changed the file again"
    CRASHED = "something else than an OutputError was raised"


@dataclass(frozen=True, slots=True)
class Finding:
    """One damaged file that a repair did not put right.

    Attributes:
        fault: What went wrong.
        case: How to make the damage again: a seed or the length of a cut file.
        damaged: The file before the repair.
    """

    fault: Fault
    case: str
    damaged: bytes


def fuzz(repair: Repair, whole: bytes, folder: Path, *, seeds: Iterable[int]) -> list[Finding]:
    """Damages a file at random, once for each seed, and returns what a repair did wrong.

    Args:
        repair: What is judged.
        whole: A file of records; small ones are damaged in more ways.
        folder: Where the damaged files are made.
        seeds: Each makes the same damage whenever it is used.
    """
    return [
        finding
        for seed in seeds
        for finding in judge(repair, damage(whole, Random(seed)), folder, case=f"seed {seed}")
    ]


def cut_everywhere(
    repair: Repair, whole: bytes, folder: Path, *, last_bytes: int = LAST_BYTES, step: int = 1
) -> list[Finding]:
    """Cuts a file off at each of its last bytes, and returns what a repair did wrong.

    Args:
        repair: What is judged.
        whole: A file of records.
        folder: Where the cut files are made.
        last_bytes: How far from the end the first cut is.
        step: Bytes from one cut to the next; a prime number meets every part of a record.
    """
    return [
        finding
        for size in range(max(len(whole) - last_bytes, 0), len(whole) + 1, step)
        for finding in judge(repair, whole[:size], folder, case=f"cut to {size} bytes")
    ]


def judge(repair: Repair, damaged: bytes, folder: Path, *, case: str) -> list[Finding]:
    """Repairs one damaged file and returns what went wrong, nothing if all is well."""
    path = folder / "damaged.jsonl"
    path.write_bytes(damaged)
    return [Finding(fault, case, damaged) for fault in _faults(repair, damaged, path)]


def damage(whole: bytes, random: Random) -> bytes:
    """Returns a file as it may look after a power cut or in somebody's editor."""
    data = whole
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(_DAMAGES)(data, random)
    return data


def is_record(line: bytes) -> bool:
    """Tells whether a line, with its newline, is a record by the schema of the package."""
    return line.endswith(b"\n") and _is_valid(line[:-1])


def _faults(repair: Repair, damaged: bytes, path: Path) -> Iterator[Fault]:
    lines = _lines(damaged)
    records = _once(line for line in lines if is_record(line))
    # The last record may lack nothing but its newline: both to end it and to redo it are right.
    ended = records
    if lines and is_record(lines[-1] + b"\n"):
        ended = _once([*records, lines[-1] + b"\n"])
    try:
        repair(path)
    except OutputError:
        if ended:
            yield Fault.REFUSED
        if path.read_bytes() != damaged:
            yield Fault.DESTROYED
        return
    except Exception:  # noqa: BLE001 - whatever else a repair raises is the finding
        yield Fault.CRASHED
        return
    repaired = path.read_bytes()
    if not ended and repaired != damaged and not _may_be_torn(damaged):
        yield Fault.DESTROYED
        return
    found = _lines(repaired)
    if found and not found[-1].endswith(b"\n"):
        yield Fault.TORN
    if any(not is_record(line) for line in found if line.endswith(b"\n")):
        yield Fault.KEPT
    kept = [line for line in found if is_record(line)]
    if kept != _once(kept):
        yield Fault.DOUBLED
    elif kept not in (records, ended):
        yield Fault.LOST
    repair(path)
    if path.read_bytes() != repaired:
        yield Fault.UNSETTLED


def _once(lines: Iterable[bytes]) -> list[bytes]:
    """Each line where it is first."""
    return list(dict.fromkeys(lines))


def _may_be_torn(data: bytes) -> bool:
    """Whether a file without a whole record may be the very beginning of one of ours.

    Of what was written a power cut may have kept the length alone: then zeros stand for the rest.
    """
    head = data.rstrip(b"\0")[: len(_BEGINNING)]
    return b"\n" not in data and _BEGINNING.startswith(head)


def _lines(data: bytes) -> list[bytes]:
    """Lines with their newlines; `bytes.splitlines` would split at carriage returns, too."""
    *ended, rest = data.split(b"\n")
    return [*(line + b"\n" for line in ended), *([rest] if rest else [])]


@lru_cache(maxsize=20_000)
def _is_valid(text: bytes) -> bool:
    try:
        record: Any = json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and _validator().is_valid(record)


@lru_cache(maxsize=1)
def _validator() -> Draft202012Validator:
    return Draft202012Validator(load_record_schema())


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(start + random.randrange(1, _LONGEST_RUN), len(data))


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _lose_the_end(data: bytes, random: Random) -> bytes:
    """The length of the file reached the disk, its last blocks did not."""
    kept = random.randrange(len(data) + 1)
    return data[:kept] + bytes(len(data) - kept)


def _fill_the_end(data: bytes, random: Random) -> bytes:
    """The last blocks are those of a file that was deleted before."""
    kept = random.randrange(len(data) + 1)
    return data[:kept] + random.randbytes(min(len(data) - kept, _LONGEST_RUN))


def _flip_bits(data: bytes, random: Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(random.choice((1, 2, 20)) if data else 0):
        flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _lose_a_block(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + bytes(end - start) + data[end:]


def _overwrite(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + random.randbytes(end - start) + data[end:]


def _take_out(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _insert_line(data: bytes, random: Random) -> bytes:
    lines = _lines(data)
    foreign = random.choice(
        (
            *(b"\n", b"\r\n", b"\0\n", b"null\n", b"[]\n", b"{}\n", b"# a note\n", b"{" * 5_000),
            *(b'{"schema":1}\n', b"\xff\xfe\n", b"\xef\xbb\xbf\n", b"x" * 100_000 + b"\n"),
        )
    )
    lines.insert(random.randrange(len(lines) + 1), foreign)
    return b"".join(lines)


def _double_lines(data: bytes, random: Random) -> bytes:
    """Somebody joined a file with a copy of it."""
    lines = _lines(data)
    start, end = sorted((random.randrange(len(lines) + 1), random.randrange(len(lines) + 1)))
    place = random.randrange(len(lines) + 1)
    return b"".join([*lines[:place], *lines[start:end], *lines[place:]])


def _drop_a_field(data: bytes, random: Random) -> bytes:
    """A line that is JSON and yet no record."""
    lines = _lines(data)
    place = random.randrange(len(lines) or 1)
    if not lines or not is_record(lines[place]):
        return data
    record = json.loads(lines[place])
    del record[random.choice(sorted(record))]
    lines[place] = json.dumps(record).encode() + b"\n"
    return b"".join(lines)


def _replace_all(_: bytes, random: Random) -> bytes:
    """Another file under the same name."""
    return random.choice((b"a,b\n1,2\n", b"notes", b"notes\n", b"\n", random.randbytes(3_000)))


_DAMAGES: Final = (
    *(_cut, _lose_the_end, _fill_the_end, _flip_bits, _lose_a_block, _overwrite, _take_out),
    *(_insert_line, _double_lines, _drop_a_field, _replace_all),
)
