"""Lines of a list, of any length, as they arrive."""

from __future__ import annotations

import codecs
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from birdcli.errors import ErrorCode, UsageError
from birdcli.masking import masked_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase

MAX_LINE_BYTES: Final = 1_000_000
TOO_LONG: Final = f"is longer than {MAX_LINE_BYTES:,} bytes"
_CHUNK_BYTES: Final = 65_536
_BOM: Final = b"\xef\xbb\xbf"
_OTHER_MARKS: Final = (  # the longer ones first, as UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class Line(NamedTuple):
    """A line without its end.

    Attributes:
        number: Its place in the list, from 1.
        data: Its bytes; beyond `MAX_LINE_BYTES` some may be missing.
    """

    number: int
    data: bytes

    @property
    def too_long(self) -> bool:
        """Whether it is longer than `MAX_LINE_BYTES`."""
        return len(self.data) > MAX_LINE_BYTES


@contextmanager
def reading_list(name: str) -> Iterator[None]:
    """Turns the errors of opening, reading and unpacking a list into ours.

    Raises:
        UsageError: ``usage.input_unreadable``.
    """
    try:
        yield
    except (OSError, EOFError, zlib.error) as err:
        reason = (err.strerror if isinstance(err, OSError) else None) or str(err)
        raise UsageError(
            ErrorCode.USAGE_INPUT_UNREADABLE,
            f"the list {masked_source(name)} cannot be read: {reason}",
            list=name,
        ) from err


def iter_lines(stream: BufferedIOBase, name: str, *, end: bytes) -> Iterator[Line]:
    """Yields the lines of a list, each as soon as its end has arrived.

    Args:
        stream: The list.
        name: The list as the user knows it, for errors.
        end: The byte that ends a line; the last line needs none.

    Raises:
        UsageError: ``usage.input_unreadable`` if the list breaks off, after the lines before that.
    """
    number = 0
    head = bytearray()  # of a line whose end has not arrived
    while chunk := _read(stream, name):
        *pieces, tail = chunk.split(end)
        for piece in pieces:
            number += 1
            if head:
                _extend(head, piece)
                yield Line(number, bytes(head))
                head.clear()
            else:
                yield Line(number, piece)
        _extend(head, tail)
    if head:
        yield Line(number + 1, bytes(head))


def without_bom(lines: Iterator[Line], name: str) -> Iterator[Line]:
    """Yields the lines, the first without the byte order mark of UTF-8.

    Raises:
        UsageError: ``usage.input_unreadable`` if the mark is another encoding's: every line would
            fail, for a reason that none of them could tell.
    """
    for line in lines:
        if line.number > 1:
            yield line
            continue
        for mark, encoding in _OTHER_MARKS:
            if line.data.startswith(mark):
                raise UsageError(
                    ErrorCode.USAGE_INPUT_UNREADABLE,
                    f"the list {masked_source(name)} is {encoding}, not UTF-8",
                    hint=f"Convert it: iconv -f {encoding} -t UTF-8.",
                    list=name,
                )
        yield Line(1, line.data.removeprefix(_BOM))


def text_of(data: bytes) -> str:
    """Returns UTF-8 as text; other bytes become surrogate escapes."""
    return data.decode("utf-8", "surrogateescape")


def _read(stream: BufferedIOBase, name: str) -> bytes:
    with reading_list(name):
        return stream.read1(_CHUNK_BYTES)


def _extend(head: bytearray, piece: bytes) -> None:
    if len(head) <= MAX_LINE_BYTES:  # a line that is too long already need not grow
        head += piece
