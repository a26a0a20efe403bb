"""Lines for people on standard error: each on a line of its own, and without passwords."""

from __future__ import annotations

import logging
import os
from typing import IO, Final

from birdcli.masking import masked_message
from birdcli.outside_text import visible_lines

_ERASED_LINE: Final = "\r\x1b[2K"


def fresh_line(people: IO[str]) -> str:
    """Returns what to write before a line: on a terminal it erases the live progress, and `^C`."""
    if os.environ.get("TERM") == "dumb" or not people.isatty():
        return ""
    return _ERASED_LINE


def configure_logging(level: str, people: IO[str]) -> None:
    """Logs what is at least a warning, of birdcli at least `level`, for people to read."""
    handler = logging.StreamHandler(people)
    handler.setFormatter(_Formatter(fresh_line(people)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("birdcli").setLevel(level.upper())


class _Formatter(logging.Formatter):
    """One place where no library can print a password, or what a terminal would obey."""

    def __init__(self, before: str) -> None:
        super().__init__("birdcli: %(levelname)s: %(message)s")
        self._before = before

    def format(self, record: logging.LogRecord) -> str:
        return self._before + visible_lines(masked_message(super().format(record)))
