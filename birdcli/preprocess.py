"""Opened pictures to model-sized RGB pixels, by named recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from birdcli.errors import ErrorCode, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from birdcli.items import RgbImage

    Box: TypeAlias = tuple[float, float, float, float]
    """left, top, right, bottom of the picture inside the decoded pixels; may end between two."""

    Size: TypeAlias = tuple[int, int]
    """width, height."""

SIDEWAYS = frozenset({5, 6, 7, 8})
"""The EXIF orientations that swap width and height."""

_LINEAR_BITS = 11  # OpenCV's INTER_RESIZE_COEF_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a picture becomes the model's input; the name stands for every pixel it produces.

    Attributes:
        name: `<what>@<version>`, as in the manifest and in cache keys.
        reduced_scale: Whether a JPEG may be decoded at 1/2, 1/4 or 1/8, not below the input size.
        resize: Squashes the part of an 8-bit L or RGB picture inside a box to a size.
    """

    name: str
    reduced_scale: bool
    resize: Callable[[Image.Image, Size, Box], Image.Image]


def find_recipe(name: str) -> Recipe:
    """Returns the recipe of that name, without importing an image library.

    Raises:
        ModelError: ``model.manifest_invalid`` if there is none.
    """
    recipe = _RECIPES.get(name)
    if recipe is None:
        raise ModelError(
            ErrorCode.MODEL_MANIFEST_INVALID,
            f"there is no preprocessing {name!r}",
            hint=f"Known: {', '.join(sorted(_RECIPES))}.",
            preprocessing=name,
        )
    return recipe


def render(
    picture: Image.Image, recipe: Recipe, size: Size, *, orientation: int, box: Box
) -> RgbImage:
    """Returns the whole picture squashed to a size, the way up it was taken.

    It is turned after resizing: both commute, and turning 224x224 pixels costs nothing.

    Args:
        picture: Loaded pixels in any mode.
        recipe: How to resize.
        size: Width and height of the result, pixels.
        orientation: EXIF orientation, 1 to 8.
        box: The part of the pixels that is picture.

    Returns:
        uint8 [height, width, 3], C-contiguous, read-only.
    """
    import numpy as np
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    stored_size = (size[1], size[0]) if orientation in SIDEWAYS else size
    small = recipe.resize(flatten(picture), stored_size, box).convert("RGB")
    if orientation in turns:
        small = small.transpose(turns[orientation])
    pixels = np.asarray(small)
    pixels.setflags(write=False)
    return pixels


def flatten(picture: Image.Image) -> Image.Image:
    """Returns an opaque picture of 8 bits a channel, mode L or RGB; transparency becomes white.

    Grey stays one channel, because resizing that costs a third.
    """
    if picture.mode.startswith("I;16"):
        return _from_16_bit_grey(picture)
    if picture.mode in {"I", "F"}:
        return _from_unbounded_grey(picture)
    if picture.has_transparency_data:
        return _onto_white(picture)
    if picture.mode in {"L", "RGB"}:
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _onto_white(picture: Image.Image) -> Image.Image:
    from PIL import Image

    key = picture.info.get("transparency")
    if isinstance(key, tuple):
        # Pillow keeps the upper byte of 16-bit colour, but both bytes of its transparent colour.
        picture.info["transparency"] = tuple(v >> 8 if max(key) > 255 else v for v in key)
    layer = picture.convert("RGBA")
    paper = Image.new("RGB", layer.size, "white")
    paper.paste(layer, mask=layer)
    return paper


def _from_16_bit_grey(picture: Image.Image) -> Image.Image:
    import numpy as np
    from PIL import Image

    wide = np.asarray(picture)
    # The upper byte, as Pillow takes it of 16-bit colour: grey and colour stay alike.
    grey = (wide >> 8).astype(np.uint8)
    key = picture.info.get("transparency")
    if key is not None:
        grey[wide == key] = 255
    return Image.fromarray(grey)


def _from_unbounded_grey(picture: Image.Image) -> Image.Image:
    """Scales 32-bit integers and floats, which do not say what white is.

    White is the smallest usual value that no pixel exceeds: 1 (floats only), the largest 8-bit
    or 16-bit number, else the brightest pixel. NaN and what is below 0 are black.
    """
    import numpy as np
    from PIL import Image

    values = np.asarray(picture, dtype=np.float32)
    brightest = float(values.max(initial=0.0, where=np.isfinite(values)))
    usual = (255.0, 65535.0) if picture.mode == "I" else (1.0, 255.0, 65535.0)
    white = next((top for top in usual if brightest <= top), brightest)
    shares = np.clip(np.nan_to_num(values, nan=0.0) / np.float32(white), 0.0, 1.0)
    return Image.fromarray(np.rint(shares * 255.0).astype(np.uint8))


def _resize_antialiased(picture: Image.Image, size: Size, box: Box) -> Image.Image:
    """Resizes with a triangle filter as wide as the reduction, so that nothing is skipped.

    Source:
        Pillow's BILINEAR, the same filter as `tf.image.resize(…, "bilinear", antialias=True)`.
        Whole-number reductions above 4 begin with plain averages (`reducing_gap`).
    """
    from PIL import Image

    return picture.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0)


def _resize_like_opencv(picture: Image.Image, size: Size, box: Box) -> Image.Image:
    """Resizes by linear interpolation between the two nearest pixels of each axis, no antialias.

    Source:
        `cv2.resize(…, INTER_LINEAR)` for 8-bit pictures, digit for digit: half-pixel centres,
        weights in 1/2048, and its order of shifts.
    """
    import numpy as np
    from PIL import Image

    del box  # always the whole picture, because the recipe asks for full scale
    pixels = np.asarray(picture)
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    left, x_weights = _linear_taps(pixels.shape[1], size[0])
    top, y_weights = _linear_taps(pixels.shape[0], size[1])
    # Clamped: beyond the outer pixel centres both neighbours are the outer pixel.
    columns = np.clip(np.stack((left, left + 1)), 0, pixels.shape[1] - 1)
    rows = np.clip(np.stack((top, top + 1)), 0, pixels.shape[0] - 1)

    def blend_columns(row: NDArray[np.int64]) -> NDArray[np.int32]:
        near, far = (pixels[row[:, np.newaxis], column].astype(np.int32) for column in columns)
        blended: NDArray[np.int32] = near * x_weights[:, :1] + far * x_weights[:, 1:]
        return blended >> 4

    upper = (blend_columns(rows[0]) * y_weights[:, 0, np.newaxis, np.newaxis]) >> 16
    lower = (blend_columns(rows[1]) * y_weights[:, 1, np.newaxis, np.newaxis]) >> 16
    result = ((upper + lower + 2) >> 2).astype(np.uint8)
    return Image.fromarray(result if picture.mode == "RGB" else result[:, :, 0])


def _linear_taps(length: int, new_length: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Returns where each new pixel lies: the pixel before it, and the weights of that and the next.

    Args:
        length: Pixels along the axis.
        new_length: Pixels wanted along it.

    Returns:
        int64 [new_length], -1 or more; and int32 [new_length, 2], each row summing to 2048.
    """
    import numpy as np

    step = 1.0 / (new_length / length)  # two divisions, as OpenCV does it
    centres = ((np.arange(new_length) + 0.5) * step - 0.5).astype(np.float32)
    before = np.floor(centres).astype(np.int64)
    share = centres - before.astype(np.float32)
    scale = np.float32(1 << _LINEAR_BITS)
    weights = np.rint(np.stack(((np.float32(1) - share) * scale, share * scale), axis=1))
    return before, weights.astype(np.int32)


_RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="squash-antialias@1", reduced_scale=True, resize=_resize_antialiased),
        Recipe(name="squash-bilinear@1", reduced_scale=False, resize=_resize_like_opencv),
    )
}
