"""Photos to measure: drawn, or the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from birdcli.bench import photos as module
from birdcli.bench.photos import BenchPhoto, PhotoSet, load_photos, make_photos
from birdcli.errors import ErrorCode, UsageError
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = DecodeSettings(height=32, width=32)


def save_picture(path: Path, size: tuple[int, int] = (60, 40)) -> str:
    Image.new("RGB", size, (10, 200, 30)).save(path)
    return str(path)


def test_a_drawn_set_is_the_same_every_time_and_like_real_ones(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = make_photos(tmp_path / "a"), make_photos(tmp_path / "b")
    assert [p.data for p in first.photos] == [p.data for p in second.photos]
    assert first.generated
    assert first.size_classes == ("below 1 MP", "1 to 4 MP", "4 to 16 MP", "16 MP and more")
    mean = sum(len(first.photos[at].data) for at in first.order) / len(first.order)
    assert 200_000 < mean < 320_000
    with Image.open(first.photos[-1].path) as picture:
        assert (picture.format, picture.size) == ("JPEG", (6000, 4000))


def test_any_stretch_of_a_drawn_set_is_about_as_rich_in_large_photos(tmp_path: Path) -> None:
    drawn = make_photos(tmp_path)
    large = [drawn.photos[at].width >= 4000 for at in drawn.order]
    assert sum(large) == 9
    assert all(3 <= sum(large[at : at + 50]) <= 6 for at in (0, 25, 50))


def test_photos_of_the_user_are_read_and_broken_ones_left_out(tmp_path: Path) -> None:
    good = save_picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"GIF89a")
    paths = [good, str(tmp_path / "b.png"), str(tmp_path / "none.png")]
    found = load_photos(paths, SETTINGS)
    assert [photo.path for photo in found.photos] == [good]
    assert [path for path, _ in found.broken] == paths[1:]
    assert (found.photos[0].width, found.photos[0].height) == (60, 40)
    assert found.share_of("below 1 MP") == 1.0
    assert found.found == 3
    assert found.read_mb_s is not None
    assert found.read_mb_s > 0


def test_photos_that_are_none_are_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(UsageError) as caught:
        load_photos([str(tmp_path / "a.jpg")], SETTINGS)
    assert caught.value.code is ErrorCode.USAGE_NO_INPUT
    assert "this is text" in caught.value.message


def test_of_many_photos_a_sample_is_spread_evenly(tmp_path: Path) -> None:
    paths = [save_picture(tmp_path / f"{at:03}.png") for at in range(410)]
    found = load_photos(paths, SETTINGS)
    assert len(found.photos) == 200
    assert found.found == 410
    assert [photo.path for photo in found.photos[:2]] == [paths[0], paths[2]]
    assert found.photos[-1].path == paths[int(199 * 2.05)]


def test_photos_fill_a_bounded_part_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [save_picture(tmp_path / f"{at:03}.png") for at in range(30)]
    monkeypatch.setattr(module, "_MOST_BYTES", 1)
    assert len(load_photos(paths, SETTINGS).photos) == 8


def test_size_classes_are_those_that_occur() -> None:
    photo = BenchPhoto(path="a", data=b"", width=6000, height=4000)
    assert PhotoSet(photos=(photo,), order=(0,), generated=False, found=1).size_classes == (
        "16 MP and more",
    )
