"""Which photos the arguments of `registry compare` stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from birdcli.cli.comparing import choose_photos
from birdcli.errors import ErrorCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture


def test_files_and_folders_are_found_as_classify_finds_them(tmp_path: Path) -> None:
    for name in ("deep/b.png", "deep/.hidden.png", "a.jpg", "readme.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    chosen = choose_photos([str(tmp_path), "missing.jpg"])
    found = (f"{tmp_path}/a.jpg", f"{tmp_path}/deep/b.png", "missing.jpg")
    assert (chosen.sources, chosen.paths, chosen.labelled) == (found, found, None)


def test_a_file_url_is_the_file_it_stands_for() -> None:
    chosen = choose_photos(["file:///p/a%20b.jpg"])
    assert (chosen.sources, chosen.paths) == (("file:///p/a%20b.jpg",), ("/p/a b.jpg",))


@pytest.mark.parametrize(("name", "gap"), [("photos.csv", ","), ("PHOTOS.TSV", "\t")])
def test_a_list_names_photos_and_species(tmp_path: Path, name: str, gap: str) -> None:
    path = tmp_path / name
    path.write_text(f"path{gap}species\na.jpg{gap}Pica pica\n")
    chosen = choose_photos([str(path)])
    assert (chosen.sources, chosen.paths) == (("a.jpg",), (str(tmp_path / "a.jpg"),))
    assert chosen.labelled is not None
    assert chosen.labelled.photos[0].species == "Pica pica"


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch("birdcli.sources.os.scandir", side_effect=PermissionError(13, "no"))
    with pytest.raises(UsageError, match="may not be read") as caught:
        choose_photos([str(tmp_path)])
    assert caught.value.code is ErrorCode.USAGE_INPUT_UNREADABLE


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no pictures") as caught:
        choose_photos(["a.jpg", str(tmp_path)])
    assert caught.value.code is ErrorCode.USAGE_NO_INPUT
