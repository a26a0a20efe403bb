"""Records have a descriptor of their own, whatever libraries write."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import logging, os, sys
from birdcli.streams import protected_streams
{before}
with protected_streams() as streams:
    handler = logging.StreamHandler(streams.people)
    logging.getLogger().addHandler(handler)
    logging.getLogger("birdcli").setLevel(logging.DEBUG)
    {inside}
{after}
"""


def run(
    inside: str, *, before: str = "", after: str = "", code: int = 0
) -> subprocess.CompletedProcess[bytes]:
    script = SCRIPT.format(inside=inside.replace("\n", "\n    "), before=before, after=after)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def test_only_records_reach_stdout() -> None:
    done = run(
        "os.write(1, b'noise on 1\\n')\nprint('a stray print')\nstreams.records.write(b'record\\n')"
    )
    assert done.stdout == b"record\n"


def test_what_libraries_write_is_logged() -> None:
    done = run("os.write(1, b'noise on 1\\n')\nos.write(2, b'noise on 2\\nrest')")
    assert b"noise on 1" in done.stderr
    assert b"noise on 2" in done.stderr


def test_python_itself_still_reaches_people() -> None:
    done = run("print('a warning', file=sys.stderr)")
    assert done.stdout == b""
    assert done.stderr == b"a warning\n"


def test_a_traceback_is_seen() -> None:
    done = run("raise ValueError('a bug')", code=1)
    assert b"ValueError: a bug" in done.stderr


def test_afterwards_the_descriptors_are_the_old_ones() -> None:
    done = run("pass", after="print('out'); print('err', file=sys.stderr)")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


@pytest.mark.parametrize("size", [10_000_000])
def test_a_library_that_writes_without_end_blocks_nobody(size: int) -> None:
    """More than a pipe holds, written while our reader cannot run."""
    inside = (
        "import ctypes\n"
        f"data = b'x' * {size}\n"
        "ctypes.PyDLL(None).write(1, data, len(data))\n"  # PyDLL keeps the interpreter's lock
        "streams.records.write(b'done\\n')"
    )
    assert run(inside).stdout == b"done\n"


REDRAWN = "streams.people.write('\\r\\x1b[2K100 of 103')\n"
BELOW = "from birdcli.streams import line_below\nwith line_below(streams.people):\n"


@pytest.mark.parametrize(
    "said", ["streams.people.write('birdcli: stopping\\n')", "logging.warning('birdcli: stopping')"]
)
def test_words_take_the_place_of_a_line_that_is_redrawn(said: str) -> None:
    done = run(f"{BELOW}    {REDRAWN}    {said}\n    {REDRAWN}")
    drawn = b"\r\x1b[2K100 of 103"
    assert done.stderr == drawn + b"\r\x1b[2Kbirdcli: stopping\n" + drawn


def test_words_after_a_line_that_was_redrawn_are_plain() -> None:
    done = run(f"{BELOW}    pass\nstreams.people.write('Done\\n')")
    assert done.stderr == b"Done\n"


def test_a_stream_that_is_not_ours_stays_as_it_is() -> None:
    inside = (
        "import io\nfrom birdcli.streams import line_below\nwith line_below(io.StringIO()): pass"
    )
    assert run(inside).stderr == b""
