"""What newcomers type first, and what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Birdcli

# The pictures that the model has seen before need no engine.
pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


@pytest.fixture
def listed(known: Path, tmp_path: Path) -> Path:
    path = tmp_path / "my urls.txt"
    path.write_text(f"{known / 'a.png'}\n{known / 'b.jpg'}\n")
    return path


def test_a_list_given_as_a_picture_is_told_how_to_be_given(birdcli: Birdcli, listed: Path) -> None:
    done = birdcli("classify", listed)
    assert done.records[0]["error"]["hint"] == f"For a list of inputs: -f '{listed}'"
    assert f"Hint: For a list of inputs: -f '{listed}'"[:60] in done.stderr


def test_a_text_given_as_a_picture_is_no_list(birdcli: Birdcli, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("Not a picture,\nnor a list of any.\n")
    assert "hint" not in birdcli("classify", path).records[0]["error"]


def test_a_table_on_stdin_is_told_that_it_is_read_as_lines(birdcli: Birdcli, known: Path) -> None:
    table = f"id,url\n1,{known / 'a.png'}\n2,{known / 'b.jpg'}\n"
    done = birdcli("classify", "-", stdin=table.encode())
    assert len(done.records) == 3
    assert done.stderr.count("-f FILE.csv reads its columns") == 1


def test_lines_on_stdin_are_told_nothing(birdcli: Birdcli, known: Path) -> None:
    done = birdcli("classify", "-", stdin=f"{known / 'a.png'}\n".encode())
    assert done.code == 0
    assert "table" not in done.stderr


@pytest.mark.parametrize("name", ["-dash.jpg", "-kestrel.jpg"])
def test_a_file_that_looks_like_an_option_is_told_how_to_be_named(
    birdcli: Birdcli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    done = birdcli.inline("classify", name)
    assert done.code == 2
    assert f"({name} is a file: write ./{name}, or -- before it)" in done.stderr


def test_a_word_that_is_no_file_is_a_wrong_option_alone(birdcli: Birdcli) -> None:
    assert "is a file" not in birdcli.inline("classify", "-dash.jpg").stderr
