"""The other commands, and what all have in common."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from birdcli import __version__
from birdcli.errors import ErrorCode
from scripts.update_readme import help_text, with_help
from tests.e2e.conftest import REPOSITORY, Birdcli

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("numpy", "aiohttp", "PIL", "tensorflow", "rich.table")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["registry", "list"], ["bench", "--help"], ["bench", "--show"]],
)
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from birdcli.cli.app import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        f"sys.stderr.write(','.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stderr == ""
    assert done.stdout


def test_the_version_is_told(birdcli: Birdcli) -> None:
    assert birdcli("--version").stdout.decode().strip() == f"birdcli {__version__}"


def test_the_registry_is_listed_for_people_and_programs(birdcli: Birdcli) -> None:
    table = birdcli("registry", "list").stdout.decode()
    assert re.search(r"tiny@1 +promoted +production", table)
    assert re.search(r"aiy-birds-v1@1 +declared", table)
    rows = {row["model"]: row for row in json.loads(birdcli("registry", "list", "--json").stdout)}
    assert rows["tiny@1"]["aliases"] == ["production"]
    assert rows["imagenet-birds@1"]["state"] == "declared"


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_a_listing_that_cannot_be_written_is_an_error(birdcli: Birdcli, redirection: str) -> None:
    command = " ".join(str(part) for part in birdcli.command("registry", "list"))
    done = subprocess.run(
        ["bash", "-c", f"{command} {redirection}"],
        capture_output=True, env=birdcli.environment, cwd=REPOSITORY, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert b"error[output.unwritable]" in done.stderr
    assert b"Traceback" not in done.stderr


def test_show_tells_everything(birdcli: Birdcli) -> None:
    fields = json.loads(birdcli("registry", "show", "production", "--json").stdout)
    assert fields["model"] == "tiny@1"
    assert fields["provenance"] == {"run": "17", "team": "birds"}
    assert fields["output"] == "probabilities"
    assert [entry["action"] for entry in fields["history"]] == ["install", "promote"]
    assert fields["history"][1]["note"] == "first light"
    text = birdcli("registry", "show", "tiny").stdout.decode()
    assert "saved_model.pb" in text
    declared = birdcli("registry", "show", "aiy-birds-v1").stdout.decode()
    assert "pinned on first pull" in declared


def test_verify_hashes_and_reproduces(birdcli: Birdcli) -> None:
    done = birdcli("registry", "verify")
    assert done.code == 0
    assert "tiny@1: every byte is as installed" in done.stderr
    assert "reproduces the golden outputs within" in done.stderr
    quick = birdcli("registry", "verify", "--digests-only", "tiny@1")
    assert quick.stderr.strip() == "tiny@1: every byte is as installed"


def test_verify_goes_on_after_a_damaged_version(birdcli: Birdcli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(birdcli.home, home)
    manifest = home / "registry" / "manifest.json"
    raw = json.loads(manifest.read_text())
    raw["models"]["aaa"] = {"1": raw["models"]["tiny"]["1"]}
    manifest.write_text(json.dumps(raw))
    done = Birdcli(home)("registry", "verify", "--digests-only", "aaa@1", "tiny@1")
    assert done.code == 3
    assert "aaa@1: model.history_mismatch" in done.stderr
    assert "tiny@1: every byte is as installed" in done.stderr


def test_verify_of_an_empty_registry_says_so(tmp_path: Path) -> None:
    done = Birdcli(tmp_path)("registry", "verify")
    assert (done.code, done.stderr.strip()) == (0, "no version is installed")


def test_an_installed_version_is_not_pulled_again(birdcli: Birdcli) -> None:
    done = birdcli("registry", "pull", "tiny@1")
    assert (done.code, done.stdout) == (0, b"")
    assert "is installed and its files are intact" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("registry", "show", "unknown"), 3, ErrorCode.MODEL_NOT_FOUND),
        (("registry", "promote", "aiy-birds-v1@1"), 3, ErrorCode.MODEL_NOT_INSTALLED),
        (("registry", "promote", "tiny@1", "--alias", "tiny"), 3, ErrorCode.MODEL_EXISTS),
        (("registry", "add", "imagenet-birds@1", "x", "--labels", "y"), 3, ErrorCode.MODEL_EXISTS),
        (("registry", "add", "tiny", "x", "--labels", "y"), 2, ErrorCode.USAGE_BAD_FLAG),
        (("registry", "add", "Tiny@1", "x", "--labels", "y"), 2, ErrorCode.USAGE_BAD_FLAG),
        (("registry", "promote", "tiny@1", "--alias", "My Alias"), 2, ErrorCode.USAGE_BAD_FLAG),
        (("registry", "import", "x", "--sha256", "abc"), 2, ErrorCode.USAGE_BAD_FLAG),
        (
            ("registry", "add", "t@1", "kaggle:google/aiy", "--labels", "y"),
            3,
            ErrorCode.MODEL_SOURCE_UNREADABLE,
        ),
        (
            ("registry", "add", "t@1", "/no/x", "--labels", "y"),
            3,
            ErrorCode.MODEL_SOURCE_UNREADABLE,
        ),
        (
            ("registry", "add", "t@1", "x", "--labels", "y", "--provenance", "z"),
            2,
            ErrorCode.USAGE_BAD_FLAG,
        ),
        (
            ("registry", "add", "t@1", "x", "--labels", "y", "--format", "efficientnet-lite0"),
            2,
            ErrorCode.USAGE_BAD_FLAG,
        ),
    ],
)
def test_refusals_have_their_codes(
    birdcli: Birdcli, arguments: tuple[str, ...], code: int, words: ErrorCode
) -> None:
    done = birdcli.inline(*arguments)
    assert (done.code, done.stdout) == (code, b"")
    assert f"error[{words}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_cache_tells_its_size_and_forgets(tmp_path: Path) -> None:
    run = Birdcli(tmp_path)
    assert json.loads(run("cache", "info", "--json").stdout)["entries"] == 0
    assert run("cache", "clear").code == 0
    assert "0 entries" in run("cache", "info").stdout.decode()


def test_without_a_command_help_is_shown(birdcli: Birdcli) -> None:
    done = birdcli()
    assert b"classify" in done.stdout + done.stderr.encode()


def test_the_readme_shows_the_help_of_the_program() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert readme == with_help(readme, help_text()), "run python -m scripts.update_readme"


def test_the_readme_explains_every_error_code() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    table = readme.partition("<!-- error codes -->")[2].partition("<!-- /error codes -->")[0]
    assert re.findall(r"^\| `([a-z_0-9.]+)` \| \S", table, re.MULTILINE) == list(ErrorCode)
