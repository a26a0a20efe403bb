"""The benchmark's photo set: sizes, shares, determinism, sources."""

from __future__ import annotations

import csv
import random
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from scripts.make_photos import (
    GENERATED,
    SHARES,
    Photo,
    draw_scene,
    find_source,
    list_sources,
    main,
    make_photos,
    plan_photos,
    plan_sizes,
    render_photo,
)

if TYPE_CHECKING:
    from pathlib import Path


def save_noise(path: Path, width: int, height: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_six_hundred_photos_have_the_published_shares() -> None:
    sizes = plan_sizes(600, random.Random(1))
    assert Counter(sizes) == SHARES
    assert list(SHARES.values()) == [139, 163, 168, 79, 51]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [0, 0, 1, 0, 0]), (6, [1, 2, 2, 1, 0]), (100, [23, 27, 28, 13, 9]), (0, [0] * 5)],
)
def test_other_counts_are_shared_by_largest_remainder(count: int, expected: list[int]) -> None:
    counts = Counter(plan_sizes(count, random.Random(1)))
    assert [counts[size] for size in SHARES] == expected


def test_sizes_are_interleaved() -> None:
    first_half = Counter(plan_sizes(600, random.Random(1))[:300])
    for size, share in SHARES.items():
        assert 0.3 * share < first_half[size] < 0.7 * share


def test_plan_follows_from_the_seed() -> None:
    assert plan_photos(1, 50, {}) == plan_photos(1, 50, {})
    assert plan_photos(1, 50, {}) != plan_photos(2, 50, {})


def test_larger_sources_serve_larger_photos() -> None:
    sources = {"small.jpg": (640, 480), "large.jpg": (4100, 3100)}
    for photo in plan_photos(1, 100, sources):
        if photo.size[0] > 1280:
            assert photo.source == "large.jpg"
    assert {photo.source for photo in plan_photos(1, 100, sources)} == set(sources)


def test_best_source_is_enlarged_where_none_is_large_enough() -> None:
    sources = {"small.jpg": (400, 300), "better.jpg": (640, 480)}
    large = [photo for photo in plan_photos(1, 100, sources) if photo.size[0] > 1280]
    assert {photo.source for photo in large} == {"better.jpg"}


def test_sources_are_photos_of_some_size(tmp_path: Path) -> None:
    save_noise(tmp_path / "b.JPG", 400, 300)
    save_noise(tmp_path / "deep" / "a.png", 320, 310)
    save_noise(tmp_path / "thumbnail.jpg", 400, 299)
    save_noise(tmp_path / "grey.png", 400, 400, "L")
    (tmp_path / "index.csv").write_text("file\n")
    assert list_sources(tmp_path) == {"b.JPG": (400, 300), "deep/a.png": (320, 310)}


@pytest.mark.parametrize("stored", [(640, 480), (300, 900), (900, 300), (500, 375)])
def test_crop_of_any_source_has_the_wanted_size(tmp_path: Path, stored: tuple[int, int]) -> None:
    save_noise(tmp_path / "a.png", *stored)
    for seed in "123":
        photo = Photo(file="0.jpg", size=(500, 375), source="a.png", seed=seed)
        (tmp_path / "0.jpg").write_bytes(render_photo(photo, tmp_path))
        with Image.open(tmp_path / "0.jpg") as picture:
            assert (picture.size, picture.format) == ((500, 375), "JPEG")


def test_scene_has_less_power_at_higher_frequencies() -> None:
    scene = np.asarray(draw_scene((512, 384), random.Random(3)).convert("L"), dtype=float)
    power = np.abs(np.fft.rfft(scene - scene.mean(), axis=1)) ** 2
    octaves = [power[:, 2**k : 2 ** (k + 1)].mean() for k in range(1, 8)]
    assert octaves == sorted(octaves, reverse=True)
    slope = np.polyfit(np.arange(7), np.log2(octaves), 1)[0]
    assert -3.0 <= slope <= -1.0


def test_same_seed_gives_the_same_bytes_on_any_number_of_processes(tmp_path: Path) -> None:
    save_noise(tmp_path / "source" / "a.png", 500, 400)
    for name, processes in (("one", 1), ("two", 2)):
        make_photos(tmp_path / name, tmp_path / "source", seed=7, count=3, processes=processes)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert len(files_of(tmp_path / "one")) == 4


def test_index_names_every_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    arguments = [str(out), "--seed", "2", "--count", "2", "--source", str(empty)]
    assert main([*arguments, "--processes", "1"]) == 0
    with (out / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["000000.jpg", "000001.jpg"]
    for row in rows:
        assert row["source"] == GENERATED
        with Image.open(out / row["file"]) as picture:
            assert picture.size == (int(row["width"]), int(row["height"]))
    assert "2 photos" in capsys.readouterr().err


def test_folder_with_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path), "--count", "1"])
    assert caught.value.code == 2
    assert "not empty" in capsys.readouterr().err
    assert set(files_of(tmp_path)) == {"mine.txt"}


@pytest.mark.parametrize("arguments", [["--count", "0"], ["--source", "missing"], ["--count", "x"]])
def test_bad_arguments_are_usage_errors(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "out"), *arguments])
    assert caught.value.code == 2
    assert not (tmp_path / "out").exists()


def test_source_is_found_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIRDCLI_TEST_DATA", str(tmp_path))
    assert find_source() is None
    (tmp_path / "images").mkdir()
    assert find_source() == tmp_path / "images"


@pytest.mark.data
def test_real_sources_give_files_of_about_260_kb(test_data: Path) -> None:
    folder = test_data / "images"
    photos = plan_photos(1, 60, list_sources(folder))
    expected = {(500, 375): (20e3, 80e3), (1024, 768): (60e3, 250e3), (1280, 960): (100e3, 350e3)}
    for size, (least, most) in expected.items():
        group = [photo for photo in photos if photo.size == size][:4]
        mean = sum(len(render_photo(photo, folder)) for photo in group) / len(group)
        assert least <= mean <= most, size
