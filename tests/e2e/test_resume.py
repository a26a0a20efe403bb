"""Runs that are stopped, killed, refused and continued, as their user would."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.chaos_server import chaos
from tests.e2e.conftest import REPOSITORY, Birdcli
from tests.output_runs import keys_in

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.usefixtures("unmeasured"),
    pytest.mark.tensorflow,
    pytest.mark.xdist_group("tensorflow"),
]

PICTURES = 300


@pytest.fixture
def listed(known: Path, tmp_path: Path) -> Path:
    """A list of links to known pictures, each under a name of its own."""
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(PICTURES):
        (folder / f"{index:04}.png").symlink_to(known / "a.png")
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{folder / f'{index:04}.png'}\n" for index in range(PICTURES)))
    return path


def records_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def verify_complete(output: Path, listed: Path) -> None:
    assert Counter(r["input"] for r in records_in(output)) == Counter(
        listed.read_text().splitlines()
    )


def test_a_killed_run_is_continued_until_every_input_has_one_record(
    birdcli: Birdcli, listed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    command = ("classify", "-f", str(listed), "-o", str(output), "--resume", "--no-cache")
    seed = random.Random(5)
    killed = 0
    for _ in range(3):
        process = birdcli.start(*command)
        goal = (len(output.read_bytes()) if output.exists() else 0) + seed.randint(1, 50_000)
        while process.poll() is None and (not output.exists() or output.stat().st_size < goal):
            time.sleep(0.002)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.communicate()
    assert killed
    done = birdcli(*command)
    assert done.code == 0, done.stderr
    verify_complete(output, listed)
    again, imported = birdcli.importing(*command)
    assert again.code == 0
    assert f"{PICTURES} inputs have their records" in again.stderr
    assert imported.isdisjoint({"tensorflow", "openvino"})


def test_a_stopped_run_says_how_to_go_on(birdcli: Birdcli, listed: Path, tmp_path: Path) -> None:
    output = tmp_path / "out $x.jsonl"
    process = birdcli.start(
        "classify",
        "-f",
        "-",
        str(listed.parent / "many" / "0000.png"),
        "-o",
        str(output),
        "--unordered",
    )
    while not output.exists() or not output.read_bytes():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 143
    (line,) = [line for line in stderr.decode().splitlines() if line.startswith("Continue with")]
    told, _, command = line.partition(": ")
    assert told == "Continue with (the same list on standard input)"
    home, program, *words = shlex.split(command)
    assert (home, program) == (f"BIRDCLI_HOME={birdcli.home}", "birdcli")
    assert words[-1] == "--resume"
    done = subprocess.run(
        birdcli.command(*words),
        env=birdcli.environment,
        cwd=REPOSITORY,
        input=listed.read_bytes(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = Counter(record["input"] for record in records_in(output))
    # The picture that was named on the command line is in the list, too.
    assert sorted(counts.values()) == [1] * (PICTURES - 1) + [2]


def test_the_second_signal_stops_at_once_and_leaves_what_can_be_continued(
    birdcli: Birdcli, listed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    fifo = tmp_path / "fifo.txt"
    os.mkfifo(fifo)
    process = birdcli.start("classify", "-f", str(listed), "-f", str(fifo), "-o", str(output))
    writer = os.open(fifo, os.O_WRONLY)  # the list never ends
    while not output.exists() or not output.read_bytes():
        time.sleep(0.01)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    started_s = time.monotonic()
    process.communicate(timeout=30)
    os.close(writer)
    assert process.returncode == 130
    assert time.monotonic() - started_s < 4.0
    done = birdcli("classify", "-f", str(listed), "-o", str(output), "--resume")
    assert done.code == 0, done.stderr
    verify_complete(output, listed)


def test_failures_of_before_count_in_the_exit_code(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    missing = tmp_path / "late.png"
    command = ("classify", str(known / "a.png"), str(missing), "-o", str(output))
    assert birdcli(*command).code == 4
    again = birdcli(*command, "--resume")
    assert again.code == 4
    assert "2 done before, 1 of them failed" in again.stderr
    missing.write_bytes((known / "a.png").read_bytes())
    assert birdcli(*command, "--retry-failed").code == 4  # a missing file is not for later
    healed = birdcli(*command, "--retry-failed=all")
    assert healed.code == 0, healed.stderr
    assert sorted(r["status"] for r in records_in(output)) == ["ok", "ok"]
    assert set(keys_in(output).values()) == {1}
    assert not output.with_name("out.jsonl.retry").exists()


def test_what_may_pass_is_tried_again_and_nothing_else_is_asked_for(
    birdcli: Birdcli, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    with chaos() as server:
        urls = [server.url(f"/flaky/1/{n}") for n in range(3)]
        urls += [server.url("/status/404"), server.url("/ok/7")]
        command = ("classify", *urls, "-o", str(output), "--no-cache", "--retries", "0")
        assert birdcli(*command).code == 4
        first = {record["input"]: record for record in records_in(output)}
        assert [first[url]["status"] for url in urls] == ["error"] * 4 + ["ok"]
        assert birdcli(*command, "--retry-failed").code == 4
        asked = Counter(urlsplit(seen.target).path for seen in server.seen)
    second = {record["input"]: record for record in records_in(output)}
    assert [second[url]["status"] for url in urls] == ["ok"] * 3 + ["error", "ok"]
    assert [second[url] == first[url] for url in urls] == [False] * 3 + [True] * 2
    assert asked == {f"/flaky/1/{n}": 2 for n in range(3)} | {"/status/404": 1, "/ok/7": 1}


def test_failures_that_are_not_named_again_still_count(birdcli: Birdcli, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    missing = [tmp_path / f"{number}.png" for number in range(3)]
    assert birdcli("classify", *missing, "-o", output).code == 4
    before = output.read_bytes()
    done = birdcli("classify", missing[0], "-o", output, "--retry-failed=all", "--shard", "1/2")
    assert done.code == 4
    assert "3 inputs that failed were not named this time" in done.stderr
    assert "3 done before, 3 of them failed" in done.stderr
    assert output.read_bytes() == before


def test_other_settings_are_refused(birdcli: Birdcli, known: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert birdcli("classify", known / "a.png", "-o", output).code == 0
    before = output.read_bytes()
    refused = birdcli("classify", known / "a.png", "-o", output, "--resume", "-k", "2")
    assert refused.code == 5
    assert "error[output.settings_differ]" in refused.stderr
    assert "top_k 3" in refused.stderr
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ["--resume"],
        ["--resume", "-o", "-"],
        ["--resume", "--fresh", "-o", "x.jsonl"],
        ["--retry-failed", "--fresh", "-o", "x.jsonl"],
        ["--resume", "-o", "x.csv", "--format", "csv"],
        ["--retry-failed=some", "-o", "x.jsonl"],
    ],
)
def test_what_cannot_be_continued_is_wrong_usage(birdcli: Birdcli, words: list[str]) -> None:
    assert birdcli.inline("classify", "a.jpg", *words).code == 2


def test_a_run_stops_early_past_its_bound(birdcli: Birdcli, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    process = birdcli.start("classify", "-", "-o", str(output), "--max-failures", "3")
    assert process.stdin is not None
    process.stdin.write("".join(f"missing{n}.jpg\n" for n in range(5)).encode())
    process.stdin.flush()  # and the list stays open
    assert process.wait(30) == 4
    text = process.communicate()[1].decode()
    assert "more inputs failed than --max-failures allows" in text
    assert f"birdcli classify - -o {output} --resume\n" in text  # not with the same bound
    assert len(records_in(output)) == 5


def test_a_full_disk_stops_the_run_within_a_second(
    birdcli: Birdcli, listed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    script = f"ulimit -f 20; exec {shlex.join(map(str, birdcli.command()))} " + shlex.join(
        ["classify", "-f", str(listed), "-o", str(output)]
    )
    done = subprocess.run(
        ["bash", "-c", script],
        env=birdcli.environment,
        cwd=REPOSITORY,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    whole = output.read_bytes().count(b"\n")
    assert f"{whole:,} records are written whole" in done.stderr.decode()
    assert f"birdcli classify -f {listed} -o {output} --resume\n" in done.stderr.decode()
    assert birdcli("classify", "-f", listed, "-o", output, "--resume").code == 0
    verify_complete(output, listed)


def test_a_stopped_run_without_a_file_says_what_it_takes(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo.txt"
    os.mkfifo(fifo)
    process = birdcli.start("classify", known / "a.png", "-f", fifo)
    writer = os.open(fifo, os.O_WRONLY)  # the list never ends
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    words = process.communicate(timeout=30)[1].decode()
    os.close(writer)
    assert process.returncode == 130
    assert words.splitlines()[-1].startswith("Only a run with -o FILE")
