"""How many files and connections this process may have open."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

_ENOUGH: Final = 16_384


def allow_open_files(wanted: int = _ENOUGH) -> None:
    """Raises the limit of open files as far as the system lets any program, up to `wanted`.

    The usual 1,024 are a courtesy to programs that wait with `select`; a list of many hosts has
    more connections than that.
    """
    if sys.platform == "win32":  # there is no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # macOS has a further bound that it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
