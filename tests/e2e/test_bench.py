"""`birdcli bench` as its users run it, over models of a few weights."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.tuning import TUNING_FILE
from tests.e2e.conftest import Birdcli

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("unmeasured")

QUICK = ("--seconds", "0.02")


@pytest.fixture(scope="module")
def lite(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Birdcli:
    """The command over a home of its own whose production model is a TFLite file, and tuned."""
    run = Birdcli(tmp_path_factory.mktemp("bench") / "home")
    added = run(
        *("registry", "add", "lite@1", shared_folder / "lite.tflite"),
        *("--labels", shared_folder / "labels.csv", "--background-id", "11"),
    )
    assert added.code == 0, added.stderr
    assert run("registry", "promote", "lite@1").code == 0
    tuned = run("bench", shared_folder / "pictures", "--tune", "--json", *QUICK)
    assert tuned.code == 0, tuned.stderr
    (run.home / "tuned.json").write_bytes(tuned.stdout)
    return run


def edited(run: Birdcli, tmp_path: Path, **setting: Any) -> Birdcli:
    """The command over a copy of a home in which another setting is remembered."""
    copy = Birdcli(tmp_path / "home")
    shutil.copytree(run.home, copy.home)
    path = copy.home / TUNING_FILE
    content = json.loads(path.read_bytes())
    content["tunings"][0]["setting"] |= setting
    path.write_text(json.dumps(content))
    return copy


def batch_sizes(run: Birdcli, pictures: Path, *options: str) -> set[int]:
    done = run("classify", pictures, "--no-cache", *options)
    assert done.code == 0, done.stderr
    return {record["batch_size"] for record in done.records}


def test_a_host_is_measured_for_people(birdcli: Birdcli, pictures: Path) -> None:
    text = pictures / "readme.txt"
    done = birdcli("bench", pictures, text, "--engine", "openvino", *QUICK)
    assert done.code == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("Host        ")
    assert "Model       tiny@1" in lines
    for heading in ("Decoding alone", "Inference alone", "From files to answers", "Starts in new"):
        assert any(line.startswith(heading) for line in lines)
    assert any(line.startswith("openvino/float32 ") for line in lines)
    assert any(line.startswith("Bottleneck  The ") for line in lines)
    assert not any(line.startswith("tensorflow") for line in lines)
    assert "birdcli: starting openvino …" in done.stderr
    assert f"1 of the photos left out: {text}: this is text" in done.stderr


def test_a_host_is_measured_for_programs_with_drawn_photos(lite: Birdcli) -> None:
    done = lite("bench", "--json", *QUICK)
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["model"] == "lite@1"
    assert report["photos"]["generated"]
    assert {row["batch_size"] for row in report["inference"]} >= {1, 8, 32}
    (whole,) = report["whole"]
    assert whole["engine"] == "litert"
    assert len(whole["images_per_s"]["rounds"]) == 3
    assert 0 < whole["reached"] < 2
    (start,) = report["start"]
    parts = start["imports_s"] + start["model_s"] + start["first_batch_s"]
    assert 0 < parts < start["command_s"]["median"]


def test_a_tuning_compares_the_default_with_others_and_is_remembered(lite: Birdcli) -> None:
    report = json.loads((lite.home / "tuned.json").read_bytes())
    assert sorted(trial["batch_size"] for trial in report["screened"]) == [4, 8, 16, 32]
    assert report["finalists"][0]["batch_size"] == 8
    assert all(len(trial["images_per_s"]["rounds"]) == 5 for trial in report["finalists"])
    (row,) = json.loads(lite("bench", "--show", "--json").stdout)
    assert (row["model"], row["engine"], row["used_here"]) == ("lite@1", "litert", True)
    assert row["batch_size"] == report["chosen"]["batch_size"]


def test_classify_uses_what_is_remembered_unless_told_otherwise(
    lite: Birdcli, pictures: Path, tmp_path: Path
) -> None:
    run = edited(lite, tmp_path, batch_size=1)
    assert batch_sizes(run, pictures) == {1}
    assert max(batch_sizes(run, pictures, "--batch-size", "5")) > 1


def test_a_setting_of_an_engine_that_does_not_run_is_not_used(
    lite: Birdcli, pictures: Path, tmp_path: Path
) -> None:
    run = edited(lite, tmp_path, engine="openvino", precision="float32", batch_size=1)
    assert max(batch_sizes(run, pictures)) > 1


def test_what_other_libraries_were_tuned_with_is_not_used(
    lite: Birdcli, pictures: Path, tmp_path: Path
) -> None:
    run = edited(lite, tmp_path, batch_size=1)
    path = run.home / TUNING_FILE
    content = json.loads(path.read_bytes())
    content["tunings"][0]["key"]["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(content))
    assert max(batch_sizes(run, pictures)) > 1
    assert run("bench", "--show").stdout.decode().splitlines()[1].endswith(" no")


def test_a_broken_tuning_costs_classify_one_warning(
    lite: Birdcli, pictures: Path, tmp_path: Path
) -> None:
    run = edited(lite, tmp_path)
    (run.home / TUNING_FILE).write_text("{")
    done = run("classify", pictures, "--no-cache")
    assert done.code == 0
    assert done.stderr.count("tuning.json cannot be used") == 1


def test_nothing_remembered_is_said_with_what_would_help(tmp_path: Path) -> None:
    done = Birdcli(tmp_path).inline("bench", "--show")
    assert b"birdcli bench --tune" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--show", "--tune"), "--show measures nothing"),
        (("--tune", "--engine", "tensorflow"), "--tune chooses engine and precision itself"),
        (("--tune", "--precision", "float32"), "--tune chooses engine and precision itself"),
        (("https://example.org/a.jpg",), "is a URL"),
        (("--threads", "0"), "--threads '0'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    done = Birdcli(tmp_path).inline("bench", *arguments)
    assert done.code == 2
    assert reason in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_engine_that_does_not_run_the_model_is_refused(lite: Birdcli, pictures: Path) -> None:
    done = lite("bench", pictures, "--engine", "openvino")
    assert done.code == 2
    assert "--engine openvino does not run lite@1" in done.stderr
    assert done.stdout == b""


def test_a_time_that_is_no_number_is_refused(tmp_path: Path) -> None:
    done = Birdcli(tmp_path).inline("bench", "--seconds", "nan")
    assert done.code == 2
    assert "--seconds needs a number" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_a_bench_that_is_ended_leaves_nothing_behind(
    lite: Birdcli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = lite.start("bench", "--seconds", "5")  # of photos that are drawn
    assert process.stderr is not None
    while b"starting litert" not in process.stderr.readline():
        assert process.poll() is None
    drawn = list(tmp_path.iterdir())
    process.terminate()
    process.communicate(timeout=30)
    assert drawn
    assert (process.returncode, list(tmp_path.iterdir())) == (143, [])
