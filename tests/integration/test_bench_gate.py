"""The regression gate on two commits of a repository whose birdcli only sleeps."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from scripts import bench_gate

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("unmeasured")

_MAIN = """
import sys, time
for line in open(sys.argv[sys.argv.index("--from-file") + 1]):
    time.sleep({seconds})
    print(line.strip())
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: `quick`, and `slow`, which takes 19 ms longer for each of its images."""
    folder = tmp_path / "repository"
    (folder / "birdcli").mkdir(parents=True)
    git(folder, "init", "--quiet")
    for name, seconds in (("quick", 0.001), ("slow", 0.02)):
        (folder / "birdcli" / "__init__.py").touch()
        (folder / "birdcli" / "__main__.py").write_text(_MAIN.format(seconds=seconds))
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", name)
        git(folder, "tag", name)
    return folder


@pytest.fixture
def arguments(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the gate needs besides commits."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(20):
        (photos / f"{number}.jpg").touch()
    (tmp_path / "home" / "registry").mkdir(parents=True)
    monkeypatch.setenv("BIRDCLI_HOME", str(tmp_path / "home"))
    return ["--photos", str(photos), "--repository", str(repository), "--pairs", "6"]


def test_a_slower_commit_is_found_and_nothing_is_left_behind(
    repository: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench_gate.main(["quick", "slow", *arguments]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["whole process", "slower"],
        ["an image after the start", "slower"],
    ]
    assert git(repository, "worktree", "list").count("\n") == 1


def test_an_unknown_commit_is_wrong_usage(
    repository: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench_gate.main(["quick", "nowhere", *arguments]) == 2
    assert "git rev-parse" in capsys.readouterr().err
    assert git(repository, "worktree", "list").count("\n") == 1


def test_a_commit_without_birdcli_is_not_measured_with_another_one(
    repository: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    git(repository, "rm", "--quiet", "-r", "birdcli")
    (repository / "README").touch()
    git(repository, "add", "README")
    git(repository, "commit", "--quiet", "--message", "nothing left")
    assert bench_gate.main(["quick", *arguments]) == 2
    assert "HEAD would run" in capsys.readouterr().err


def test_a_folder_without_photos_is_wrong_usage(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench_gate.main(["quick", "slow", *arguments, "--photos", str(tmp_path)])
    assert "no JPEG" in capsys.readouterr().err
