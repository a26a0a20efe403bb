"""Reading what was verified a moment ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes
from birdcli.model_version import FileEntry, LabelsSpec, ModelFormat, ModelVersion
from birdcli.models.engines import Machine
from birdcli.models.load import ModelLoader, verify_own_golden
from tests.fakes import LABELS, FakeClassifier

if TYPE_CHECKING:
    from pathlib import Path

VERSION = ModelVersion(
    name="birds",
    version="1",
    format=ModelFormat.SAVED_MODEL,
    labels=LabelsSpec(path="labels.csv"),
    golden=FileEntry(path="golden.npz", bytes=1, sha256=sha256_of_bytes(b"g")),
)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "was taken away just now"), (b"x", "was changed just now")]
)
def test_a_file_that_went_after_it_was_verified_is_named(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    """Another process removes or replaces the version while it is loaded."""
    if content is not None:
        (tmp_path / "golden.npz").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        verify_own_golden(FakeClassifier(), VERSION, tmp_path, LABELS)
    assert caught.value.code is ErrorCode.MODEL_SHA256_MISMATCH
    assert words in caught.value.message
    assert "golden.npz" in caught.value.message


def loader(folder: Path, version: ModelVersion) -> ModelLoader:
    machine = Machine(host="x86_64", versions={})
    return ModelLoader(folder, version, LABELS, machine, threads=1, warn=print)


def test_a_version_that_is_only_declared_cannot_be_loaded(tmp_path: Path) -> None:
    declared = msgspec.structs.replace(VERSION, golden=None)
    for load in (
        lambda: loader(tmp_path, declared).load([]),
        lambda: verify_own_golden(FakeClassifier(), declared, tmp_path, LABELS),
    ):
        with pytest.raises(ModelError) as caught:
            load()
        assert caught.value.code is ErrorCode.MODEL_NOT_INSTALLED


def test_nothing_to_try_is_a_missing_engine(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        loader(tmp_path, VERSION).load([])
    assert caught.value.code is ErrorCode.MODEL_RUNTIME_MISSING
