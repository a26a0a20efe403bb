"""Generated pictures that tell a right model from a wrong one.

Black, white, grey and checkers are blind to a swapped channel or scale, or give unstable answers;
these eight are not: wrong channel order, scale, a missing activation, flips and rotations move
their log-probabilities by many times the tolerance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from birdcli.items import RgbBatch, RgbImage

PROBE_NAMES = (
    "pink noise 1",
    "pink noise 2",
    "gratings",
    "smooth noise",
    "drawn bird on sky",
    "drawn bird on leaves",
    "discs",
    "uniform noise",
)


def _levels(picture: NDArray[np.float64]) -> RgbImage:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _coordinates(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of pixel centres, both from 0 to 1, shape [H, W]."""
    rows, columns = np.mgrid[0:height, 0:width]
    return (rows + 0.5) / height, (columns + 0.5) / width


def _power_noise(
    random: np.random.RandomState, height: int, width: int, exponent: float
) -> RgbImage:
    rows = np.fft.fftfreq(height)[:, None]
    columns = np.fft.rfftfreq(width)[None, :]
    frequency = np.maximum(np.hypot(rows, columns), 1.0 / max(height, width))
    channels = []
    for _ in range(3):
        spectrum = np.fft.rfft2(random.standard_normal((height, width))) / frequency**exponent
        noise = np.fft.irfft2(spectrum, s=(height, width))
        channels.append((noise - noise.mean()) / noise.std())
    light, warm, tint = channels
    mixed = np.stack([light + 0.5 * warm, light + 0.3 * tint, light - 0.5 * warm], axis=-1)
    return _levels(127.5 + 48.0 * mixed)


def _gratings(random: np.random.RandomState, height: int, width: int) -> RgbImage:
    y, x = _coordinates(height, width)
    picture = np.full((height, width, 3), 127.5)
    for _ in range(12):
        angle, phase = random.uniform(0, np.pi), random.uniform(0, 2 * np.pi)
        cycles, colour = random.uniform(3, 40), random.uniform(-28, 28, 3)
        wave = np.sin(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + phase)
        picture += wave[..., None] * colour
    return _levels(picture)


def _discs(random: np.random.RandomState, height: int, width: int) -> RgbImage:
    y, x = _coordinates(height, width)
    picture = np.full((height, width, 3), 127.5)
    for _ in range(150):
        row, column, radius = random.uniform(0, 1), random.uniform(0, 1), random.uniform(0.02, 0.15)
        # Only the pixels around it: looking at all of them would take most of the time.
        rows = slice(max(0, int((row - radius) * height)), int((row + radius) * height) + 1)
        columns = slice(max(0, int((column - radius) * width)), int((column + radius) * width) + 1)
        inside = np.hypot(y[rows, columns] - row, x[rows, columns] - column) < radius
        picture[rows, columns][inside] = random.uniform(0, 255, 3)
    return _levels(picture)


def _drawn_bird(
    random: np.random.RandomState,
    height: int,
    width: int,
    *,
    body: tuple[int, int, int],
    breast: tuple[int, int, int],
    ground: tuple[int, int, int],
) -> RgbImage:
    """A perched bird of ellipses, facing left, before a mottled background."""
    y, x = _coordinates(height, width)
    mottle = _power_noise(random, height, width, 1.5).astype(np.float64) - 127.5
    picture = np.asarray(ground, np.float64) + 0.35 * mottle

    shading = 1.0 - 0.45 * (y[..., None] - 0.35)
    for shape, colour in (
        ((0.86, 0.50, 0.02, 0.48, 0.05), (92, 70, 50)),  # branch
        ((0.66, 0.76, 0.05, 0.20, 0.45), body),  # tail
        ((0.55, 0.50, 0.18, 0.26, 0.45), body),  # back
        ((0.60, 0.43, 0.14, 0.17, 0.60), breast),
        ((0.35, 0.33, 0.12, 0.13, 0.00), body),  # head
        ((0.37, 0.19, 0.02, 0.06, 0.10), (60, 52, 44)),  # bill
        ((0.55, 0.58, 0.08, 0.20, 0.50), tuple(channel // 2 for channel in body)),  # wing
        ((0.33, 0.30, 0.02, 0.02, 0.00), (12, 10, 10)),  # eye
    ):
        row, column, high, wide, tilt = shape
        across = (x - column) * np.cos(tilt) + (y - row) * np.sin(tilt)
        along = (y - row) * np.cos(tilt) - (x - column) * np.sin(tilt)
        mask = (across / wide) ** 2 + (along / high) ** 2 < 1.0
        picture[mask] = (np.asarray(colour, np.float64) * shading + 0.12 * mottle)[mask]
    return _levels(picture)


def make_probes(height: int, width: int) -> RgbBatch:
    """Returns the eight probes at the model's input size.

    Args:
        height: Pixels.
        width: Pixels.

    Returns:
        uint8 [8, H, W, 3], RGB, in the order of `PROBE_NAMES`, the same on every machine: the
        stream of `RandomState` is frozen by NumPy's compatibility policy.
    """
    random = np.random.RandomState(20261)
    return np.stack(
        [
            _power_noise(random, height, width, 1.0),
            _power_noise(random, height, width, 1.0),
            _gratings(random, height, width),
            _power_noise(random, height, width, 2.0),
            _drawn_bird(
                random,
                height,
                width,
                body=(70, 96, 170),
                breast=(226, 140, 70),
                ground=(150, 196, 226),
            ),
            _drawn_bird(
                random,
                height,
                width,
                body=(52, 46, 44),
                breast=(238, 206, 62),
                ground=(74, 120, 60),
            ),
            _discs(random, height, width),
            random.randint(0, 256, (height, width, 3)).astype(np.uint8),
        ]
    )
