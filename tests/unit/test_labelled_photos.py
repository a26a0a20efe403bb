"""Lists of labelled photos, as people and spreadsheets write them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, UsageError
from birdcli.labelled_photos import load_photos

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str | bytes, name: str = "photos.csv") -> list[tuple[str, str]]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(photo.source, photo.species) for photo in load_photos(path).photos]


def refusal(folder: Path, text: str | bytes, name: str = "photos.csv") -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(folder, text, name)
    return caught.value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("photos.csv", "path,species\na.jpg,Pica pica\n"),
        ("photos.csv", "species,path\nPica pica,a.jpg\n"),
        ("photos.csv", " path , species \n a.jpg ,\tPica pica \n"),
        ("photos.csv", "id,path,who,species\n1,a.jpg,ann,Pica pica\n"),
        ("photos.csv", "\ufeffpath,species\r\na.jpg,Pica pica\r\n\r\n"),
        ("photos.csv", 'path,species\n"a.jpg","Pica pica"'),
        ("photos.csv", "path,species,,\na.jpg,Pica pica,,,\n"),
        ("photos.TSV", "path\tspecies\na.jpg\tPica pica\n"),
        ("photos", "path,species\na.jpg,Pica pica\n"),
    ],
)
def test_every_usual_way_of_writing_gives_the_same_photo(
    tmp_path: Path, name: str, text: str
) -> None:
    assert read(tmp_path, text, name) == [("a.jpg", "Pica pica")]


def test_paths_are_relative_to_the_list(tmp_path: Path) -> None:
    path = tmp_path / "photos.csv"
    path.write_text(f"path,species\ndeep/a.jpg,x\n{tmp_path}/b.jpg,y\n")
    found = [photo.path for photo in load_photos(path).photos]
    assert found == [str(tmp_path / "deep" / "a.jpg"), str(tmp_path / "b.jpg")]


def test_duplicates_stay(tmp_path: Path) -> None:
    row = ("a.jpg", "Pica pica")
    assert read(tmp_path, "path,species\na.jpg,Pica pica\na.jpg,Pica pica\n") == [row, row]


def test_names_that_are_no_utf8_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path, b"path,species\nb\xe9.jpg,x\n") == [("b\udce9.jpg", "x")]


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbfpath,species\r\na.jpg,x\r\n"
    (tmp_path / "photos.csv").write_bytes(data)
    assert load_photos(tmp_path / "photos.csv").sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("path,name\na.jpg,x\n", "no column 'species': its header is 'path', 'name'"),
        ("file,species\na.jpg,x\n", "no column 'path'"),
        ("path,species,path\na.jpg,x,b.jpg\n", "two columns 'path'"),
        ('"path,species\na.jpg,x\n', "line 1 of the list"),
        ("path,species\na.jpg,x\nb.jpg,\n", "line 3 of the list"),
        ("path,species\na.jpg,x\nb.jpg,\n", "has no species"),
        ("path,species\na.jpg\n", "has no species"),
        ("path,species\n ,x\n", "has no path"),
        ('path,species\n"a.jpg,x\n', "line 2 of the list"),
        ("path,species\na.jpg,Raven, common\n", "has 3 cells, the header 2: quote"),
        ("path,species\na.jpg,x\nhttps://example.org/b.jpg,y\n", "line 3 of the list"),
        ("path,species\nhttps://example.org/b.jpg,y\n", "is a URL"),
        ("path,species\nFILE:///b.jpg,y\n", "is a URL"),
        (b"path,species\na.jpg,Rabe \xe9\n", "has a species that is not UTF-8"),
    ],
)
def test_a_broken_list_is_refused_with_its_row(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    error = refusal(tmp_path, text)
    assert error.code is ErrorCode.USAGE_INPUT_UNREADABLE
    assert words in error.message
    assert "photos.csv" in error.message
    assert "path,species" in error.hint


def test_a_header_without_rows_is_no_input(tmp_path: Path) -> None:
    assert refusal(tmp_path, "path,species\n").code is ErrorCode.USAGE_NO_INPUT


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_list_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        load_photos(tmp_path / name)
    assert caught.value.code is ErrorCode.USAGE_INPUT_UNREADABLE
