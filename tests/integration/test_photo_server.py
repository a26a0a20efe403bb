"""The server that the benchmark downloads from."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from scripts.benchmarking.photo_server import serving
from scripts.benchmarking.synthetic import draw_photos

if TYPE_CHECKING:
    from pathlib import Path


def test_photos_come_whole_and_as_late_as_told(tmp_path: Path) -> None:
    (photo,) = draw_photos(tmp_path, (64, 48), 1, seed=1)
    with serving(tmp_path, latency_ms=80) as served:
        started_s = time.perf_counter()
        with urllib.request.urlopen(served.url(photo)) as response:
            assert response.read() == photo.read_bytes()
        assert time.perf_counter() - started_s >= 0.08
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{served.address}/none.jpg")
    assert served.responses == 2
    assert served.cpu_s >= 0


def test_photos_drawn_again_are_the_same(tmp_path: Path) -> None:
    first, second = (draw_photos(tmp_path / name, (64, 48), 2, seed=1) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert first[0].read_bytes() != first[1].read_bytes()
