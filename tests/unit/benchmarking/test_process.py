from __future__ import annotations

import sys

import pytest

from scripts.benchmarking.process import ProcessFailedError, measure


def test_a_process_is_timed_and_read_to_its_end() -> None:
    done = measure(
        [sys.executable, "-c", "import sys; print('a' * 200_000); sys.stderr.write('b')"]
    )
    assert len(done.stdout) == 200_001
    assert done.stderr == "b"
    assert 0 < done.cpu_s < 10
    assert done.wall_s >= done.first_line_s > 0


def test_the_first_line_is_timed_when_it_is_whole() -> None:
    code = (
        "import time, sys\n"
        "sys.stdout.write('half'); sys.stdout.flush(); time.sleep(0.3)\n"
        "sys.stdout.write('\\n'); sys.stdout.flush(); time.sleep(0.3)"
    )
    done = measure([sys.executable, "-c", code])
    assert 0.3 <= done.first_line_s <= done.wall_s - 0.3


def test_a_failure_says_what_the_process_said() -> None:
    with pytest.raises(ProcessFailedError, match=r"ended with 7:\nno model"):
        measure(
            [sys.executable, "-c", "import sys; sys.stderr.write('no model'); raise SystemExit(7)"]
        )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of children")
def test_children_at_once_count_together() -> None:
    child = "import time; data = bytearray(60_000_000); time.sleep(0.6)"
    code = (
        "import subprocess, sys\n"
        f"both = [subprocess.Popen([sys.executable, '-c', {child!r}]) for _ in range(2)]\n"
        "[process.wait() for process in both]"
    )
    assert measure([sys.executable, "-c", code]).peak_mb > 120
