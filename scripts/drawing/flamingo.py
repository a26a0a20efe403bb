"""A flamingo in shallow water."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scripts.drawing.canvas import Canvas
from scripts.drawing.scenery import blobs, gradient, reflect, ripples
from scripts.drawing.shapes import curve, ellipse, flow_of, mixed, tube

if TYPE_CHECKING:
    from PIL import Image

    from scripts.drawing.shapes import Colour

PALE: Colour = (255, 206, 200)
PINK: Colour = (250, 150, 142)
CORAL: Colour = (240, 98, 88)
DEEP: Colour = (214, 60, 62)
BLACK: Colour = (26, 22, 26)
WATERLINE = 396.0


def _scene(canvas: Canvas) -> None:
    gradient(
        canvas,
        [
            (0, (88, 122, 84)),
            (120, (116, 148, 100)),
            (230, (142, 168, 120)),
            (290, (150, 178, 160)),
            (330, (112, 152, 168)),
            (480, (64, 108, 138)),
        ],
    )
    blobs(
        canvas,
        [(60, 92, 58), (84, 120, 66), (130, 160, 96), (170, 190, 120)],
        90,
        (20, 60),
        rows=(0, 240),
        opacity=0.5,
    )
    for x, y, size in ((60, 290, 0.5), (118, 300, 0.6), (560, 292, 0.52), (606, 304, 0.62)):
        canvas.fill(ellipse((x, y), 46 * size, 26 * size, -0.2), PINK, soft=2)
        neck = [
            (x - 34 * size, y),
            (x - 54 * size, y - 30 * size),
            (x - 36 * size, y - 62 * size),
            (x - 50 * size, y - 86 * size),
        ]
        canvas.fill(tube(neck, [8 * size, 6 * size, 6 * size, 8 * size]), PINK, soft=2)
        canvas.line([(x, y), (x + 2, y + 80 * size)], CORAL, 3 * size)
    canvas.blur(6)


def _legs(canvas: Canvas) -> None:
    for hip, knee, foot, colour in (
        ((392, 250), (406, 330), (398, 470), mixed(CORAL, BLACK, 0.2)),
        ((362, 256), (358, 338), (362, 470), CORAL),
    ):
        canvas.solid(tube([hip, knee], [7, 3.6]), [(hip, PINK), (knee, colour)], depth=4)
        canvas.solid(ellipse(knee, 6.2, 8), [(knee, DEEP)], depth=5)
        canvas.solid(tube([knee, foot], [3.8, 3.4]), [(knee, colour), (foot, CORAL)], depth=3)


def _body(canvas: Canvas) -> None:
    body = curve(
        [
            (268, 208),
            (290, 172),
            (340, 148),
            (400, 148),
            (452, 172),
            (496, 208),
            (528, 244),
            (490, 250),
            (452, 262),
            (400, 274),
            (344, 272),
            (298, 252),
        ]
    )
    canvas.solid(
        body,
        [
            ((290, 200), PINK),
            ((340, 165), PALE),
            ((420, 170), PALE),
            ((500, 225), PINK),
            ((360, 250), CORAL),
            ((420, 250), CORAL),
            ((300, 240), PINK),
        ],
        depth=36,
        shade=0.7,
    )
    canvas.plumage(
        body,
        flow_of(
            ((290, 190), 150),
            ((300, 240), 70),
            ((360, 170), 10),
            ((480, 220), 30),
            ((400, 260), 25),
        ),
        length=10,
        width=0.8,
        contrast=0.1,
        overhang=1.5,
    )
    rng = canvas.rng
    for row in range(6):  # from the tips of the wing to its shoulder, each row over the last
        share = row / 5
        count = 12 - row
        for i in range(count):
            t = i / (count - 1)
            x = 506 - 92 * share - (150 - 40 * share) * t * 0.92 + rng.uniform(-3, 3)
            y = 214 - 26 * share + 48 * t * (1 - 0.55 * share) + rng.uniform(-3, 3)
            colour = mixed(mixed(PINK, CORAL, t * 0.8), PALE, rng.uniform(0.0, 0.5) * (1 - t))
            length = 46 - 22 * share
            angle = math.radians(26 - 6 * t)
            base = (x - math.cos(angle) * length, y - math.sin(angle) * length)
            canvas.feather(base, (x, y), 15 - 4 * share, colour, edge=mixed(colour, DEEP, 0.28))
    for i in range(4):  # black flight feathers, mostly hidden
        canvas.feather(
            (446 + 5 * i, 250 - 4 * i),
            (508 + 6 * i, 258 - 6 * i),
            9,
            (46, 32, 36),
            edge=(92, 50, 54),
        )


def _neck_and_head(canvas: Canvas) -> None:
    spine = [
        (300, 214),
        (262, 236),
        (228, 226),
        (214, 190),
        (232, 152),
        (258, 118),
        (262, 78),
        (238, 52),
        (208, 58),
    ]
    neck = tube(spine, [34, 25, 19, 16.5, 15, 14, 14, 17, 18])
    canvas.fill([(x + 5, y + 6) for x, y in neck], (150, 52, 56), soft=7, opacity=0.25)
    canvas.solid(
        neck,
        [
            ((300, 214), PINK),
            ((250, 240), CORAL),
            ((214, 200), PINK),
            ((232, 150), CORAL),
            ((262, 100), PINK),
            ((240, 50), PINK),
            ((205, 55), PALE),
        ],
        depth=14,
        shade=0.75,
    )
    canvas.plumage(
        neck,
        flow_of(
            ((300, 215), 160),
            ((255, 235), 190),
            ((220, 200), 80),
            ((240, 140), 125),
            ((262, 95), 90),
            ((245, 55), 40),
            ((205, 55), 20),
        ),
        length=5,
        width=0.6,
        contrast=0.1,
        overhang=0.8,
    )
    base = curve(
        [(206, 40), (194, 44), (182, 60), (176, 74), (186, 84), (198, 80), (210, 72), (214, 54)]
    )
    canvas.solid(
        base, [((205, 55), (255, 226, 214)), ((186, 70), (250, 196, 186))], depth=8, shade=0.5
    )
    hook = curve(
        [
            (182, 60),
            (172, 76),
            (166, 96),
            (168, 112),
            (176, 114),
            (186, 104),
            (194, 88),
            (188, 82),
            (178, 74),
        ]
    )
    canvas.solid(hook, [((176, 80), (40, 34, 38)), ((172, 104), BLACK)], depth=6, shade=0.9)
    canvas.line(
        curve([(208, 66), (194, 68), (184, 78), (178, 96), (172, 110)], closed=False),
        (120, 60, 60),
        0.9,
    )
    canvas.eye((216, 48), 4.0, (240, 206, 70), ring=(236, 150, 150))


def draw() -> Image.Image:
    """Paints it from the side, facing left, with others behind it."""
    canvas = Canvas(seed=130)
    _scene(canvas)
    _legs(canvas)
    _body(canvas)
    _neck_and_head(canvas)
    reflect(canvas, WATERLINE, blur=2.2, share=0.75, sway=5)
    ripples(
        canvas,
        [(190, 214, 216), (70, 112, 138), (250, 190, 184)],
        WATERLINE,
        count=170,
        opacity=0.4,
    )
    for x in (361, 400):
        canvas.fill(ellipse((x, WATERLINE + 1), 15, 2.4), (222, 234, 234), soft=1, opacity=0.7)
    return canvas.finished()
