"""What pictures, users and systems may do to the processes that decode."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from birdcli.errors import ErrorCode
from birdcli.isolated_decode import DecodePool
from birdcli.settings import DecodeSettings
from tests.poisoned_worker import poison_workers, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = DecodeSettings(height=64, width=64, timeout_s=20.0)
IN_C_CODE = "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')"  # for years, with Python's lock held


def encoded(size: tuple[int, int] = (60, 40), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(file, kind)
    return file.getvalue()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip("this system allows fewer descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_large_pictures_that_end_early_ask_for_room_once() -> None:
    data = encoded((7000, 2000))
    with closing(DecodePool(replace(SETTINGS, allow_truncated=True), workers=1)) as pool:
        decoded = pool.decode(data[: len(data) * 3 // 4])
        assert decoded.truncated
        assert not pool.decode(data).truncated


@pytest.mark.usefixtures("many_descriptors")
def test_more_than_1023_open_descriptors_do_not_matter() -> None:
    with closing(DecodePool(SETTINGS, workers=1)) as pool:
        assert pool.decode(encoded()).width == 60


@pytest.mark.parametrize(
    "reply",
    ["{}", "[]", "no json", '{"code": "decode.unheard_of"}', '{"width": "x"}', '{"bytes": -1}'],
)
def test_a_process_that_talks_nonsense_costs_its_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reply: str
) -> None:
    nonsense = f"worker.json.dumps = lambda _: {reply!r}"
    poison_workers(monkeypatch, tmp_path, nonsense)
    with closing(DecodePool(SETTINGS, workers=1)) as pool:
        assert refusal(pool).code is ErrorCode.DECODE_WORKER_CRASHED
        assert pool.decode(encoded()).width == 60


def test_a_termination_of_every_process_leaves_decoding_to_the_parent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, "[os.kill(os.getpid(), number) for number in (2, 15)]")
    with closing(DecodePool(SETTINGS, workers=1)) as pool:
        assert refusal(pool).code is ErrorCode.DECODE_NOT_AN_IMAGE


def test_a_process_stuck_in_c_code_ends_with_its_parent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, f"print(os.getpid(), flush=True); {IN_C_CODE}")
    script = (
        "import os, sys, threading\n"
        "import birdcli.isolated_decode as module\n"
        "from birdcli.settings import DecodeSettings\n"
        "module._BOOT = module._BOOT.replace('birdcli.decode_worker import', 'poisoned import')\n"
        "pool = module.DecodePool(DecodeSettings(timeout_s=60), workers=1)\n"
        "threading.Thread(target=pool.decode, args=(b'POISON',), daemon=True).start()\n"
        "sys.stdin.read()\n"
        "os._exit(7)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert parent.stdin is not None
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.2)
    try:
        assert _is_running(pid)
        parent.stdin.close()
        assert parent.wait(10.0) == 7
        ends_s = time.monotonic() + 5.0
        while _is_running(pid):
            assert time.monotonic() < ends_s
            time.sleep(0.02)
    finally:
        parent.kill()
        parent.stdout.close()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_process_stuck_in_c_code_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, IN_C_CODE)
    with closing(DecodePool(replace(SETTINGS, timeout_s=0.5), workers=1)) as pool:
        pool.decode(encoded())
        assert refusal(pool).code is ErrorCode.DECODE_TIMEOUT
        assert pool.decode(encoded()).width == 60


def test_a_small_picture_may_not_use_the_memory_of_a_large_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, "kept = [bytearray(50_000_000) for _ in range(30)]")
    with closing(DecodePool(replace(SETTINGS, max_pixels=200_000_000), workers=1)) as pool:
        assert refusal(pool).code is ErrorCode.DECODE_TOO_LARGE


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
