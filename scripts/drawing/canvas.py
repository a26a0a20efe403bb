"""A canvas for painted birds: shaded bodies, plumage made of strokes, feathers, eyes."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from scripts.drawing.shapes import curve, ellipse, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scripts.drawing.shapes import Colour, Flow, Outline, Point

WIDTH: Final = 640
HEIGHT: Final = 480
_FINE: Final = 3
"""Painted this many times larger, so that shrinking smooths every edge."""


def _ints(colour: Colour) -> tuple[int, int, int]:
    r, g, b = (max(0, min(255, round(c))) for c in colour)
    return r, g, b


class Canvas:
    """A picture being painted."""

    def __init__(self, seed: int) -> None:
        """Starts an empty picture; the seed decides every stroke."""
        self.rng = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self.image = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE))

    def _scaled(self, points: Outline) -> list[Point]:
        return [(x * _FINE, y * _FINE) for x, y in points]

    def _box(self, points: Outline, margin: float) -> tuple[int, int, int, int]:
        """The part of the large picture around an outline."""
        xs, ys = zip(*points, strict=True)
        return (
            max(0, int((min(xs) - margin) * _FINE)),
            max(0, int((min(ys) - margin) * _FINE)),
            min(WIDTH * _FINE, math.ceil((max(xs) + margin) * _FINE)),
            min(HEIGHT * _FINE, math.ceil((max(ys) + margin) * _FINE)),
        )

    def _mask(self, points: Outline, box: tuple[int, int, int, int], soft: float) -> Image.Image:
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        moved = [(x - box[0], y - box[1]) for x, y in self._scaled(points)]
        ImageDraw.Draw(mask).polygon(moved, fill=255)
        return mask.filter(ImageFilter.GaussianBlur(soft * _FINE)) if soft else mask

    def fill(
        self, outline: Outline, colour: Colour, *, soft: float = 0.0, opacity: float = 1.0
    ) -> None:
        """Fills a shape with one colour; `soft` blurs its edge."""
        box = self._box(outline, 3 * soft + 1)
        if box[0] >= box[2] or box[1] >= box[3]:
            return
        mask = self._mask(outline, box, soft)
        if opacity < 1.0:
            mask = mask.point(lambda level: level * opacity)
        self.image.paste(_ints(colour), box, mask)

    def line(self, points: Outline, colour: Colour, width: float) -> None:
        """Draws a line with round joints."""
        scaled = self._scaled(points)
        pen = ImageDraw.Draw(self.image)
        pen.line(scaled, fill=_ints(colour), width=max(1, round(width * _FINE)), joint="curve")

    def solid(
        self,
        outline: Outline,
        colours: Sequence[tuple[Point, Colour]],
        *,
        depth: float = 20.0,
        shade: float = 0.5,
        light: Point = (-0.5, -0.8),
        soft: float = 0.4,
    ) -> None:
        """Paints a rounded body whose colours flow into each other.

        Args:
            outline: Its edge.
            colours: Places and their colours; every pixel mixes the nearest.
            depth: How far from the edge the roundness reaches.
            shade: How strong light and shadow are, 0 to 1.
            light: Where light comes from.
            soft: Blur of the edge.
        """
        box = self._box(outline, 4)
        if box[0] >= box[2] or box[1] >= box[3]:
            return
        mask = self._mask(outline, box, soft)
        pixels = self._blended(box, colours) * self._shading(outline, box, depth, shade, light)
        painted = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        self.image.paste(painted, box, mask)

    def _blended(
        self, box: tuple[int, int, int, int], colours: Sequence[tuple[Point, Colour]]
    ) -> NDArray[np.float32]:
        step = 4
        xs = np.arange(box[0], box[2] + step, step, dtype=np.float32) / _FINE
        ys = np.arange(box[1], box[3] + step, step, dtype=np.float32) / _FINE
        total = np.zeros((len(ys), len(xs), 1), np.float32)
        mix = np.zeros((len(ys), len(xs), 3), np.float32)
        for (px, py), colour in colours:
            far = (xs[None, :] - px) ** 2 + (ys[:, None] - py) ** 2
            weight = (1.0 / (far + 8.0) ** 2.0)[..., None]
            total += weight
            mix += weight * np.asarray(colour, np.float32)
        small = Image.fromarray(np.clip(mix / total, 0, 255).astype(np.uint8))
        large = small.resize((len(xs) * step, len(ys) * step), Image.Resampling.BICUBIC)
        size = (box[2] - box[0], box[3] - box[1])
        return np.asarray(large.crop((0, 0, *size)), np.float32)

    def _shading(
        self,
        outline: Outline,
        box: tuple[int, int, int, int],
        depth: float,
        shade: float,
        light: Point,
    ) -> NDArray[np.float32]:
        """Light on the shape as if it were inflated, about 1 where it faces the viewer."""
        step = 4
        size = ((box[2] - box[0]) // step + 1, (box[3] - box[1]) // step + 1)
        flat = self._mask(outline, box, 0).resize(size, Image.Resampling.BOX)
        height = np.zeros((size[1], size[0]), np.float32)
        for share in (1.0, 0.5, 0.25):
            blur = flat.filter(ImageFilter.GaussianBlur(depth * share * _FINE / step))
            height += np.asarray(blur, np.float32) / 255.0
        dy, dx = np.gradient(height * depth * _FINE / step * 0.6)
        normal = np.sqrt(dx**2 + dy**2 + 1.0)
        strength = math.hypot(*light, 0.8)
        facing = (0.8 - dx * light[0] - dy * light[1]) / (normal * strength)
        factor = 1.0 + shade * (facing - 0.8 / strength)
        large = Image.fromarray(factor.astype(np.float32)).resize(
            (size[0] * step, size[1] * step), Image.Resampling.BICUBIC
        )
        crop = large.crop((0, 0, box[2] - box[0], box[3] - box[1]))
        return np.asarray(crop, np.float32)[..., None]

    def plumage(
        self,
        outline: Outline,
        flow: Flow,
        *,
        length: float = 7.0,
        width: float = 0.8,
        contrast: float = 0.16,
        cover: float = 1.0,
        bend: float = 0.3,
        overhang: float = 0.0,
    ) -> None:
        """Covers a shape with fine strokes that take the colour below them, a little varied.

        Args:
            outline: The shape; strokes begin inside it.
            flow: Their direction.
            length: Of a stroke.
            width: Of a stroke.
            contrast: How much lighter or darker a stroke may be.
            cover: How densely they stand.
            bend: How far directions stray, radians.
            overhang: How far strokes may reach past the edge, for soft plumage.
        """
        box = self._box(outline, length)
        if box[0] >= box[2] or box[1] >= box[3]:
            return
        inside = self._mask(outline, box, 0)
        layer = self.image.crop(box)
        source = layer.copy()
        pen = ImageDraw.Draw(layer)
        area = float(np.asarray(inside, np.float32).sum()) / 255.0 / _FINE**2
        within, colours = inside.load(), source.load()
        assert within is not None
        assert colours is not None
        for _ in range(int(cover * area / (length * width) * 3.0)):
            x = self.rng.randrange(inside.width)
            y = self.rng.randrange(inside.height)
            tone = self.rng.gauss(0.0, contrast)
            stray = self.rng.gauss(0.0, bend)
            reach = length * _FINE * self.rng.uniform(0.6, 1.4)
            if not within[x, y]:
                continue
            angle = flow((x + box[0]) / _FINE, (y + box[1]) / _FINE) + stray
            r, g, b = colours[x, y]  # type: ignore[misc]  # Pillow: a tuple in mode RGB
            gain = 1.0 + tone
            lift = 10.0 * tone
            middle = (x + math.cos(angle) * reach / 2, y + math.sin(angle) * reach / 2)
            angle += stray
            end = (middle[0] + math.cos(angle) * reach / 2, middle[1] + math.sin(angle) * reach / 2)
            colour = _ints((r * gain + lift, g * gain + lift, b * gain + lift))
            pen.line([(x, y), middle, end], fill=colour, width=max(1, round(width * _FINE)))
        grown = inside.filter(ImageFilter.GaussianBlur(max(0.4, overhang) * _FINE))
        if overhang:
            grown = grown.point(lambda level: min(255, level * 3))
        self.image.paste(layer, box, grown)

    def feather(
        self,
        base: Point,
        tip: Point,
        width: float,
        colour: Colour,
        *,
        edge: Colour | None = None,
        bow: float = 0.0,
    ) -> None:
        """Draws one large feather from its base to its rounded tip."""
        (bx, by), (tx, ty) = base, tip
        length = math.hypot(tx - bx, ty - by) or 1.0
        ux, uy = (tx - bx) / length, (ty - by) / length

        def at(along: float, across: float) -> Point:
            side = across * width + bow * length * 4 * along * (1 - along)
            return (bx + ux * along * length - uy * side, by + uy * along * length + ux * side)

        profile = [(0.0, 0.18), (0.2, 0.42), (0.55, 0.5), (0.85, 0.42), (0.96, 0.24)]
        outline = curve(
            [at(a, w) for a, w in profile]
            + [at(1.0, 0.0)]
            + [at(a, -w) for a, w in reversed(profile)],
            steps=5,
        )
        if edge is not None:
            self.fill(outline, edge)
            inner = [at(a * 0.97, w * 0.8) for a, w in profile]
            inner += [at(0.965, 0.0)] + [at(a * 0.97, -w * 0.8) for a, w in reversed(profile)]
            outline = curve(inner, steps=5)
        self.fill(outline, colour)
        shaft = [at(t, 0.0) for t in (0.05, 0.35, 0.65, 0.93)]
        self.line(shaft, mixed(colour, (0, 0, 0), 0.28), 0.5)
        for t in np.linspace(0.15, 0.9, max(3, int(length / 3))):
            for side in (0.4, -0.4):
                tone = self.rng.uniform(-0.14, 0.14)
                shadow: Colour = (0, 0, 0) if tone > 0 else (255, 255, 255)
                barb = [at(float(t), 0.0), at(min(1.0, float(t) + 0.08), side)]
                self.line(barb, mixed(colour, shadow, abs(tone)), 0.4)

    def eye(
        self, centre: Point, radius: float, iris: Colour, *, ring: Colour | None = None
    ) -> None:
        """Paints a round eye with pupil and catchlight, in a ring of skin if there is one."""
        x, y = centre
        if ring is not None:
            self.fill(ellipse(centre, radius * 1.45, radius * 1.4), ring, soft=0.3)
        self.fill(ellipse(centre, radius * 1.12, radius * 1.1), (12, 10, 10), soft=0.2)
        self.fill(ellipse(centre, radius, radius), iris)
        self.fill(
            ellipse((x, y + radius * 0.4), radius * 0.7, radius * 0.4),
            mixed(iris, (255, 255, 255), 0.25),
            soft=0.3,
            opacity=0.6,
        )
        self.fill(ellipse(centre, radius * 0.6, radius * 0.6), (8, 7, 8))
        glint = (x - radius * 0.32, y - radius * 0.36)
        self.fill(ellipse(glint, radius * 0.24, radius * 0.22), (250, 250, 252))

    def blur(self, radius: float) -> None:
        """Blurs everything painted so far: what is behind the bird is out of focus."""
        self.image = self.image.filter(ImageFilter.GaussianBlur(radius * _FINE))

    def finished(self, *, grain: float = 2.0) -> Image.Image:
        """Returns the picture at its own size, with a little grain."""
        small = self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        noise = self._noise.normal(0.0, grain, (HEIGHT, WIDTH, 1)).astype(np.float32)
        levels = np.asarray(small, np.float32) + noise
        return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
