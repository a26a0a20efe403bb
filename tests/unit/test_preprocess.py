"""Named recipes: modes to 8 bits, resizing, turning."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from birdcli.errors import ErrorCode, ModelError
from birdcli.preprocess import Recipe, find_recipe, flatten, render

ANTIALIAS = find_recipe("squash-antialias@1")
BILINEAR = find_recipe("squash-bilinear@1")

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
CORNERS = {RED: "R", GREEN: "G", BLUE: "B", YELLOW: "Y"}

# What a viewer shows at top left, top right, bottom left, bottom right, if the stored pixels are
# red, green, blue, yellow there (EXIF 2.3, tag 0x0112).
SHOWN = {1: "RGBY", 2: "GRYB", 3: "YBGR", 4: "BYRG", 5: "RBGY", 6: "BRYG", 7: "YGBR", 8: "GYRB"}


def quadrants(width: int, height: int) -> Image.Image:
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    picture.paste(YELLOW, (width // 2, height // 2, width, height))
    return picture


def pattern(height: int, width: int, channels: int) -> Image.Image:
    y, x, c = np.ogrid[:height, :width, :channels]
    values = ((y * y * 3 + x * x * 5 + x * y * 7 + c * 61) % 256).astype(np.uint8)
    return Image.fromarray(values if channels == 3 else values[:, :, 0])


def rendered(
    picture: Image.Image, recipe: Recipe, size: tuple[int, int], orientation: int = 1
) -> Any:
    box = (0.0, 0.0, float(picture.width), float(picture.height))
    return render(picture, recipe, size, orientation=orientation, box=box)


def triangle_matrix(length: int, new_length: int) -> Any:
    """The antialiasing triangle filter as a dense matrix, straight from its definition."""
    ratio = max(length / new_length, 1.0)
    centres = (np.arange(new_length) + 0.5) * length / new_length
    distances = np.abs(np.arange(length) + 0.5 - centres[:, np.newaxis]) / ratio
    weights = np.maximum(0.0, 1.0 - distances)
    return weights / weights.sum(axis=1, keepdims=True)


def test_unknown_recipe_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ModelError) as caught:
        find_recipe("squash-antialias@2")
    assert caught.value.code is ErrorCode.MODEL_MANIFEST_INVALID
    assert "squash-antialias@1, squash-bilinear@1" in caught.value.hint


def test_recipes_are_found_without_an_image_library() -> None:
    code = (
        "import sys; from birdcli.preprocess import find_recipe; find_recipe('squash-bilinear@1');"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("recipe", [ANTIALIAS, BILINEAR], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("orientation", SHOWN)
def test_orientation_is_applied(recipe: Recipe, orientation: int) -> None:
    pixels = rendered(quadrants(90, 60), recipe, (32, 20), orientation)
    assert pixels.shape == (20, 32, 3)
    corners = (pixels[0, 0], pixels[0, -1], pixels[-1, 0], pixels[-1, -1])
    assert "".join(CORNERS[tuple(corner.tolist())] for corner in corners) == SHOWN[orientation]


@pytest.mark.parametrize("recipe", [ANTIALIAS, BILINEAR], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_are_read_only_contiguous_rgb_bytes(recipe: Recipe, mode: str) -> None:
    pixels = rendered(quadrants(50, 40).convert(mode), recipe, (9, 7))
    assert pixels.shape == (7, 9, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable


@pytest.mark.parametrize("recipe", [ANTIALIAS, BILINEAR], ids=lambda recipe: recipe.name)
def test_picture_of_the_right_size_is_unchanged(recipe: Recipe) -> None:
    picture = pattern(20, 30, 3)
    assert np.array_equal(rendered(picture, recipe, (30, 20)), np.asarray(picture))


@pytest.mark.parametrize(("height", "width"), [(300, 400), (97, 111), (23, 500), (10, 9)])
def test_antialias_is_the_triangle_filter(height: int, width: int) -> None:
    picture = pattern(height, width, 3)
    rows, columns = triangle_matrix(height, 48), triangle_matrix(width, 56)
    planes = np.asarray(picture, dtype=float).transpose(2, 0, 1)
    expected = (rows @ planes @ columns.T).transpose(1, 2, 0)
    # Pillow rounds between the axes; long sides begin with plain averages.
    tolerance = 1.01 if max(width / 56, height / 48) < 4 else 16
    assert np.abs(rendered(picture, ANTIALIAS, (56, 48)) - expected).max() <= tolerance


def test_antialias_averages_what_bilinear_skips() -> None:
    stripes = np.zeros((30, 90), dtype=np.uint8)
    stripes[:, 1::3] = 255
    picture = Image.fromarray(stripes)
    assert rendered(picture, BILINEAR, (30, 10)).min() == 255
    assert 80 <= rendered(picture, ANTIALIAS, (30, 10))[:, 2:-2].mean() <= 90


def test_antialias_resizes_only_the_box() -> None:
    picture = quadrants(40, 40)
    pixels = render(picture, ANTIALIAS, (40, 40), orientation=1, box=(0.0, 0.0, 20.0, 20.0))
    assert (pixels[:38, :38] == RED).all()


# Made with cv2.resize(…, INTER_LINEAR) of OpenCV 5.0.0: 224x224 in colour, 96x64 in grey.
OPENCV_DIGESTS = {
    (300, 400): ("c0b1c01f38766c30", "139af0dccc66389c"),
    (448, 448): ("4ec3a89c2962f822", "2745b93b5c1cd934"),
    (100, 90): ("574280c306caca04", "10137daf5c6d9a98"),
    (3, 5): ("06d1a39de4a58e67", "5da972210f5da221"),
    (1, 700): ("fc203a0cbdaf911d", "8dc1242c5b54e858"),
    (1000, 333): ("a0aded7a84bb5e83", "1adb5e2625ce8e6f"),
}


@pytest.mark.parametrize(("height", "width"), OPENCV_DIGESTS)
def test_bilinear_equals_opencv_digit_for_digit(height: int, width: int) -> None:
    colour = rendered(pattern(height, width, 3), BILINEAR, (224, 224))
    grey = rendered(pattern(height, width, 1), BILINEAR, (96, 64))[:, :, 0]
    digests = tuple(hashlib.sha256(p.tobytes()).hexdigest()[:16] for p in (colour, grey))
    assert digests == OPENCV_DIGESTS[height, width]


def flat_value(picture: Image.Image) -> tuple[int, ...]:
    """The one colour of an opaque picture."""
    flattened = flatten(picture)
    assert flattened.mode in {"L", "RGB"}
    pixels = np.asarray(flattened.convert("RGB")).reshape(-1, 3)
    assert (pixels == pixels[0]).all()
    return tuple(pixels[0].tolist())


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("1", 0, (0, 0, 0)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBX", (1, 2, 3, 0), (1, 2, 3)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
        ("YCbCr", (255, 128, 128), (255, 255, 255)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
        ("RGBA", (0, 0, 255, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 255, 255), (0, 0, 255)),
        ("RGBA", (0, 0, 255, 51), (204, 204, 255)),
        ("LA", (0, 51), (204, 204, 204)),
        ("RGBa", (0, 0, 51, 51), (204, 204, 255)),
        ("I;16", 0, (0, 0, 0)),
        ("I;16", 0x80FF, (128, 128, 128)),
        ("I;16", 0xFFFF, (255, 255, 255)),
        ("I;16B", 0x8000, (128, 128, 128)),
        ("I", 200, (200, 200, 200)),
        ("I", 0x8000, (128, 128, 128)),
        ("I", 1_000_000, (255, 255, 255)),
        ("I", -3, (0, 0, 0)),
        ("F", 0.5, (128, 128, 128)),
        ("F", 1.0, (255, 255, 255)),
        ("F", 100.0, (100, 100, 100)),
        ("F", 32896.0, (128, 128, 128)),
        ("F", 1e9, (255, 255, 255)),
        ("F", -1.0, (0, 0, 0)),
        ("F", float("nan"), (0, 0, 0)),
        ("F", float("inf"), (255, 255, 255)),
        ("F", float("-inf"), (0, 0, 0)),
    ],
)
def test_every_mode_becomes_opaque_8_bit(mode: str, colour: Any, expected: tuple[int, ...]) -> None:
    assert flat_value(Image.new(mode, (4, 3), colour)) == expected


def test_lab_is_converted() -> None:
    assert min(flat_value(Image.new("LAB", (4, 3), (255, 128, 128)))) >= 254


def test_relative_brightness_of_large_numbers_is_kept() -> None:
    values = np.array([[0, 1_000_000, 2_000_000]], dtype=np.int32)
    assert np.asarray(flatten(Image.fromarray(values))).tolist() == [[0, 128, 255]]


def test_nan_beside_numbers_is_black_and_does_not_set_the_white() -> None:
    values = np.array([[np.nan, np.inf, 0.5]], dtype=np.float32)
    assert np.asarray(flatten(Image.fromarray(values))).tolist() == [[0, 255, 128]]


def test_palette_is_looked_up() -> None:
    picture = Image.new("P", (4, 3), 7)
    picture.putpalette([9, 8, 7] * 256)
    assert flat_value(picture) == (9, 8, 7)


def test_transparent_palette_entry_is_white() -> None:
    picture = Image.new("P", (4, 3), 7)
    picture.putpalette([9, 8, 7] * 256)
    picture.info["transparency"] = 7
    assert flat_value(picture) == (255, 255, 255)


def test_palette_with_alpha_is_blended() -> None:
    picture = Image.new("P", (4, 3), 7)
    picture.putpalette([0, 0, 255, 51] * 256, "RGBA")
    assert flat_value(picture) == (204, 204, 255)


@pytest.mark.parametrize(
    ("mode", "colour", "key"),
    [
        ("L", 5, 5),
        ("1", 0, 0),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGB", (0x12, 0x56, 0x9A), (0x1234, 0x5678, 0x9ABC)),
        ("I;16", 0x1234, 0x1234),
    ],
)
def test_transparent_colour_is_white(mode: str, colour: Any, key: Any) -> None:
    picture = Image.new(mode, (4, 3), colour)
    picture.info["transparency"] = key
    assert flat_value(picture) == (255, 255, 255)


def test_other_colours_stay_where_one_is_transparent() -> None:
    picture = Image.new("I;16", (4, 3), 0x1234)
    picture.info["transparency"] = 0x1235
    assert flat_value(picture) == (0x12, 0x12, 0x12)
