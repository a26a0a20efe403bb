"""Text from outside, fit to be shown or recorded: no half characters, nothing a terminal obeys."""

from __future__ import annotations

import re
from typing import Final

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# Controls, invisible characters, and those that reverse the direction of the text around them.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def visible_text(text: str) -> str:
    r"""Returns one line that shows what it holds: invisible characters and controls as escapes.

    Bytes that were no UTF-8 (surrogate escapes) become `\xff`, a newline `\n`, ESC `\x1b`.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_escape, text)


def visible_lines(text: str) -> str:
    """Returns `visible_text` of each line; for text whose line ends are our own."""
    return "\n".join(visible_text(line) for line in text.split("\n"))


def recordable(text: str) -> str:
    r"""Returns text that UTF-8 can say; a byte that was none becomes `\xff`."""
    return text if text.isascii() else _SURROGATES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return match[0].encode("unicode_escape").decode("ascii")
