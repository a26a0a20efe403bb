"""Decoding, inference and both together, with a classifier that is instant."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from birdcli.bench.decoding import measure_decoding
from birdcli.bench.inference import bench_pixels, measure_inference
from birdcli.bench.photos import load_photos
from birdcli.bench.whole import WholeRun, measure_whole
from birdcli.errors import ModelError
from birdcli.settings import DecodeSettings
from tests.fakes import LABELS

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.items import RgbBatch, ScoreBatch

SETTINGS = DecodeSettings(height=8, width=8)


class Instant:
    """Answers at once, in two threads, and remembers sizes."""

    backend = "fake/float32"
    class_count = 4
    streams = 2

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.threads: set[int] = set()

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        self.sizes.append(len(pixels))
        self.threads.add(threading.get_ident())
        time.sleep(0.001)  # else one thread may be through before the other has begun
        return np.full((len(pixels), 4), 0.25, np.float32)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    names = [str(tmp_path / "small.png"), str(tmp_path / "large.jpg")]
    for name, size in zip(names, ((40, 30), (1400, 1000)), strict=True):
        Image.new("RGB", size, (200, 100, 50)).save(name)
    return names


def test_decoding_tells_what_each_size_costs(paths: list[str]) -> None:
    found = measure_decoding(load_photos(paths, SETTINGS), SETTINGS, threads=2, seconds=0.05)
    assert found.core_ms["1 to 4 MP"] > found.core_ms["below 1 MP"] > 0
    assert found.work.images >= 2
    assert found.work.images_per_s > 0
    assert 0 < found.work.busy <= 1
    assert found.work.core_ms == pytest.approx(found.work.cpu_s / found.work.images * 1e3)


def test_no_time_at_all_still_decodes_a_photo_per_thread(paths: list[str]) -> None:
    found = measure_decoding(load_photos(paths, SETTINGS), SETTINGS, threads=2, seconds=0.0)
    assert found.work.images == 2


def test_inference_fills_every_stream_with_whole_batches() -> None:
    engine = Instant()
    work = measure_inference(engine, bench_pixels(8, 8, 5), cpus=2, seconds=0.02)
    assert set(engine.sizes) == {5}
    assert len(engine.threads) == 2
    assert work.images == sum(engine.sizes)
    assert 0 < work.busy <= 1


def test_files_become_answers_as_often_as_asked(paths: list[str]) -> None:
    engine = Instant()
    run = WholeRun(paths=paths, labels=LABELS, decode=SETTINGS, cpus=2)
    work = measure_whole(run, engine, batch_size=4, images=21)
    assert work.images == sum(engine.sizes) == 21
    assert max(engine.sizes) <= 4


def test_a_photo_that_disappears_while_measuring_is_an_error(paths: list[str]) -> None:
    run = WholeRun(paths=[*paths, "gone.png"], labels=LABELS, decode=SETTINGS, cpus=2)
    with pytest.raises(ModelError, match="a photo failed while it was measured"):
        measure_whole(run, Instant(), batch_size=4, images=3)
