"""The drawings in `examples/`: what the script paints, and birds that the model names."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from birdcli.decode import decode_image
from birdcli.models.efficientnet_lite import export_imagenet_birds
from birdcli.models.imagenet_birds import load_birds
from birdcli.settings import DecodeSettings
from scripts import draw_examples
from scripts.draw_examples import EXAMPLES, PAINTERS, encoded

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = sorted(PAINTERS)


def levels(data: bytes) -> NDArray[np.float32]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture, np.float32)


def test_the_folder_holds_every_drawing_and_nothing_else() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir()) == [f"{name}.jpg" for name in NAMES]
    assert len(NAMES) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_named_after_a_bird_of_the_model(name: str) -> None:
    english = {bird.common_name.lower().replace(" ", "_") for bird in load_birds()}
    assert name in english


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_is_small(name: str) -> None:
    path = EXAMPLES / f"{name}.jpg"
    assert path.stat().st_size <= 150_000
    with Image.open(path) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (640, 480), "RGB")


@pytest.mark.parametrize("name", NAMES)
def test_painting_again_gives_the_shipped_picture(name: str) -> None:
    painted = levels(encoded(PAINTERS[name]()))
    # Not byte for byte: another Pillow may draw an edge, or round a JPEG, a little differently.
    assert float(np.abs(painted - levels((EXAMPLES / f"{name}.jpg").read_bytes())).mean()) < 2.0


def test_the_script_writes_every_drawing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = {name: lambda: Image.new("RGB", (640, 480)) for name in NAMES}
    monkeypatch.setattr(draw_examples, "PAINTERS", plain)
    monkeypatch.setattr("sys.argv", ["draw_examples.py", str(tmp_path / "new" / "folder")])
    draw_examples.main()
    written = sorted(path.stem for path in (tmp_path / "new" / "folder").iterdir())
    assert written == NAMES
    assert len(capsys.readouterr().out.splitlines()) == len(NAMES)


@pytest.mark.tensorflow
@pytest.mark.xdist_group("tensorflow")
def test_at_least_three_drawings_are_named_right(tmp_path: Path) -> None:
    import tensorflow as tf

    export_imagenet_birds(tmp_path / "model")
    classify = tf.saved_model.load(str(tmp_path / "model")).signatures["default"]
    classes = [bird.common_name for bird in load_birds()] + ["background"]
    settings = DecodeSettings()
    named = {}
    for name in NAMES:
        pixels = decode_image((EXAMPLES / f"{name}.jpg").read_bytes(), settings).pixels
        images = tf.constant(pixels[None].astype(np.float32))
        (scores,) = classify(images=images)["default"].numpy()
        named[name] = classes[int(scores.argmax())].lower().replace(" ", "_")
    right = [name for name in NAMES if named[name] == name]
    assert len(right) >= 3, named
