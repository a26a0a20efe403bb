"""Lists that are damaged at random, and what must hold for each of them.

python -m scripts.fuzz_lists [--count 20000] [--seed 0]
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import sys
from typing import TYPE_CHECKING, Final

from birdcli.errors import UsageError
from birdcli.lists import BadEntry, ListEntry, ListFormat, iter_entries
from birdcli.settings import ListSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEEDS: Final = {
    ListFormat.LINES: b"# birds\nhttp://127.0.0.1/a.jpg\n\n  b.jpg \r\nc d.jpg",
    ListFormat.CSV: b'id,url,more\n1,a.jpg,"x\ny"\n2,"b,""c"".jpg",\n3,\n\n4,d.jpg,1,2,3\n',
    ListFormat.TSV: b'id\turl\n1\ta.jpg\n2\t"b\tc"\n',
    ListFormat.JSONL: (
        b'{"url":"a.jpg","id":1.10}\n{"url":["b"],"id":{}}\n[]\n{"url":"c","id":null}\n'
    ),
}
_PIECES: Final = (
    b"\0", b"\n", b"\r", b'"', b",", b"\t", b"{", b"}", b"[" * 2000, b"\xff", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"x" * 1_000_001, b"9" * 5000, b"NaN", b"#",
)  # fmt: skip


def damaged_lists(seed: int, count: int) -> Iterator[tuple[ListFormat, bytes]]:
    """Yields lists of every format with pieces put in, cut out, doubled and flipped."""
    rng = random.Random(seed)
    formats = tuple(ListFormat)
    for number in range(count):
        list_format = formats[number % len(formats)]
        data = bytearray(_SEEDS[list_format] * rng.randint(1, 3))
        for _ in range(rng.randint(1, 6)):
            start, end = sorted(rng.randint(0, len(data)) for _ in range(2))
            # The long pieces cost time, and say little more the second time.
            piece = rng.choice(_PIECES if len(data) < 1_000_000 else _PIECES[:8])
            change = rng.randrange(4)
            if change == 0:
                data[start:start] = piece
            elif change == 1:
                del data[start : min(end, start + 40)]
            elif change == 2:
                data[start:start] = data[start : min(end, start + 200)]
            elif start < len(data):
                data[start] ^= 1 << rng.randrange(8)
        yield list_format, bytes(data)


def problem_of(list_format: ListFormat, data: bytes, *, packed: bool = False) -> str:
    """Returns what is wrong with how a list is read, or "" if nothing is.

    Args:
        list_format: Of the list.
        data: The list.
        packed: Whether to read it through gzip, cut before its end.
    """
    stream: io.BufferedIOBase = io.BytesIO(data)
    if packed:
        stream = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(data, 1)[:-9]))
    lines = data.count(b"\n") + 1
    count = 0
    try:
        for entry in iter_entries(stream, list_format, ListSettings(), "fuzzed"):
            count += 1
            if isinstance(entry, BadEntry) and not 1 <= entry.line <= lines:
                return f"a bad entry of line {entry.line} of {lines}"
            if isinstance(entry, ListEntry) and not entry.source:
                return "an entry without a source"
    except UsageError:  # the list as a whole is told to be broken
        pass
    except Exception as err:  # noqa: BLE001 - what a fuzzer is there to find
        return f"{type(err).__name__}: {err}"
    return "" if count <= lines else f"{count} entries from {lines} lines"


def fuzz(seed: int, count: int) -> list[str]:
    """Returns the problems of `count` damaged lists, each with what it takes to see it again."""
    problems = []
    for number, (list_format, data) in enumerate(damaged_lists(seed, count)):
        problem = problem_of(list_format, data, packed=number % 8 >= 4)
        if problem:
            problems.append(f"{list_format} list {number} of seed {seed}: {problem}")
    return problems


def main() -> int:
    """Fuzzes; the exit code is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    problems = fuzz(options.seed, options.count)
    print("\n".join(problems) or f"{options.count} damaged lists: nothing wrong")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
