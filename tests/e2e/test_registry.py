"""The life of a registry through the real commands: two versions, back and forth, and away."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode
from birdcli.hashing import sha256_of_file
from tests.e2e.conftest import Birdcli, Finished
from tests.loading import fastest_backend
from tests.tiny_model import save_tiny_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def two(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Birdcli:
    """A home in which tiny@2, another model, has taken over from tiny@1."""
    folder = tmp_path_factory.mktemp("two")
    run = Birdcli(folder / "home")
    shutil.copytree(shared_folder / "home", run.home)
    save_tiny_model(folder / "model", logits=True)
    added = run(
        *("registry", "add", "tiny@2", folder / "model", "--labels", shared_folder / "labels.csv"),
        *("--scale", "unit"),
    )
    assert added.code == 0, added.stderr
    promoted = run("registry", "promote", "tiny@2", "--note", "logits now")
    assert "production is now tiny@2 (before: tiny@1)" in promoted.stderr
    return run


@pytest.fixture
def home(two: Birdcli, tmp_path: Path) -> Birdcli:
    """A copy of that home, to be changed."""
    shutil.copytree(two.home, tmp_path / "home")
    return Birdcli(tmp_path / "home")


def test_a_rollback_proves_the_former_version_and_serves_it_again(home: Birdcli) -> None:
    done = home("registry", "rollback", "--note", "blurred")
    assert (done.code, done.stdout) == (0, b"")
    assert "production is tiny@1 again (left: tiny@2)" in done.stderr
    rows = json.loads(home("registry", "history", "production", "--json").stdout)
    assert [(row["action"], row["from"], row["model"]) for row in rows] == [
        ("promote", None, "tiny@1"),
        ("promote", "tiny@1", "tiny@2"),
        ("rollback", "tiny@2", "tiny@1"),
    ]
    assert rows[2]["note"] == "blurred"
    assert rows[2]["evidence"]["backend"] == fastest_backend()
    again = home("registry", "rollback")
    assert again.code == 3
    assert f"error[{ErrorCode.MODEL_NO_PREVIOUS}]" in again.stderr


def test_the_history_reads_well_at_a_glance(two: Birdcli) -> None:
    lines = two("registry", "history").stdout.decode().splitlines()
    assert re.split(r" {2,}", lines[0]) == ["WHEN (UTC)", "WHO", "WHAT", "NOTE"]
    assert re.search(r"  promote production: tiny@1 -> tiny@2  +logits now$", lines[-1])
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d  \S+ +install tiny@1$", lines[1])


def test_an_alias_that_was_edited_fails_the_verification_of_everything(home: Birdcli) -> None:
    manifest = home.home / "registry" / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"production": "tiny@2"', '"production": "tiny@1"')
    )
    done = home.inline("registry", "verify", "--digests-only")
    assert done.code == 3
    assert "the alias 'production' points to tiny@1" in done.stderr


def test_removing_what_a_rollback_would_reach_is_told(home: Birdcli) -> None:
    done = home.inline("registry", "remove", "tiny@1")
    assert done.code == 0
    assert "warning: production can no longer be rolled back to it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("promote", "tiny"), 2, "say which version: tiny@2 is the newest of tiny"),
        (("remove", "tiny"), 2, "say which version of it"),
        (("history", "nobody"), 3, "there is no model or alias 'nobody'"),
        (("show", "tiny@7"), 3, "tiny has no version '7', only 1, 2"),
        (("show", "tinyy"), 3, "Did you mean tiny?"),
    ],
)
def test_slips_are_answered_with_what_was_meant(
    two: Birdcli, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = two.inline("registry", *arguments)
    assert (done.code, done.stdout) == (code, b"")
    assert words in done.stderr


def test_an_export_does_not_overwrite(two: Birdcli, tmp_path: Path) -> None:
    (tmp_path / "mine.tar.gz").write_bytes(b"mine")
    done = two.inline("registry", "export", "tiny@1", str(tmp_path / "mine.tar.gz"))
    assert done.code == 5
    assert f"error[{ErrorCode.OUTPUT_EXISTS}]" in done.stderr
    assert (tmp_path / "mine.tar.gz").read_bytes() == b"mine"


def test_a_rollback_to_damaged_weights_is_refused_and_names_the_file(home: Birdcli) -> None:
    (weights,) = (home.home / "registry" / "models" / "tiny" / "1").rglob("variables.data-*")
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    done = home.inline("registry", "rollback")
    assert done.code == 3
    assert f"error[{ErrorCode.MODEL_SHA256_MISMATCH}]" in done.stderr
    assert weights.name in done.stderr


def test_labelled_photos_are_a_gate_and_stay_on_record(
    home: Birdcli, first_run: Finished, tmp_path: Path
) -> None:
    rows = [(it["input"], it["predictions"][0]["label"]) for it in first_run.records]
    listed = tmp_path / "photos.csv"
    listed.write_text("path,species\n" + "".join(f"{path},{label}\n" for path, label in rows))
    done = home("registry", "promote", "tiny@1", "--eval", listed, "--note", "as good")
    assert done.code == 0, done.stderr
    assert "tiny@1 is not below tiny@2" in done.stderr
    last = json.loads(home.inline("registry", "history", "--json").stdout)[-1]
    assert [(it["model"], it["top1"], it["photos"]) for it in last["evaluations"]] == [
        ("tiny@1", 5, 5),
        ("tiny@2", 5, 5),
    ]
    assert "as good; tiny@1: 5 of 5 right" in home.inline("registry", "history").stdout.decode()

    listed.write_text("path,species\n" + "".join(f"{path},Pica pica\n" for path, _ in rows))
    refused = home("registry", "promote", "tiny@2", "--eval", listed)
    assert refused.code == 3
    assert f"error[{ErrorCode.MODEL_EVAL_BELOW}]" in refused.stderr
    (production,) = [
        row["model"]
        for row in json.loads(home.inline("registry", "list", "--json").stdout)
        if "production" in row["aliases"]
    ]
    assert production == "tiny@1"


@pytest.mark.parametrize("tolerance", ["-0.1", "1.5", "nan"])
def test_a_tolerance_that_is_no_share_is_refused_at_once(home: Birdcli, tolerance: str) -> None:
    done = home.inline("registry", "promote", "tiny@1", "--tolerance", tolerance)
    assert done.code == 2
    assert f"error[{ErrorCode.USAGE_BAD_FLAG}]" in done.stderr


def test_an_edited_alias_classifies_nothing(home: Birdcli, pictures: Path) -> None:
    manifest = home.home / "registry" / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"production": "tiny@2"', '"production": "tiny@1"')
    )
    done = home("classify", pictures)
    assert (done.code, done.stdout) == (3, b"")
    assert f"error[{ErrorCode.MODEL_HISTORY_MISMATCH}]" in done.stderr
    listed = home("registry", "list")
    assert listed.code == 0
    assert "warning: the alias 'production'" in listed.stderr


def test_removing_and_pruning_free_the_disk(home: Birdcli) -> None:
    refused = home.inline("registry", "remove", "tiny@2")
    assert f"error[{ErrorCode.MODEL_IN_USE}]" in refused.stderr
    dry = home.inline("registry", "prune", "--dry-run")
    assert (dry.code, dry.stdout) == (0, b"")
    assert "kept tiny@1 for production" in dry.stderr
    forgotten = home.home / "registry" / "downloads" / f"{'0' * 64}.part"
    forgotten.parent.mkdir(exist_ok=True)
    forgotten.write_bytes(b"half")
    os.utime(forgotten, (0, 0))
    gone = home.inline("registry", "remove", "production", "--note", "retired")
    assert "tiny@2 is still installed" in gone.stderr
    assert "classify uses aiy-birds-v1@1 until something is promoted" in gone.stderr
    pruned = home.inline("registry", "prune")
    removed = pruned.stdout.decode().splitlines()
    assert [line[:15] for line in sorted(removed)] == ["removed tiny@1 ", "removed tiny@2 "]
    assert list((home.home / "registry" / "models").iterdir()) == []
    assert not forgotten.exists()
    rows = json.loads(home.inline("registry", "list", "--json").stdout)
    assert {row["state"] for row in rows} == {"declared"}


def test_a_version_moves_to_another_machine_and_works_there(
    two: Birdcli, tmp_path: Path, pictures: Path
) -> None:
    archive = tmp_path / "tiny.tar.gz"
    assert two.inline("registry", "export", "tiny@1", str(archive)).code == 0
    there = Birdcli(tmp_path / "there")
    done = there("registry", "import", archive, "--sha256", sha256_of_file(archive))
    assert done.code == 0, done.stderr
    here, moved = (
        json.loads(run.inline("registry", "show", "tiny@1", "--json").stdout)
        for run in (two, there)
    )
    assert moved["digest"] == here["digest"]
    assert moved["provenance"] == here["provenance"] == {"run": "17", "team": "birds"}
    assert (moved["state"], moved["aliases"]) == ("validated", [])
    assert there("classify", "-m", "tiny", pictures).code == 0


def test_the_same_version_exports_to_the_same_bytes(two: Birdcli, tmp_path: Path) -> None:
    archives = [tmp_path / name for name in ("a.tar.gz", "b.tar.gz")]
    for archive in archives:
        assert two.inline("registry", "export", "tiny@1", str(archive)).code == 0
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_a_machine_without_tensorflow_imports_and_verifies(two: Birdcli, tmp_path: Path) -> None:
    archive = tmp_path / "tiny.tar.gz"
    assert two.inline("registry", "export", "tiny@1", str(archive)).code == 0
    there = Birdcli(tmp_path / "there")

    done = there.without("tensorflow", "registry", "import", archive)
    assert done.code == 0, done.stderr
    assert "not validated here: its engine is not installed" in done.stderr
    assert there.without("tensorflow", "registry", "verify", "--digests-only").code == 0
    refused = there.without("tensorflow", "registry", "promote", "tiny@1")
    assert refused.code == 3
    assert f"error[{ErrorCode.MODEL_RUNTIME_MISSING}]" in refused.stderr


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign", "digest", "missing"])
def test_a_damaged_or_foreign_archive_is_refused_and_leaves_nothing(
    two: Birdcli, tmp_path: Path, damage: str
) -> None:
    archive = tmp_path / "tiny.tar.gz"
    assert two.inline("registry", "export", "tiny@1", str(archive)).code == 0
    data, arguments = bytearray(archive.read_bytes()), []
    match damage:
        case "flip":
            data[len(data) // 2] ^= 1
        case "cut":
            data = data[: len(data) // 2]
        case "foreign":
            data = bytearray(b"not an archive")
        case "digest":
            arguments = ["--sha256", "0" * 64]
    archive.write_bytes(data)
    if damage == "missing":
        archive.unlink()
    there = Birdcli(tmp_path / "there")
    done = there.inline("registry", "import", str(archive), *arguments)
    assert done.code == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert list((there.home / "registry" / "models").iterdir()) == []
    listed = json.loads(there.inline("registry", "list", "--json").stdout)
    assert {row["state"] for row in listed} == {"declared"}


@pytest.mark.skipif(sys.platform != "linux", reason="permissions of Linux")
def test_a_home_that_can_only_be_read_still_classifies(
    home: Birdcli, known: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    with home.unwritable():
        done = home.obedient("classify", "--no-cache", known, "-o", output)
        verified = home.obedient("registry", "verify", "tiny@2")
        changed = home.obedient("registry", "remove", "production")
    assert done.code == 0, done.stderr
    assert len(output.read_text().splitlines()) == 5
    assert verified.code == 0, verified.stderr
    assert "warning: the proof is not kept" in verified.stderr
    assert "tiny@2: every byte is as installed" in verified.stderr
    assert "reproduces the golden outputs within" in verified.stderr
    assert changed.code == 3
    assert f"error[{ErrorCode.MODEL_UNWRITABLE}]" in changed.stderr
    assert os.access(home.home, os.W_OK)
