"""The lines, outlines and colours that birds are drawn with.

All coordinates and lengths are those of the finished picture, 640 x 480; colours are RGB, 0 to 255.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = tuple[float, float, float]
Outline: TypeAlias = "Sequence[Point]"
Flow: TypeAlias = "Callable[[float, float], float]"
"""The direction of feathers at a point, radians, 0 to the right and growing clockwise."""


def curve(points: Outline, *, closed: bool = True, steps: int = 14) -> list[Point]:
    """Returns a smooth line through points (Catmull-Rom)."""
    count = len(points)
    last = count if closed else count - 1
    line: list[Point] = []
    for i in range(last):
        p0, p1, p2, p3 = (
            points[(i + k) % count] if closed else points[min(max(i + k, 0), count - 1)]
            for k in (-1, 0, 1, 2)
        )
        for step in range(steps):
            t = step / steps
            line.append(
                (
                    _catmull_rom(p0[0], p1[0], p2[0], p3[0], t),
                    _catmull_rom(p0[1], p1[1], p2[1], p3[1], t),
                )
            )
    if not closed:
        line.append(points[-1])
    return line


def _catmull_rom(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )


def tube(spine: Outline, radii: Sequence[float]) -> list[Point]:
    """Returns the outline of a bent tube, such as a neck, with a radius at each spine point."""
    line = curve(spine, closed=False)
    widths = np.interp(np.linspace(0, len(radii) - 1, len(line)), range(len(radii)), radii)
    left: list[Point] = []
    right: list[Point] = []
    for i, (x, y) in enumerate(line):
        (ax, ay), (bx, by) = line[max(i - 1, 0)], line[min(i + 1, len(line) - 1)]
        angle = math.atan2(by - ay, bx - ax) + math.pi / 2
        dx, dy = math.cos(angle) * widths[i], math.sin(angle) * widths[i]
        left.append((x + dx, y + dy))
        right.append((x - dx, y - dy))
    return left + right[::-1]


def ellipse(centre: Point, rx: float, ry: float, turn: float = 0.0) -> list[Point]:
    """Returns the outline of an ellipse turned by an angle in radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    return [
        (
            centre[0] + rx * math.cos(a) * cos - ry * math.sin(a) * sin,
            centre[1] + rx * math.cos(a) * sin + ry * math.sin(a) * cos,
        )
        for a in np.linspace(0, 2 * math.pi, 48, endpoint=False)
    ]


def flow_of(*arrows: tuple[Point, float]) -> Flow:
    """Returns the flow that follows the nearest of some arrows (point and degrees) smoothly."""

    def flow(x: float, y: float) -> float:
        dx = dy = 0.0
        for (px, py), degrees in arrows:
            weight = 1.0 / ((x - px) ** 2 + (y - py) ** 2 + 20.0) ** 1.5
            dx += weight * math.cos(math.radians(degrees))
            dy += weight * math.sin(math.radians(degrees))
        return math.atan2(dy, dx)

    return flow


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Returns a colour between two, `share` of the way."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )
