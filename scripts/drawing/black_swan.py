"""A black swan on a lake."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scripts.drawing.canvas import Canvas
from scripts.drawing.scenery import blobs, gradient, reflect, ripples
from scripts.drawing.shapes import curve, ellipse, flow_of, mixed, tube

if TYPE_CHECKING:
    from PIL import Image

    from scripts.drawing.shapes import Colour

BLACK: Colour = (26, 25, 28)
SOOT: Colour = (54, 52, 56)
GREY: Colour = (104, 100, 102)
RED: Colour = (206, 44, 36)
WATERLINE = 352.0


def _scene(canvas: Canvas) -> None:
    gradient(
        canvas,
        [
            (0, (108, 132, 104)),
            (110, (136, 156, 118)),
            (170, (122, 148, 138)),
            (230, (116, 146, 158)),
            (480, (66, 98, 122)),
        ],
    )
    blobs(
        canvas,
        [(72, 98, 62), (100, 126, 76), (150, 168, 104), (176, 186, 124)],
        80,
        (18, 50),
        rows=(0, 130),
        opacity=0.6,
    )
    blobs(
        canvas,
        [(150, 178, 184), (96, 128, 144), (176, 196, 190)],
        70,
        (20, 70),
        rows=(180, 480),
        flat=0.12,
        opacity=0.5,
    )
    canvas.blur(6)


def _body(canvas: Canvas) -> None:
    body = curve(
        [
            (254, 300),
            (284, 262),
            (340, 236),
            (410, 226),
            (476, 236),
            (530, 256),
            (580, 262),
            (566, 300),
            (528, 338),
            (470, 362),
            (390, 370),
            (320, 366),
            (272, 346),
        ]
    )
    canvas.solid(
        body,
        [
            ((290, 280), SOOT),
            ((380, 240), (74, 72, 76)),
            ((500, 250), SOOT),
            ((300, 340), BLACK),
            ((420, 350), BLACK),
            ((540, 300), BLACK),
        ],
        depth=44,
        shade=0.9,
    )
    canvas.plumage(
        body,
        flow_of(((270, 290), 80), ((330, 250), 0), ((520, 270), 12), ((380, 350), 10)),
        length=9,
        width=0.8,
        contrast=0.28,
        overhang=1.0,
    )
    rng = canvas.rng
    for row in range(7):  # the ruffled wing, from its tip to the shoulder
        count = 13 - row
        for i in range(count):
            t = i / (count - 1)
            x = 560 - 34 * row - 150 * t + rng.uniform(-4, 4)
            y = 262 - 2 * row + (66 - 5 * row) * t * (1.2 - 0.5 * t) + rng.uniform(-4, 4)
            length = 58 - 4 * row
            lean = math.radians(6 - 8 * t - 2 * row + rng.uniform(-7, 7))
            base = (max(296, x - length * math.cos(lean)), y - length * math.sin(lean))
            if x < 330:  # the neck is there
                continue
            tone = mixed(BLACK, SOOT, rng.uniform(0.2, 1.0))
            canvas.feather(
                base,
                (x, y),
                19 - row,
                tone,
                edge=mixed(GREY, tone, rng.uniform(0.1, 0.5)),
                bow=rng.uniform(-0.1, 0.04),
            )
    for i in range(3):  # a glimpse of the white flight feathers
        canvas.feather(
            (486 + 8 * i, 324 - 8 * i),
            (544 + 8 * i, 312 - 13 * i),
            10,
            (206, 204, 200),
            edge=(120, 118, 118),
            bow=0.06,
        )
    for i in range(4):  # dark ones over them
        canvas.feather(
            (470 + 8 * i, 320 - 10 * i),
            (528 + 10 * i, 318 - 16 * i),
            14,
            mixed(BLACK, SOOT, 0.5),
            edge=mixed(GREY, BLACK, 0.4),
        )


def _neck(canvas: Canvas) -> None:
    spine = [
        (318, 312),
        (276, 304),
        (254, 268),
        (262, 222),
        (284, 178),
        (290, 132),
        (270, 98),
        (238, 94),
    ]
    neck = tube(spine, [40, 30, 22, 18, 15.5, 14.5, 15, 17])
    canvas.fill([(x + 6, y + 4) for x, y in neck], (8, 8, 10), soft=7, opacity=0.35)
    canvas.solid(
        neck,
        [
            ((300, 310), SOOT),
            ((256, 270), SOOT),
            ((280, 190), (44, 43, 47)),
            ((288, 130), SOOT),
            ((250, 94), (60, 58, 62)),
        ],
        depth=15,
        shade=1.0,
    )
    canvas.plumage(
        neck,
        flow_of(
            ((300, 310), 20),
            ((255, 270), 75),
            ((270, 205), 115),
            ((290, 140), 92),
            ((262, 95), 30),
            ((240, 95), 5),
        ),
        length=5,
        width=0.6,
        contrast=0.34,
        overhang=0.7,
    )


def _head(canvas: Canvas) -> None:
    head = curve(
        [
            (216, 100),
            (226, 82),
            (250, 74),
            (276, 82),
            (288, 104),
            (276, 120),
            (248, 124),
            (226, 120),
        ]
    )
    canvas.solid(
        head,
        [((245, 80), (70, 68, 72)), ((270, 110), BLACK), ((230, 110), BLACK)],
        depth=14,
        shade=1.0,
    )
    canvas.plumage(
        head, flow_of(((240, 85), 0), ((275, 100), 50)), length=4, width=0.6, contrast=0.34
    )
    lower = curve(
        [(230, 112), (206, 116), (184, 124), (172, 130), (190, 131), (214, 126), (234, 122)]
    )
    canvas.solid(lower, [((210, 120), (168, 30, 30))], depth=5, shade=0.9)
    upper = curve(
        [
            (238, 94),
            (224, 92),
            (204, 102),
            (184, 114),
            (168, 124),
            (164, 132),
            (176, 130),
            (196, 122),
            (220, 116),
            (238, 112),
        ]
    )
    canvas.solid(
        upper,
        [((225, 100), RED), ((196, 112), (222, 62, 48)), ((174, 126), (196, 40, 34))],
        depth=9,
        shade=0.9,
    )
    band = curve([(190, 110), (182, 115), (178, 124), (184, 125), (190, 121), (196, 114)])
    canvas.solid(band, [((186, 118), (250, 246, 240))], depth=4, shade=0.4, soft=0.6)
    canvas.fill(ellipse((208, 107), 3.2, 1.3, -0.5), (90, 14, 16), soft=0.3)
    canvas.line(
        curve([(236, 114), (214, 118), (190, 125), (172, 131)], closed=False), (84, 14, 16), 0.8
    )
    canvas.eye((236, 97), 3.8, (190, 40, 30))


def draw() -> Image.Image:
    """Paints it swimming to the left, with its reflection."""
    canvas = Canvas(seed=100)
    _scene(canvas)
    _body(canvas)
    _neck(canvas)
    _head(canvas)
    reflect(canvas, WATERLINE, blur=1.6, share=0.7, sway=5)
    ripples(
        canvas,
        [(176, 200, 204), (72, 104, 128), (120, 150, 160)],
        WATERLINE + 4,
        count=200,
        opacity=0.4,
    )
    for x, wide in ((310, 50), (430, 90), (520, 40)):
        canvas.fill(ellipse((x, WATERLINE + 1), wide, 1.4), (196, 212, 214), soft=1.8, opacity=0.35)
    return canvas.finished()
