"""Engines as users choose them: what answers, what is prepared, and what a failure leads to."""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from birdcli.errors import ErrorCode
from birdcli.hashing import sha256_of_bytes, sha256_of_file
from birdcli.manifest import parse_manifest
from birdcli.models.engines import this_machine
from tests.e2e.conftest import Birdcli, Finished
from tests.loading import fastest_backend, needs_openvino
from tests.tiny_model import save_tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRECISION = fastest_backend().partition("/")[2]


@pytest.fixture
def home(birdcli: Birdcli, tmp_path: Path) -> Birdcli:
    """A copy of the home, to be changed; without answers of earlier runs."""
    shutil.copytree(birdcli.home / "registry", tmp_path / "home" / "registry")
    return Birdcli(tmp_path / "home")


def version_folder(home: Birdcli) -> Path:
    (folder,) = (path for path in (home.home / "registry/models/tiny/1").iterdir())
    return folder


def rewrite(home: Birdcli, change: Callable[[Any], None]) -> None:
    """Edits the entry of tiny@1 and makes digests and history fit: no check of bytes can tell."""
    registry = home.home / "registry"
    fields = json.loads((registry / "manifest.json").read_bytes())
    entry = fields["models"]["tiny"]["1"]
    change(entry)
    for described in entry.get("prepared", []):
        path = version_folder(home) / described["path"]
        described.update(bytes=path.stat().st_size, sha256=sha256_of_file(path))
    version = parse_manifest(json.dumps(fields).encode()).version("tiny@1")
    assert version is not None
    lines = [json.loads(it) for it in (registry / "history.jsonl").read_text().splitlines()]
    history = "".join(f"{json.dumps(it | {'derived': version.derived_digest})}\n" for it in lines)
    (registry / "history.jsonl").write_text(history)
    fields["history"] = {"bytes": len(history), "sha256": sha256_of_bytes(history.encode())}
    (registry / "manifest.json").write_text(json.dumps(fields))


def only_tensorflows_graph(entry: Any) -> None:
    """As an import on a machine without OpenVINO leaves it."""
    (kept,) = (it for it in entry["prepared"] if re.search("tensorflow.*float32", it["path"]))
    entry["prepared"] = [kept]
    entry["evidence"] = []


def named(done: Finished) -> list[str]:
    assert done.code == 0, done.stderr
    return [record["predictions"][0]["label"] for record in done.records]


def backends(done: Finished) -> set[str]:
    assert done.code == 0, done.stderr
    return {record["backend"] for record in done.records}


def prepared(home: Birdcli) -> list[str]:
    shown = json.loads(home.inline("registry", "show", "tiny@1", "--json").stdout)
    return [entry["path"].removeprefix("prepared/") for entry in shown["prepared"]]


def test_tensorflow_answers_when_it_is_asked_for(
    home: Birdcli, first_run: Finished, pictures: Path
) -> None:
    before = prepared(home)
    done = home("classify", "--engine", "tensorflow", pictures)
    assert backends(done) == {f"tensorflow/{PRECISION}"}
    assert named(done) == named(first_run)
    assert "warning" not in done.stderr
    assert prepared(home) == before


@needs_openvino
def test_an_openvino_run_never_imports_tensorflow(
    home: Birdcli, first_run: Finished, pictures: Path
) -> None:
    done, imported = home.importing("classify", "--engine", "openvino", pictures)
    assert backends(done) == {f"openvino/{PRECISION}"}
    assert named(done) == named(first_run)
    assert {"openvino", "numpy"} <= imported
    assert not {"tensorflow", "tensorflow_hub", "keras", "aiohttp", "ai_edge_litert"} & imported


@needs_openvino
def test_float32_can_be_asked_for(home: Birdcli, first_run: Finished, pictures: Path) -> None:
    done = home("classify", "--precision", "float32", pictures)
    assert backends(done) == {"openvino/float32"}
    assert named(done) == named(first_run)


def test_without_openvino_asking_for_it_is_refused_with_what_installs_it(
    home: Birdcli, pictures: Path
) -> None:
    done = home.without("openvino", "classify", "--engine", "openvino", pictures)
    assert (done.code, done.stdout) == (3, b"")
    assert f"error[{ErrorCode.MODEL_RUNTIME_MISSING}]: openvino is not installed" in done.stderr
    assert 'pip install "birdcli[fast]"' in done.stderr


def test_without_openvino_tensorflow_is_what_auto_means(birdcli: Birdcli, known: Path) -> None:
    """Whatever engine `auto` found gave these answers: none is started for them."""
    done = birdcli.without("openvino", "classify", known)
    assert done.code == 0, done.stderr
    assert {record["cache"] for record in done.records} == {"hit"}
    assert f"tiny@1 on tensorflow/{PRECISION}" in done.stderr


@needs_openvino
def test_openvino_runs_an_installed_version_where_tensorflow_is_not_installed(
    home: Birdcli, first_run: Finished, pictures: Path
) -> None:
    done = home.without("tensorflow", "classify", pictures)
    assert backends(done) == {fastest_backend()}
    assert named(done) == named(first_run)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--engine", "litert"), ErrorCode.USAGE_BAD_FLAG, "litert does not run tiny@1"),
        (
            ("--engine", "openvino", "--precision", "reference"),
            ErrorCode.USAGE_BAD_FLAG,
            "reference is TensorFlow's",
        ),
    ],
)
def test_what_the_model_cannot_have_is_wrong_usage(
    birdcli: Birdcli, pictures: Path, options: tuple[str, ...], code: ErrorCode, words: str
) -> None:
    done = birdcli("classify", *options, pictures)
    assert (done.code, done.stdout) == (2, b"")
    assert f"error[{code}]" in done.stderr
    assert words in done.stderr


@needs_openvino
def test_what_a_run_prepares_is_kept_for_the_next_one(
    home: Birdcli, first_run: Finished, pictures: Path
) -> None:
    rewrite(home, only_tensorflows_graph)
    done, imported = home.importing("classify", "--no-cache", pictures)
    assert named(done) == named(first_run)
    assert "tensorflow" not in imported
    assert [path.split("-")[0] for path in prepared(home)] == ["tensorflow", "openvino", "openvino"]
    history = json.loads(home.inline("registry", "history", "--json").stdout)
    assert [row["action"] for row in history] == ["install", "promote", "prepare"]
    assert home.inline("registry", "verify", "--digests-only").code == 0
    before = (home.home / "registry" / "history.jsonl").read_bytes()
    assert named(home("classify", "--no-cache", pictures)) == named(first_run)
    assert (home.home / "registry" / "history.jsonl").read_bytes() == before
    (row,) = [
        row
        for row in json.loads(home.inline("registry", "list", "--json").stdout)
        if row["model"] == "tiny@1"
    ]
    assert row["validated_here"] is True


@needs_openvino
def test_two_runs_that_prepare_the_same_graph_at_once_both_succeed(
    home: Birdcli, pictures: Path
) -> None:
    rewrite(home, only_tensorflows_graph)
    running = [home.start("classify", "--no-cache", pictures) for _ in range(2)]
    for process in running:
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr.decode()
        assert len(stdout.splitlines()) == 5
        assert b"warning" not in stderr
    assert len(prepared(home)) == len(set(prepared(home))) == 3
    assert home.inline("registry", "verify", "--digests-only").code == 0


@needs_openvino
@pytest.mark.skipif(sys.platform != "linux", reason="permissions of Linux")
def test_a_home_that_can_only_be_read_prepares_for_itself_each_time(
    home: Birdcli, pictures: Path
) -> None:
    rewrite(home, only_tensorflows_graph)
    with home.unwritable():
        done = home.obedient("classify", "--no-cache", pictures)
    assert done.code == 0, done.stderr
    assert len(done.records) == 5
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "what was prepared for this machine is not kept" in warnings[0]
    assert len(prepared(home)) == 1


@needs_openvino
def test_a_version_that_is_removed_during_a_run_costs_the_run_nothing(
    home: Birdcli, pictures: Path
) -> None:
    """What it has prepared for that version is lost, and it says so."""
    rewrite(home, only_tensorflows_graph)
    process = home.start("classify", "--no-cache", "-m", "tiny@1", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{pictures / 'a.png'}\n".encode())
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["status"] == "ok"
    for what in ("production", "tiny@1"):
        assert home.inline("registry", "remove", what).code == 0
    stdout, stderr = process.communicate(f"{pictures / 'b.jpg'}\n".encode(), timeout=60)
    assert process.returncode == 0, stderr.decode()
    assert json.loads(stdout)["status"] == "ok"
    (warning,) = [line for line in stderr.decode().splitlines() if "warning" in line]
    assert "what was prepared for this machine is not kept: tiny@1 is not installed" in warning


@needs_openvino
def test_a_graph_that_answers_otherwise_gives_way_to_the_next_engine(
    home: Birdcli, first_run: Finished, pictures: Path
) -> None:
    """Somebody who could write everything replaced it, or a library computes it wrongly."""

    def clip_earlier(entry: Any) -> None:
        (description,) = (it["path"] for it in entry["prepared"] if it["path"].endswith(".xml"))
        path = version_folder(home) / description
        text = path.read_text()
        assert text.count('max="6"') == 1
        path.write_text(text.replace('max="6"', 'max="1"'))

    rewrite(home, clip_earlier)
    done = home("classify", "--no-cache", pictures)
    assert backends(done) == {f"tensorflow/{PRECISION}"}
    assert named(done) == named(first_run)
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    tried = ["bfloat16", "float32"] if this_machine().bfloat16 else ["float32"]
    assert [line.split()[2] for line in warnings] == [f"openvino/{it}" for it in tried]
    assert f"{len(tried)} faster way" in done.stderr
    asked = home("classify", "--no-cache", "--engine", "openvino", pictures)
    assert (asked.code, asked.stdout) == (3, b"")
    assert f"error[{ErrorCode.MODEL_GOLDEN_MISMATCH}]" in asked.stderr


@needs_openvino
@pytest.mark.skipif(not this_machine().bfloat16, reason="a processor without bfloat16")
def test_a_model_that_bfloat16_would_change_is_proven_and_run_in_float32(
    shared_folder: Path, tmp_path: Path, pictures: Path
) -> None:
    run = Birdcli(tmp_path / "home")
    save_tiny_model(tmp_path / "model", change="fragile")
    added = run(
        *("registry", "add", "fragile@1", tmp_path / "model"),
        *("--labels", shared_folder / "labels.csv", "--scale", "unit"),
    )
    assert added.code == 0, added.stderr
    assert "warning: openvino/bfloat16 is not used: " in added.stderr
    done = run("classify", "--no-cache", "-m", "fragile", pictures)
    assert backends(done) == {"openvino/float32"}
    assert "warning: openvino" not in done.stderr
    asked = run("classify", "--no-cache", "-m", "fragile", "--precision", "bfloat16", pictures)
    assert asked.code == 3
    assert f"error[{ErrorCode.MODEL_GOLDEN_MISMATCH}]" in asked.stderr


def test_the_summary_says_where_the_start_went(first_run: Finished) -> None:
    (line,) = [line for line in first_run.stderr.splitlines() if line.startswith("Start")]
    words = line.replace(",", "").split()
    total, *parts = (float(word) for word in words if word[0].isdigit())
    assert sum(parts) == pytest.approx(total, rel=0.05, abs=0.03)
    for part in ("imports", "model", "first batch"):
        assert part in line


@pytest.fixture
def broken_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenVINO that is installed, and whose import fails."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "openvino.py").write_text("raise RuntimeError('for another NumPy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))


@needs_openvino
@pytest.mark.usefixtures("broken_openvino")
def test_an_engine_that_cannot_be_imported_is_told_once(home: Birdcli, pictures: Path) -> None:
    done = home("classify", "--no-cache", pictures)
    assert done.code == 0
    assert done.stderr.count("is not used") == 1
    assert "1 faster way not used" in done.stderr


@needs_openvino
@pytest.mark.usefixtures("broken_openvino")
def test_a_start_that_fails_leaves_no_file_behind(
    home: Birdcli, tmp_path: Path, pictures: Path
) -> None:
    command = ("classify", "--no-cache", "-o", tmp_path / "o.csv", "--format", "csv", pictures)
    failed = home(*command, "--engine", "openvino")
    assert (failed.code, failed.stdout) == (3, b"")
    assert "is not used" not in failed.stderr  # the error says it
    assert home(*command).code == 0


@needs_openvino
def test_a_missing_prepared_graph_is_made_anew(home: Birdcli, pictures: Path) -> None:
    (description,) = (version_folder(home) / "prepared").glob("*.xml")
    description.unlink()
    done = home("classify", "--no-cache", pictures)
    assert done.code == 0
    assert description.is_file()
    assert home("registry", "verify", "--digests-only").code == 0


@needs_openvino
def test_a_damaged_prepared_graph_is_refused_with_what_mends_it(
    home: Birdcli, pictures: Path
) -> None:
    (description,) = (version_folder(home) / "prepared").glob("*.xml")
    description.write_bytes(description.read_bytes() + b" ")
    done = home("classify", "--no-cache", pictures)
    assert done.code == 3
    assert "hint: Remove the file" in done.stderr
