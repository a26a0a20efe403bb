"""Outputs that cannot be lost by mistake: names, lists that are wrong, files that are read.

The inputs do not exist, so that no engine is needed.
"""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, Birdcli

pytestmark = [
    pytest.mark.usefixtures("unmeasured"),
    pytest.mark.tensorflow,
    pytest.mark.xdist_group("tensorflow"),
]

MISSING = ("missing-1.jpg", "missing-2.jpg")


def in_shell(birdcli: Birdcli, script: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Runs a script in which `classify` is the real command."""
    command = shlex.join(map(str, birdcli.command("classify")))
    return subprocess.run(
        ["bash", "-c", f'classify() {{ {command} "$@"; }}\n{script}'],
        env=birdcli.environment | {"PYTHONPATH": str(REPOSITORY)},
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )


def names_in(data: bytes) -> list[str]:
    lines = data.replace(b"\r\n", b"\n").splitlines()
    return [json.loads(line)["input"] for line in lines if line.startswith(b'{"schema"')]


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


STREAMS = [  # tests/unit/output knows more names; here each kind of way is gone once
    *(("-", 1), ("/dev/stdout", 1), ("/proc/thread-self/fd/1", 1), ("linked/../link", 1)),
    *(("/dev/fd/3", 3), ("/dev/stderr", 2)),
]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs Linux")  # noqa: PTH110
@pytest.mark.parametrize("into", ["pipe", "file"])
def test_every_name_of_a_standard_stream_leads_to_it(
    birdcli: Birdcli, tmp_path: Path, into: str
) -> None:
    (tmp_path / "link").symlink_to("deeper")
    (tmp_path / "deeper").symlink_to("/dev/stdout")
    (tmp_path / "folder").mkdir()
    (tmp_path / "linked").symlink_to("folder")
    streams = STREAMS if into == "pipe" else STREAMS[-2:]
    for place, (name, _) in enumerate(streams):
        ends = "3> $to.3 2> $to.2 > $to.1"
        if into == "pipe":
            ends = "3> >(cat > $to.3) 2> >(cat > $to.2) > >(cat > $to.1)"
        script = f"to=got{place}; {{ classify {' '.join(MISSING)} -o {name}; }} {ends}; echo $?"
        done = in_shell(birdcli, f"{script}; wait; sleep 0.1", tmp_path)
        assert done.stdout == b"4\n", name
    for place, (name, goes_to) in enumerate(streams):
        for number in (1, 2, 3):
            expected = list(MISSING) if number == goes_to else []
            got = (tmp_path / f"got{place}.{number}").read_bytes()
            assert names_in(got) == expected, (name, number)


def test_a_terminal_gets_the_records_that_are_sent_to_it(birdcli: Birdcli) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        birdcli.command("classify", *MISSING, "-o", "/dev/../dev/stdout", "--format", "jsonl"),
        env=birdcli.environment,
        cwd=REPOSITORY,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    got = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how Linux says that nobody has the other end any more
            break
        if not chunk:
            break
        got += chunk
    os.close(ours)
    assert process.wait(60) == 4
    assert names_in(got) == list(MISSING)


@pytest.mark.parametrize("name", ["/dev/fd/5", "/dev/fd/77", "/dev/stdin"])
def test_a_descriptor_that_cannot_be_written_is_refused(birdcli: Birdcli, name: str) -> None:
    done = birdcli("classify", *MISSING, "-o", name)
    assert done.code == 5
    assert "error[output.unwritable]" in done.stderr


def test_a_link_to_standard_output_cannot_be_continued(birdcli: Birdcli, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    done = birdcli.inline("classify", "a.jpg", "-o", str(tmp_path / "link"), "--resume")
    assert done.code == 2


@pytest.mark.parametrize(
    ("words", "code", "form"),
    [
        ("-f no-such-list.txt", 2, "jsonl"),
        ("-f columns.csv", 2, "jsonl"),
        ("-f columns.csv", 2, "csv"),
        ("-f empty.txt", 2, "csv"),
        ("-f empty.txt", 2, "jsonl"),
        (f"{MISSING[0]} -m no-such-model", 3, "jsonl"),
        ("-f columns.csv --shard 0/2", 2, "jsonl"),
    ],
)
def test_a_run_that_cannot_start_changes_nothing(
    birdcli: Birdcli, tmp_path: Path, words: str, code: int, form: str
) -> None:
    (tmp_path / "columns.csv").write_text("link,name\nx,y\n")
    (tmp_path / "empty.txt").touch()
    for name in ("old", "old.fingerprint.json", "old.retry"):
        (tmp_path / name).write_bytes(b"precious")
    before = everything(tmp_path)
    for output in ("-o new", "-o old --fresh"):
        line = f"classify {words} {output} --format {form}"
        done = in_shell(birdcli, line, tmp_path)
        assert done.returncode == code, done.stderr
        assert everything(tmp_path) == before


def test_a_shard_without_work_has_an_empty_output(birdcli: Birdcli, tmp_path: Path) -> None:
    words = f"classify {MISSING[0]} --shard 1/2 -o shard.jsonl"
    assert in_shell(birdcli, words, tmp_path).returncode == 0
    assert (tmp_path / "shard.jsonl").read_bytes() == b""
    assert in_shell(birdcli, f"{words} --resume", tmp_path).returncode == 0


def test_a_file_called_minus_is_left_alone(birdcli: Birdcli, tmp_path: Path) -> None:
    (tmp_path / "-").write_bytes(b"precious")
    (tmp_path / "empty.txt").touch()
    for form in ("jsonl", "csv"):
        words = f"classify -f empty.txt -o - --format {form}"
        assert in_shell(birdcli, words, tmp_path).returncode == 2
        assert (tmp_path / "-").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "words",
    [
        "-f l.txt -o hard --fresh",
        "-f l.txt -o soft --fresh --format csv",
        "-f - -o l.txt --fresh < l.txt",
        ". -o t.jpg --fresh",
        "-f l.txt >> l.txt",
        "-f l.txt -o /dev/fd/3 3>> l.txt",
        "- < l.txt >> hard",
    ],
)
def test_records_never_go_into_what_is_read(birdcli: Birdcli, tmp_path: Path, words: str) -> None:
    (tmp_path / "l.txt").write_text("\n".join(MISSING))
    (tmp_path / "hard").hardlink_to(tmp_path / "l.txt")
    (tmp_path / "soft").symlink_to("l.txt")
    (tmp_path / "t.jpg").write_bytes(b"a picture")
    (tmp_path / "l.txt.fingerprint.json").write_bytes(b"{}")
    before = everything(tmp_path)
    done = in_shell(birdcli, f"classify {words}", tmp_path)
    assert done.returncode == 2, done.stderr
    assert b"error[usage.bad_flag]: records would go into what is read" in done.stderr
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        *(("x" * 300, ""), ("x" * 250, "--fresh"), ("loop", "--resume")),
        *(("closed/o.jsonl", ""), ("no/o.jsonl", "")),
    ],
)
def test_a_name_that_cannot_be_written_is_refused(
    birdcli: Birdcli, tmp_path: Path, name: str, asked: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "closed").mkdir(mode=0o000)
    done = birdcli.obedient("classify", *MISSING, "-o", tmp_path / name, *asked.split())
    (tmp_path / "closed").chmod(0o755)
    assert done.code == 5, done.stderr
    assert "error[output.unwritable]" in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["closed", "loop"]


def test_a_folder_is_called_one(birdcli: Birdcli, tmp_path: Path) -> None:
    done = birdcli("classify", *MISSING, "-o", tmp_path)
    assert done.code == 5
    assert "it is a folder" in done.stderr
    assert "--fresh" not in done.stderr


@pytest.mark.parametrize(
    ("name", "tool"), [("z.jsonl.gz", "gzip"), ("z.JSONL.GZ", "gzip"), ("z.zst", "zstd")]
)
def test_a_name_of_a_packed_file_is_refused(
    birdcli: Birdcli, tmp_path: Path, name: str, tool: str
) -> None:
    done = birdcli.inline("classify", "a.jpg", "-o", str(tmp_path / name))
    assert done.code == 2
    assert f"| {tool} > " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_an_option_without_a_value_is_followed_by_is_no_bogus_input(
    birdcli: Birdcli, tmp_path: Path
) -> None:
    done = birdcli.inline("classify", "a.jpg", "-o", str(tmp_path / "o"), "--retry-failed", "all")
    assert done.code == 2
    assert "--retry-failed=all" in done.stderr
    assert list(tmp_path.iterdir()) == []
    wrong = birdcli.inline("classify", "a.jpg", "-o", str(tmp_path / "o"), "--retry-failed=some")
    assert wrong.code == 2
    assert "none" not in wrong.stderr


def test_an_input_may_be_called_all(birdcli: Birdcli, tmp_path: Path) -> None:
    (tmp_path / "all").write_bytes(b"no picture")
    done = in_shell(birdcli, "classify -o o --retry-failed all", tmp_path)
    assert done.returncode == 4
    assert names_in((tmp_path / "o").read_bytes()) == ["all"]


def _catches(status: str, number: int) -> bool:
    (caught,) = [line for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs Linux")  # noqa: PTH110
@pytest.mark.parametrize("output", ["new", "old"])
def test_a_run_that_is_stopped_before_its_first_record_changes_nothing(
    birdcli: Birdcli, tmp_path: Path, output: str
) -> None:
    (tmp_path / "old").write_bytes(b"precious")
    before = everything(tmp_path)
    process = birdcli.start("classify", "-", "-o", str(tmp_path / output), "--fresh")
    status = Path(f"/proc/{process.pid}/status")
    # Measuring coverage catches SIGTERM from the beginning, and Python catches SIGINT.
    while not _catches(status.read_text(), signal.SIGHUP):
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"--resume" not in stderr  # which would continue what was to be thrown away
    assert everything(tmp_path) == before
