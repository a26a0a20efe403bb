"""What birdcli is measured against, on a tiny hub module."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.baselines import keras, original, threads
from scripts.benchmarking.photo_server import serving
from scripts.benchmarking.synthetic import draw_photos
from tests.tiny_model import CLASSES, SIZE, save_hub_module

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.xdist_group("tensorflow"),
    # The front door of tensorflow-hub, which birdcli does not use.
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
]

LABELS = "id,name\n" + "".join(f"{number},Species {number}\n" for number in range(CLASSES))


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each baseline is told before its list."""
    folder = tmp_path_factory.mktemp("module")
    (folder / "labels.csv").write_text(LABELS)
    return [str(save_hub_module(folder / "hub")), "default", str(SIZE), str(folder / "labels.csv")]


def test_all_baselines_name_each_image_in_order(
    module: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = draw_photos(tmp_path / "photos", (64, 48), 3, seed=1)
    paths = tmp_path / "paths.txt"
    paths.write_text("".join(f"{path}\n" for path in photos))
    with serving(tmp_path / "photos") as served:
        urls = tmp_path / "urls.txt"
        urls.write_text("".join(f"{served.url(path)}\n" for path in photos))
        for program, images in ((keras, paths), (threads, paths), (original, urls)):
            assert program.main(*module, str(images)) == 0
            records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            assert [record["input"] for record in records] == images.read_text().split()
            for record in records:
                scores = [guess["score"] for guess in record["predictions"]]
                assert len(scores) == 3
                assert scores == sorted(scores, reverse=True)
    assert served.responses == 3
