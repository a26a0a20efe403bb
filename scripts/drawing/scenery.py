"""What is behind a bird and below it, out of focus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from scripts.drawing.canvas import HEIGHT, WIDTH, Canvas
from scripts.drawing.shapes import ellipse, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.drawing.shapes import Colour


def gradient(canvas: Canvas, bands: Sequence[tuple[float, Colour]]) -> None:
    """Fills the picture with bands of colour from top to bottom (height and colour), blended."""
    rows = np.arange(canvas.image.height) * (HEIGHT / canvas.image.height)
    heights = [height for height, _ in bands]
    channels = [np.interp(rows, heights, [colour[c] for _, colour in bands]) for c in range(3)]
    column = np.stack(channels, axis=1)[:, None, :].round().astype(np.uint8)
    canvas.image = Image.fromarray(column).resize(canvas.image.size)


def blobs(
    canvas: Canvas,
    colours: Sequence[Colour],
    count: int,
    sizes: tuple[float, float],
    *,
    rows: tuple[float, float] = (0, HEIGHT),
    flat: float = 1.0,
    opacity: float = 0.7,
) -> None:
    """Scatters soft spots such as leaves out of focus; `flat` below 1 makes them lie down."""
    rng = canvas.rng
    for _ in range(count):
        size = rng.uniform(*sizes)
        spot = (rng.uniform(-20, WIDTH + 20), rng.uniform(*rows))
        a, b = rng.choice(colours), rng.choice(colours)
        canvas.fill(
            ellipse(spot, size, size * flat * rng.uniform(0.7, 1.2), rng.uniform(-0.3, 0.3)),
            mixed(a, b, rng.random()),
            soft=size * 0.12,
            opacity=opacity * rng.uniform(0.5, 1.0),
        )


def ripples(
    canvas: Canvas, colours: Sequence[Colour], top: float, *, count: int = 260, opacity: float = 0.5
) -> None:
    """Draws ripples from a waterline to the lower edge, larger the nearer they are."""
    rng = canvas.rng
    for _ in range(count):
        near = rng.random() ** 0.8
        y = top + near * (HEIGHT - top)
        wide = rng.uniform(8, 30) * (0.35 + 1.4 * near)
        spot = (rng.uniform(-20, WIDTH + 20), y)
        canvas.fill(
            ellipse(spot, wide, 0.5 + 1.4 * near, rng.uniform(-0.04, 0.04)),
            rng.choice(colours),
            soft=0.5,
            opacity=opacity * rng.uniform(0.4, 1.0),
        )


def reflect(
    canvas: Canvas, top: float, *, blur: float = 2.0, share: float = 0.6, sway: float = 3.0
) -> None:
    """Mirrors what is above a waterline into the water below it, broken by small waves."""
    scale = canvas.image.height / HEIGHT
    line = round(top * scale)
    depth = canvas.image.height - line
    above = canvas.image.crop((0, max(0, line - depth), canvas.image.width, line))
    pixels = np.asarray(above.transpose(Image.Transpose.FLIP_TOP_BOTTOM))
    moved = np.empty_like(pixels)
    for row in range(pixels.shape[0]):
        near = row / depth
        wave = math.sin(row * 0.11) + 0.6 * math.sin(row * 0.31 + 1.0)
        moved[row] = np.roll(pixels[row], round(wave * sway * scale * near), axis=0)
    mirror = Image.fromarray(moved).filter(ImageFilter.GaussianBlur(blur * scale))
    box = (0, line, canvas.image.width, line + pixels.shape[0])
    canvas.image.paste(Image.blend(canvas.image.crop(box), mirror, share), box)
