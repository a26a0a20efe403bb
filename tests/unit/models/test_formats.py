"""A model's format is told by its content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.model_version import ModelFormat
from birdcli.models.formats import bare_file_name, demand_format, recognise

if TYPE_CHECKING:
    from pathlib import Path

TFLITE = b"\x1c\x00\x00\x00TFL3rest"
HDF5 = b"\x89HDF\r\n\x1a\nrest"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("files", "found", "path"),
    [
        ({"saved_model.pb": b"x"}, ModelFormat.SAVED_MODEL, ""),
        ({"top/saved_model.pb": b"x", "top/variables/v": b"y"}, ModelFormat.SAVED_MODEL, "top"),
        ({"saved_model.pb": b"x", "tfhub_module.pb": b"y"}, ModelFormat.TF1_HUB, ""),
        ({"saved_model.pb": b"x", "assets/a.tflite": TFLITE}, ModelFormat.SAVED_MODEL, ""),
        ({"3.tflite": TFLITE, "README.md": b"hello"}, ModelFormat.TFLITE, "3.tflite"),
        ({"deep/model.bin": TFLITE}, ModelFormat.TFLITE, "deep/model.bin"),
        ({"frozen.pb": b"\x0a\x00"}, ModelFormat.FROZEN_GRAPH, "frozen.pb"),
    ],
)
def test_a_model_is_found_by_what_is_in_it(
    tmp_path: Path, files: dict[str, bytes], found: ModelFormat, path: str
) -> None:
    result = recognise(write(tmp_path, files), source="s")
    assert (result.format, result.path) == (found, tmp_path / path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.tflite": TFLITE, "b.tflite": TFLITE}, "several TFLite files: a.tflite, b.tflite"),
        ({"a.pb": b"x", "b.pb": b"y"}, "no model"),
        ({"readme.txt": b"hello"}, "no model"),
        ({"config.json": b"{}", "model.weights.h5": HDF5, "metadata.json": b"{}"}, "Keras"),
        ({"model.h5": HDF5}, "Keras"),
    ],
)
def test_what_is_no_model_is_refused_with_the_way_to_one(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        recognise(write(tmp_path, files), source="s")
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED
    if words == "Keras":
        assert 'export("folder")' in caught.value.hint


@pytest.mark.parametrize(
    ("content", "called", "name"),
    [
        (TFLITE, "anything", "model.tflite"),
        (HDF5, "m.keras", "model.h5"),
        (b"\x0a\x00", "https://example.org/Frozen.PB", "graph.pb"),
        (b"PK\x03\x04", "m.zip", None),
        (b"<html>", "download", None),
        (b"", "empty", None),
    ],
)
def test_a_bare_file_is_told_from_an_archive(
    tmp_path: Path, content: bytes, called: str, name: str | None
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert bare_file_name(tmp_path / "file", called=called) == name


def test_one_file_of_a_saved_model_is_not_taken_for_a_graph(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x0a\x00")
    with pytest.raises(ModelError) as caught:
        bare_file_name(tmp_path / "saved_model.pb", called="saved_model.pb")
    assert "whole folder" in caught.value.hint


def test_another_format_than_declared_is_refused_with_both() -> None:
    demand_format(ModelFormat.TFLITE, None, source="s")
    demand_format(ModelFormat.TFLITE, ModelFormat.TFLITE, source="s")
    with pytest.raises(ModelError, match="tflite, not saved-model"):
        demand_format(ModelFormat.TFLITE, ModelFormat.SAVED_MODEL, source="s")
