"""Pictures decoded in processes of their own: real ones, that hang, die and eat memory."""

from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from birdcli.decode import PillowDecoder
from birdcli.errors import DecodeError, ErrorCode
from birdcli.isolated_decode import DecodePool, MemoryBudget
from birdcli.settings import DecodeSettings
from tests.poisoned_worker import poison_workers, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = DecodeSettings(height=64, width=64, timeout_s=10.0)


def encoded(kind: str = "JPEG", size: tuple[int, int] = (300, 200), seed: int = 1) -> bytes:
    noise = np.random.RandomState(seed).randint(0, 256, (size[1] // 10, size[0] // 10, 3))
    picture = Image.fromarray(noise.astype(np.uint8)).resize(size)
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    pool = DecodePool(SETTINGS, workers=2)
    yield pool
    pool.close()


def children() -> list[int]:
    """Processes of this one that decode."""
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    return [int(line.split()[0]) for line in found.splitlines() if "decode_worker" in line]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_pixels_are_those_of_decoding_here(pool: DecodePool, kind: str) -> None:
    data = encoded(kind)
    here, there = PillowDecoder(SETTINGS).decode(data), pool.decode(data)
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert (there.width, there.height, there.format) == (here.width, here.height, here.format)
    assert there.started_s <= there.ended_s
    assert not there.pixels.flags.writeable


def test_many_at_once_are_not_mixed_up(pool: DecodePool) -> None:
    files = [encoded("PNG", (100 + 10 * seed, 80), seed) for seed in range(40)]
    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(pool.decode, files))
    for data, result in zip(files, results, strict=True):
        np.testing.assert_array_equal(result.pixels, PillowDecoder(SETTINGS).decode(data).pixels)


def test_a_file_larger_than_the_shared_memory_fits(pool: DecodePool) -> None:
    noise = np.random.RandomState(2).randint(0, 256, (1000, 1000, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    assert len(file.getvalue()) > 2_000_000
    assert pool.decode(file.getvalue()).width == 1000
    assert pool.decode(encoded()).width == 300


def test_errors_are_those_of_decoding_here(pool: DecodePool) -> None:
    for data in (b"<html>", encoded()[:400], encoded("PNG")[:60]):
        with pytest.raises(DecodeError) as here:
            PillowDecoder(SETTINGS).decode(data)
        with pytest.raises(DecodeError) as there:
            pool.decode(data)
        assert (there.value.code, there.value.message, there.value.details) == (
            *(here.value.code, here.value.message, here.value.details),
        )


def test_a_killed_worker_costs_nothing(pool: DecodePool) -> None:
    pool.decode(encoded())
    before = set(children())
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert pool.decode(encoded()).width == 300
    assert pool.decode(encoded()).width == 300
    assert set(children()).isdisjoint(before)


def test_a_picture_that_kills_its_worker_is_tried_twice_and_costs_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, "os.kill(os.getpid(), 11)")
    with closing(DecodePool(SETTINGS, workers=1)) as pool:
        with pytest.raises(DecodeError, match="killed by signal 11") as caught:
            pool.decode(b"POISON")
        assert caught.value.code is ErrorCode.DECODE_WORKER_CRASHED
        assert (tmp_path / "tries").read_text() == "xx"
        assert pool.decode(encoded()).width == 300


def test_a_picture_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, "time.sleep(60)")
    with closing(DecodePool(replace(SETTINGS, timeout_s=0.5), workers=1)) as pool:
        pool.decode(encoded())  # it has begun, so that no more time is allowed for its start
        started_s = time.monotonic()
        assert refusal(pool).code is ErrorCode.DECODE_TIMEOUT
        assert time.monotonic() - started_s < 5.0
        assert (tmp_path / "tries").read_text() == "x"
        assert pool.decode(encoded()).width == 300


def test_the_first_picture_of_a_process_is_too_slow_and_has_not_crashed_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, "time.sleep(60)")
    with closing(DecodePool(replace(SETTINGS, timeout_s=0.3), workers=1)) as pool:
        assert refusal(pool).code is ErrorCode.DECODE_TIMEOUT


def decoded_in_company(pool: DecodePool, count: int = 1) -> list[DecodeError]:
    """Has poison decoded, several at once, while other pictures are; returns what comes of it."""
    done = threading.Event()

    def keep_company() -> None:
        while not done.is_set():
            pool.decode(encoded())

    with ThreadPoolExecutor(count + 1) as threads:
        company = threads.submit(keep_company)
        try:
            return list(threads.map(refusal, [pool] * count))
        finally:
            done.set()
            company.result(10.0)


def test_a_picture_that_takes_too_long_beside_others_is_tried_once_more_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seconds = f"0 if len(open({str(tmp_path / 'tries')!r}).read()) > 1 else 60"
    poison_workers(monkeypatch, tmp_path, f"time.sleep({seconds})")
    with closing(DecodePool(replace(SETTINGS, timeout_s=0.5), workers=2)) as pool:
        for _ in range(2):
            pool.decode(encoded())
        (error,) = decoded_in_company(pool)
        assert error.code is ErrorCode.DECODE_NOT_AN_IMAGE  # which is what it is, in time
        assert (tmp_path / "tries").read_text() == "xx"


def test_a_picture_that_takes_too_long_alone_as_well_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, "time.sleep(60)")
    with closing(DecodePool(replace(SETTINGS, timeout_s=0.5), workers=2)) as pool:
        (error,) = decoded_in_company(pool)
        assert error.code is ErrorCode.DECODE_TIMEOUT
        assert "also when it was the only one" in error.message
        assert (tmp_path / "tries").read_text() == "xx"
        assert pool.decode(encoded()).width == 300


def test_pictures_that_hang_do_not_stop_a_run_again_and_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, "time.sleep(60)")
    with closing(DecodePool(replace(SETTINGS, timeout_s=0.3), workers=5)) as pool:
        assert {it.code for it in decoded_in_company(pool, 4)} == {ErrorCode.DECODE_TIMEOUT}
        assert (tmp_path / "tries").read_text() == "x" * (4 + 3)


def test_a_second_try_that_ends_in_time_lets_others_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sixth = f"0 if len(open({str(tmp_path / 'tries')!r}).read()) == 6 else 60"
    poison_workers(monkeypatch, tmp_path, f"time.sleep({sixth})")
    with closing(DecodePool(replace(SETTINGS, timeout_s=0.3), workers=2)) as pool:
        ends = [decoded_in_company(pool)[0].code for _ in range(5)]
        assert ends == [
            *[ErrorCode.DECODE_TIMEOUT] * 2,
            ErrorCode.DECODE_NOT_AN_IMAGE,
            *[ErrorCode.DECODE_TIMEOUT] * 2,
        ]
        assert (tmp_path / "tries").read_text() == "x" * 10


def test_what_libraries_print_blocks_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = "[os.write(fd, b'noise' * 100) for fd in (1, 2) for _ in range(500)]"
    poison_workers(monkeypatch, tmp_path, noise)
    with closing(DecodePool(SETTINGS, workers=1)) as pool:
        assert refusal(pool).code is ErrorCode.DECODE_NOT_AN_IMAGE
    capfd.readouterr()


def test_closing_leaves_no_process_even_in_the_middle_of_a_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison_workers(monkeypatch, tmp_path, "time.sleep(60)")
    pool = DecodePool(SETTINGS, workers=2)
    stuck = threading.Thread(target=_quietly, args=(pool, b"POISON"), daemon=True)
    stuck.start()
    while not (tmp_path / "tries").exists():
        time.sleep(0.01)
    pool.close()
    stuck.join(10.0)
    assert not stuck.is_alive()
    assert children() == []


def test_workers_end_with_their_parent_however_it_dies(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from birdcli.isolated_decode import DecodePool\n"
        "from birdcli.settings import DecodeSettings\n"
        "pool = DecodePool(DecodeSettings(), workers=2)\n"
        "pool._start_all()\n"
        "print(*(worker._process.pid for worker in pool._workers), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    pids = [int(word) for word in parent.stdout.split()]
    assert len(pids) == 2
    ends_s = time.monotonic() + 10.0
    while any(_is_running(pid) for pid in pids):
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def test_a_picture_beyond_the_memory_of_its_process_is_too_large(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hungry = "kept = [bytearray(50_000_000) for _ in range(1000)]"
    poison_workers(monkeypatch, tmp_path, hungry)
    with closing(DecodePool(replace(SETTINGS, max_pixels=1_000_000), workers=1)) as pool:
        assert refusal(pool).code is ErrorCode.DECODE_TOO_LARGE
        assert pool.decode(encoded()).width == 300


def test_large_pictures_share_one_budget_of_memory() -> None:
    flat = io.BytesIO()
    Image.new("RGB", (7000, 2000), (10, 200, 30)).save(flat, "PNG")
    settings = replace(SETTINGS, bytes_at_once=60_000_000)
    with closing(DecodePool(settings, workers=2)) as pool, ThreadPoolExecutor(4) as threads:
        results = list(threads.map(pool.decode, [flat.getvalue()] * 6))
    assert [result.width for result in results] == [7000] * 6
    spans = sorted((result.started_s, result.ended_s) for result in results)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_the_budget_lets_one_pass_alone() -> None:
    budget = MemoryBudget(10)
    budget.acquire(100)
    second = threading.Thread(target=budget.acquire, args=(1,), daemon=True)
    second.start()
    second.join(0.05)
    assert second.is_alive()
    budget.release(100)
    second.join(5.0)
    assert not second.is_alive()


def test_small_pictures_do_not_overtake_a_large_one_for_ever() -> None:
    budget = MemoryBudget(10)
    budget.acquire(6)
    order: list[int] = []

    def take(size: int) -> None:
        budget.acquire(size)
        order.append(size)

    large = threading.Thread(target=take, args=(8,), daemon=True)
    large.start()
    time.sleep(0.05)
    small = threading.Thread(target=take, args=(2,), daemon=True)
    small.start()
    time.sleep(0.05)
    assert order == []
    budget.release(6)
    for thread in (large, small):
        thread.join(5.0)
    assert order == [8, 2]


def _quietly(pool: DecodePool, data: bytes) -> None:
    with suppress(DecodeError):
        pool.decode(data)


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
