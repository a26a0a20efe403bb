"""`birdcli classify` as its users run it."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from birdcli.record import load_record_schema
from tests.e2e.conftest import PICTURES, REPOSITORY, Birdcli, Finished
from tests.image_server import Reply, serving
from tests.loading import fastest_backend

if TYPE_CHECKING:
    from pathlib import Path


def check_record(record: dict[str, Any]) -> None:
    jsonschema.validate(record, load_record_schema())
    timings = dict(record["timings_ms"])
    total = timings.pop("total")
    timings.pop("inference_share", None)
    assert sum(timings.values()) == pytest.approx(total, abs=1.0)


def codes(done: Finished) -> list[str]:
    return [r["error"]["code"] if r["status"] == "error" else "ok" for r in done.records]


def test_a_folder_gives_one_valid_record_per_picture_in_order(
    first_run: Finished, pictures: Path
) -> None:
    assert first_run.code == 0
    records = first_run.records
    assert [r["input"] for r in records] == [str(pictures / name) for name in PICTURES]
    assert [r["index"] for r in records] == list(range(len(PICTURES)))
    for record in records:
        check_record(record)
        assert record["status"] == "ok"
        assert (record["model"], record["backend"]) == ("tiny@1", fastest_backend())
        assert len(record["predictions"]) == 3
        assert (record["image"]["width"], record["image"]["height"]) == (160, 120)
    assert len({r["run"] for r in records}) == 1


def test_people_get_a_short_summary_and_none_of_tensorflows_chatter(first_run: Finished) -> None:
    assert "Done     5 pictures in" in first_run.stderr
    assert [line.split()[0] for line in first_run.stderr.splitlines()] == [
        *("Done", "p50/p95", "Model", "Start")
    ]


def test_a_second_run_answers_from_the_cache(
    birdcli: Birdcli, known: Path, first_run: Finished
) -> None:
    again = birdcli("classify", known)
    assert {r["cache"] for r in again.records} == {"hit"}
    assert [r["predictions"] for r in again.records] == [
        r["predictions"] for r in first_run.records
    ]
    for record in again.records:
        check_record(record)
    assert "5 from the cache" in again.stderr


def test_all_classes_by_the_untouched_model_with_a_broken_cache(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    """Three things at once, because each would cost another start of TensorFlow."""
    (tmp_path / "cache").write_text("a file where a folder should be")
    done = birdcli(
        *("classify", "--top-k", "99", "--precision", "reference", known / "a.png"),
        *("--cache-dir", tmp_path / "cache"),
    )
    assert done.code == 0
    assert done.stderr.count("WARNING") == 1, done.stderr
    (record,) = done.records
    check_record(record)
    assert (record["cache"], record["backend"]) == ("miss", "tensorflow/reference")
    assert [p["rank"] for p in record["predictions"]] == list(range(1, 13))
    assert sum(p["score"] for p in record["predictions"]) == pytest.approx(1.0, abs=1e-4)
    names = {p["label"]: p["common_name"] for p in record["predictions"]}
    assert names["Species number3"] == "Bird number 3"
    assert names["background"] is None


def test_every_bad_input_gets_its_record_and_harms_nobody(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("<html>not a picture</html>")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes((known / "b.jpg").read_bytes()[:-900])
    os.mkfifo(tmp_path / "fifo.jpg")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/x.jpg"
        with serving({"/a.png": Reply(body=(known / "a.png").read_bytes())}) as server:
            done = birdcli(
                *("classify", "--retries", "0", known / "a.png", tmp_path / "text.jpg"),
                *(tmp_path / "missing.jpg", server.url("/404.jpg"), server.url("/a.png"), dead),
                *(tmp_path / "empty.jpg", tmp_path / "cut.jpg", tmp_path / "fifo.jpg"),
                *("ftp://example.org/a.jpg", "http://", known / "b.jpg"),
            )
    assert codes(done) == [
        *("ok", "decode.not_an_image", "source.not_found", "fetch.http_status", "ok"),
        *("fetch.connect", "source.empty", "decode.truncated", "source.not_a_file"),
        *("source.bad_scheme", "source.invalid_url", "ok"),
    ]
    assert done.code == 4
    for record in done.records:
        check_record(record)
    assert done.records[3]["error"]["details"]["status"] == 404
    assert list(done.records[3]["timings_ms"]) == ["queue", "fetch", "total"]
    assert list(done.records[2]["timings_ms"]) == ["queue", "fetch", "total"]
    assert done.records[4]["image"] == done.records[0]["image"]
    assert "Failed" in done.stderr


@pytest.mark.parametrize(("allowed", "code"), [("0", 4), ("1", 0), ("49%", 4), ("50%", 0)])
def test_failures_within_bounds_are_allowed(
    birdcli: Birdcli, known: Path, allowed: str, code: int
) -> None:
    done = birdcli("classify", "--max-failures", allowed, known / "a.png", known / "none.png")
    assert (done.code, codes(done)) == (code, ["ok", "source.not_found"])


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.tsv", "list.jsonl", "list.csv.gz"])
def test_lists_of_every_format(birdcli: Birdcli, known: Path, tmp_path: Path, name: str) -> None:
    paths = [str(known / picture) for picture in ("a.png", "b.jpg", "a.png")]
    text = {
        "txt": "# comment\n\n" + "\n".join(paths),
        "csv": "id,url\n" + "\n".join(f"row-{i},{path}" for i, path in enumerate(paths)),
        "tsv": "url\tid\n" + "\n".join(f"{path}\trow-{i}" for i, path in enumerate(paths)),
        "jsonl": "\n".join(
            json.dumps({"url": path, "id": f"row-{i}"}) for i, path in enumerate(paths)
        ),
    }[name.split(".")[1]]
    data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    (tmp_path / name).write_bytes(data)
    done = birdcli("classify", "--from-file", tmp_path / name)
    assert [r["input"] for r in done.records] == paths
    if name != "list.txt":
        assert [r["id"] for r in done.records] == ["row-0", "row-1", "row-2"]
    assert done.code == 0


def test_null_separated_names_may_hold_anything(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    names = [b"new\nline.png", b"-dash [red].png", b"not-utf8-\xff.png", b"#hash.png"]
    for name in names:
        shutil.copyfile(os.fsencode(known / "a.png"), os.fsencode(tmp_path) + b"/" + name)
    listed = b"".join(os.fsencode(tmp_path) + b"/" + name + b"\0" for name in names)
    done = birdcli("classify", "-0", "--from-file", "-", stdin=listed)
    assert codes(done) == ["ok"] * 4
    assert done.records[0]["input"].endswith("new\nline.png")
    assert "input_b64" in done.records[2]
    table = birdcli("classify", "-0", "--format", "table", "-f", "-", stdin=listed)
    assert table.code == 0
    assert b"[red]" in table.stdout


def test_the_first_record_comes_while_the_list_is_still_open(birdcli: Birdcli, known: Path) -> None:
    process = birdcli.start("classify", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{known / 'a.png'}\n".encode())
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["index"] == 0
    stdout, _ = process.communicate(f"{known / 'b.jpg'}\n".encode(), timeout=60)
    assert json.loads(stdout)["index"] == 1
    assert process.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_its_code_and_a_summary(
    birdcli: Birdcli, known: Path, number: int, code: int
) -> None:
    process = birdcli.start("classify", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{known / 'a.png'}\n".encode())
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert b"stopping: finishing what is in flight" in stderr
    assert b"Stopped  1 picture in" in stderr
    assert b"Traceback" not in stderr


def test_a_reader_that_closes_the_pipe_ends_the_run_quietly(birdcli: Birdcli, known: Path) -> None:
    inputs = "\n".join([str(known / "a.png")] * 3000)
    process = birdcli.start("classify", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        process.stdin.write(inputs.encode())
        process.stdin.close()
    except BrokenPipeError:
        pass
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 141
    with process.stderr as stderr:
        assert stderr.read() == b""


def test_the_pipeline_of_the_shell_ends_cleanly(birdcli: Birdcli, known: Path) -> None:
    classify = " ".join(str(part) for part in birdcli.command("classify", "-"))
    command = f"yes {known / 'a.png'} | {classify} | head -n 3 | wc -l"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True, env=birdcli.environment, cwd=REPOSITORY, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == b"3"
    assert done.stderr == b""


def test_an_existing_output_is_kept(birdcli: Birdcli, known: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("precious")
    refused = birdcli("classify", "-o", output, known / "a.png")
    assert refused.code == 5
    assert "error[output.exists]" in refused.stderr
    assert output.read_text() == "precious"
    fresh = birdcli("classify", "-o", output, "--fresh", known / "a.png")
    assert (fresh.code, fresh.stdout) == (0, b"")
    assert json.loads(output.read_text())["status"] == "ok"


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_stdout_by_name_is_stdout(birdcli: Birdcli, known: Path, name: str) -> None:
    assert codes(birdcli("classify", "-o", name, known / "a.png")) == ["ok"]


def test_an_id_column_that_was_named_must_be_there(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text(f"url,key\n{known / 'a.png'},7\n")
    assert "id" not in birdcli("classify", "-f", tmp_path / "list.csv").records[0]
    named = birdcli("classify", "--id-field", "key", "-f", tmp_path / "list.csv")
    assert named.records[0]["id"] == "7"
    wrong = birdcli("classify", "--id-field", "no", "-f", tmp_path / "list.csv")
    assert wrong.code == 2
    assert "no column 'no'" in wrong.stderr


def test_an_empty_folder_beside_others_is_one_failed_input(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    done = birdcli("classify", tmp_path, known / "a.png")
    assert (done.code, codes(done)) == (4, ["source.empty", "ok"])
    assert done.records[0]["error"]["message"] == "The folder holds no pictures"


def test_an_output_that_cannot_be_made_is_an_error_before_anything_is_fetched(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    done = birdcli("classify", "-o", tmp_path / "no" / "out.jsonl", known / "a.png")
    assert (done.code, done.stdout) == (5, b"")
    assert "error[output.unwritable]" in done.stderr


def test_a_full_disk_is_an_error(birdcli: Birdcli, known: Path) -> None:
    done = birdcli("classify", "-o", "/dev/full", known)
    assert done.code == 5
    assert "error[output.disk_full]" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "error[usage.no_input]"),
        (("-",), 2, "error[usage.no_input]"),
        (("--from-file", "/nowhere/list.txt"), 2, "error[usage.input_unreadable]"),
        (("--model", "unknown", "a.png"), 3, "error[model.not_found]"),
        (("--batch-size", "0", "a.png"), 2, "error[usage.bad_flag]"),
        (("--max-failures", "101%", "a.png"), 2, "error[usage.bad_flag]"),
        (("--max-bytes", "much", "a.png"), 2, "error[usage.bad_flag]"),
        (("--shard", "2/2", "a.png"), 2, "error[usage.bad_flag]"),
        (("--no-such-option",), 2, "No such option"),
    ],
)
def test_wrong_usage_is_told_with_its_code(
    birdcli: Birdcli, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = birdcli.inline("classify", *arguments)
    assert (done.code, done.stdout) == (code, b"")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("redirection", "code", "records"), [(">&-", 5, 0), ("2>&-", 0, 1), ("2>/dev/full", 0, 1)]
)
def test_closed_and_full_streams_do_not_make_the_exit_code_lie(
    birdcli: Birdcli, known: Path, redirection: str, code: int, records: int
) -> None:
    command = " ".join(str(part) for part in birdcli.command("classify", known / "a.png"))
    done = subprocess.run(
        ["bash", "-c", f"{command} {redirection}"],
        capture_output=True, env=birdcli.environment, cwd=REPOSITORY, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, len(done.stdout.splitlines())) == (code, records), done.stderr
    assert b"Traceback" not in done.stderr


def test_a_list_that_breaks_off_has_its_records_first(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    whole = gzip.compress(f"{known / 'a.png'}\n".encode() * 300)
    (tmp_path / "list.txt.gz").write_bytes(whole[:-4] + b"\0\0\0\0")
    done = birdcli("classify", "-f", tmp_path / "list.txt.gz")
    assert (done.code, len(done.records)) == (2, 300)
    assert "error[usage.input_unreadable]" in done.stderr
    assert "Stopped  300 pictures" in done.stderr


def test_an_output_for_nothing_is_taken_back(birdcli: Birdcli, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    done = birdcli("classify", "-f", tmp_path / "empty.txt", "-o", tmp_path / "out.jsonl")
    assert done.code == 2
    assert not (tmp_path / "out.jsonl").exists()


def test_a_shard_without_work_is_no_failure(birdcli: Birdcli, known: Path) -> None:
    assert birdcli("classify", "--shard", "5/6", known / "a.png").code == 0


def test_shards_share_the_list_and_keep_its_indexes(birdcli: Birdcli, known: Path) -> None:
    done = birdcli("classify", "--shard", "1/2", known)
    assert [r["index"] for r in done.records] == [1, 3]


def test_csv_has_a_row_per_input(birdcli: Birdcli, known: Path) -> None:
    done = birdcli("classify", "--format", "csv", known / "a.png", known / "none.png")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("index,id,input,status,label,common_name,score")
    assert "source.not_found" in lines[2]


def test_the_table_shows_english_names_first(birdcli: Birdcli, known: Path) -> None:
    done = birdcli("classify", "--format", "table", known / "a.png", known / "none.png")
    text = done.stdout.decode()
    assert "Bird number" in text
    assert "source.not_found" in text
    assert done.code == 4


def test_one_flipped_byte_of_the_model_stops_the_run(
    birdcli: Birdcli, known: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(birdcli.home, home)
    (weights,) = (home / "registry/models/tiny/1").rglob("variables.data-00000-of-00001")
    data = bytearray(weights.read_bytes())
    data[100] ^= 1
    weights.write_bytes(data)
    done = Birdcli(home)("classify", known / "a.png")
    assert (done.code, done.stdout) == (3, b"")
    assert "error[model.sha256_mismatch]" in done.stderr
    assert "variables.data" in done.stderr


def test_options_may_come_from_the_environment(birdcli: Birdcli, known: Path) -> None:
    done = subprocess.run(
        birdcli.command("classify", known / "a.png"),
        capture_output=True,
        env=birdcli.environment
        | {"BIRDCLI_CLASSIFY_FORMAT": "csv", "BIRDCLI_CLASSIFY_OUTPUT_FORMAT": "csv"},
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith(b"index,id,input")


def test_unordered_records_are_the_same_ones(
    birdcli: Birdcli, known: Path, first_run: Finished
) -> None:
    done = birdcli("classify", "--unordered", "--no-progress", "--log-level", "info", known)
    answers = {r["index"]: r["predictions"] for r in done.records}
    assert answers == {r["index"]: r["predictions"] for r in first_run.records}
