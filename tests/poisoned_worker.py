"""Processes that decode with a codec that does what a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import birdcli.isolated_decode as module
from birdcli.errors import DecodeError

if TYPE_CHECKING:
    from pathlib import Path


def poison_workers(monkeypatch: pytest.MonkeyPatch, folder: Path, statement: str) -> None:
    """Makes workers run a statement for the bytes POISON, as a broken codec would."""
    (folder / "poisoned.py").write_text(
        "import os, time\n"
        "import birdcli.decode_worker as worker\n"
        "from birdcli.errors import DecodeError, ErrorCode\n"
        "real = worker.decode_image\n"
        "def decode_image(data, *args, **kwargs):\n"
        "    if data == b'POISON':\n"
        f"        with open({str(folder / 'tries')!r}, 'a') as file: file.write('x')\n"
        "        try:\n"
        f"            {statement}\n"
        "        except MemoryError as err:\n"
        "            raise DecodeError(ErrorCode.DECODE_TOO_LARGE, 'too much') from err\n"
        "    return real(data, *args, **kwargs)\n"
        "worker.decode_image = decode_image\n"
        "worker._GRACE_S = 0.1\n"
        "from birdcli.decode_worker import main\n"
    )
    boot = module._BOOT.replace("birdcli.decode_worker import", "poisoned import")
    monkeypatch.setattr(module, "_BOOT", boot)
    monkeypatch.syspath_prepend(folder)


def refusal(pool: module.DecodePool) -> DecodeError:
    """Returns what becomes of the bytes POISON, which are no picture."""
    with pytest.raises(DecodeError) as caught:
        pool.decode(b"POISON")
    return caught.value
