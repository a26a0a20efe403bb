"""A real file system that is small enough to run full."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_BYTES: Final = 4096


@contextmanager
def small_file_system(*, pages: int) -> Iterator[Path | None]:
    """Mounts so many pages of memory as a file system; gives None where that is not allowed."""
    with tempfile.TemporaryDirectory() as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={pages * PAGE_BYTES}", "tmpfs", name]
        allowed = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount") is not None
        if not allowed or subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def fill(folder: Path, *, free_pages: int) -> Path:
    """Leaves so many pages of a file system free; returns the file that takes up the others."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(PAGE_BYTES))
        except OSError:
            ballast.truncate(ballast.tell() // PAGE_BYTES * PAGE_BYTES - free_pages * PAGE_BYTES)
    return path
