"""Text without the secrets that URLs carry, for records and for people."""

from __future__ import annotations

import re
from typing import Final

from birdcli.outside_text import visible_text

# The full-width, the small and the escaped one are no at signs to a server, but were meant so.
_AT: Final = "(?:[@\uff20\ufe6b]|%40)"
_AT_SIGN: Final = re.compile(_AT)
# A URL may be mistyped: no slash, one, or three. Every search below has to be linear, as a line of
# a list may be a megabyte made by an enemy.
_OPENING: Final = r"(?<=://)|(?<=[\w+.\-]{2}:/)|\A(?:https?|ftp):/*"
_OPENING_IN_TEXT: Final = r"(?<=://)|(?<=[\w+.\-]{2}:/)|\b(?:https?|ftp):/*"
_USER_INFO: Final = re.compile(rf"({_OPENING})[^/?#]*{_AT}", re.IGNORECASE)
_USER_INFO_IN_TEXT: Final = re.compile(
    rf"({_OPENING_IN_TEXT})[^/?#\s]{{0,4096}}{_AT}", re.IGNORECASE
)
# A password with a raw slash ends the authority early. The rest is then no port number, so the
# URL is unusable, but it still holds the secret.
_NO_PORT: Final = re.compile(rf"({_OPENING})[^/?#@:\[]*:(?!\d*(?:[/?#]|\Z))", re.IGNORECASE)
_SECRET_PARAMETER: Final = re.compile(
    r"([?&;][^=&;#\s]*(?:token|signature|secret|password|credential|\bsig|\bkey|api_?key)"
    r"[^=&;#\s]*=)[^&;#\s'\")>]+",
    re.IGNORECASE,
)


def masked_source(source: str) -> str:
    """Returns an input as the user gave it, with the user info of a URL as `***`.

    Mistyped URLs are masked as well: one slash, or an at sign of another kind.
    """
    if ":" not in source or _AT_SIGN.search(source) is None:
        return source
    masked, count = _USER_INFO.subn(r"\1***@", source)
    if count:
        return masked
    *_, last = _AT_SIGN.finditer(source)
    broken = _NO_PORT.search(source, 0, last.start())
    return source if broken is None else f"{source[: broken.end(1)]}***@{source[last.end() :]}"


def visible_source(source: str) -> str:
    """Returns an input as one line for people: masked, with nothing hidden in it."""
    return visible_text(masked_source(source))


def masked_message(text: str) -> str:
    """Returns a message without credentials of URLs quoted in it."""
    if ":" in text:
        text = _USER_INFO_IN_TEXT.sub(r"\1***@", text)
    return _SECRET_PARAMETER.sub(r"\1***", text)


def visible_message(text: str) -> str:
    """Returns a message as one line without credentials of URLs quoted in it."""
    return visible_text(masked_message(text).strip())
