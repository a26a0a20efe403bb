"""A displaying peacock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scripts.drawing.canvas import Canvas
from scripts.drawing.scenery import blobs, gradient
from scripts.drawing.shapes import curve, ellipse, flow_of, mixed, tube

if TYPE_CHECKING:
    from PIL import Image

    from scripts.drawing.shapes import Colour, Point

ROOT: Point = (322, 400)
BRONZE: Colour = (150, 120, 40)
GREEN: Colour = (46, 132, 74)
BLUE: Colour = (20, 70, 190)


def _at(angle: float, radius: float) -> Point:
    return ROOT[0] + radius * math.cos(angle), ROOT[1] - radius * math.sin(angle)


def _train_feather(canvas: Canvas, angle: float, radius: float, size: float) -> None:
    """One feather of the train with its eye."""
    rng = canvas.rng
    green = mixed(GREEN, BRONZE, rng.uniform(0.1, 0.6))
    tip = _at(angle, radius)
    inner = _at(angle, radius * 0.3)
    canvas.line([inner, tip], (196, 186, 150), 0.9)
    for step in range(44):  # loose barbs on both sides of the shaft
        share = 0.4 + 0.6 * step / 43
        foot = _at(angle, radius * share)
        for side in (-1, 1):
            lean = angle + side * rng.uniform(0.35, 0.75)
            reach = size * rng.uniform(1.1, 1.9) * (0.7 + 0.5 * share)
            end = (foot[0] + reach * math.cos(lean), foot[1] - reach * math.sin(lean))
            tone = mixed(
                green,
                rng.choice([(16, 50, 34), (178, 156, 70), (50, 140, 100)]),
                rng.uniform(0, 0.7),
            )
            canvas.line([foot, end], tone, 0.5)
    turn = -angle
    for along, wide, colour in (
        (1.05, 0.84, mixed(green, (206, 178, 80), 0.35)),
        (0.88, 0.7, (66, 128, 58)),
        (0.72, 0.57, (158, 104, 44)),
        (0.5, 0.42, (34, 150, 176)),
    ):
        canvas.fill(ellipse(tip, size * along, size * wide, turn), colour, soft=0.5)
    heart = _at(angle, radius - size * 0.12)
    canvas.fill(ellipse(heart, size * 0.3, size * 0.34, turn), (22, 24, 104), soft=0.4)
    notch = _at(angle, radius - size * 0.42)
    canvas.fill(ellipse(notch, size * 0.14, size * 0.1, turn), (38, 170, 186), soft=0.4)


def _train(canvas: Canvas) -> None:
    dome = [_at(a, 290) for a in (math.radians(d) for d in range(-20, 201, 6))]
    canvas.solid(
        dome,
        [
            (_at(1.57, 240), (40, 88, 48)),
            (_at(0.6, 300), (48, 82, 44)),
            (_at(2.5, 300), (48, 82, 44)),
            (ROOT, (34, 54, 32)),
        ],
        depth=60,
        shade=0.2,
        soft=8,
    )
    rows = ((408, 27), (362, 27), (318, 25), (276, 23), (236, 21), (198, 19), (162, 17), (130, 14))
    for row, (radius, count) in enumerate(rows):
        for i in range(count):
            offset = 0.5 * (row % 2)
            degrees = -14 + 208 * (i + offset) / (count - 0.5)
            _train_feather(
                canvas,
                math.radians(degrees),
                radius + canvas.rng.uniform(-5, 5),
                15.5 * (radius / 408) ** 0.55,
            )
    # Small golden scales where the train begins.
    for radius in range(112, 20, -6):
        count = 10 + radius // 4
        for i in range(count):
            angle = math.radians(-10 + 200 * (i + 0.5 * (radius // 6 % 2)) / count)
            scale = _at(angle, radius)
            canvas.fill(ellipse(scale, 5.2, 4.4, -angle), (30, 84, 50), opacity=0.9)
            canvas.fill(
                ellipse(_at(angle, radius + 1), 3.8, 3.2, -angle),
                mixed((120, 160, 60), (206, 180, 80), canvas.rng.random()),
                soft=0.3,
            )


def _body(canvas: Canvas) -> None:
    spine = [(322, 520), (320, 440), (312, 372), (304, 310), (306, 256), (318, 214), (322, 186)]
    body = tube(spine, [72, 66, 50, 34, 25, 21, 21])
    canvas.fill([(x + 8, y + 4) for x, y in body], (6, 20, 16), soft=10, opacity=0.6)
    canvas.solid(
        body,
        [
            ((300, 260), (30, 110, 220)),
            ((322, 240), BLUE),
            ((300, 330), (24, 92, 214)),
            ((330, 340), (14, 48, 150)),
            ((296, 420), (20, 120, 190)),
            ((340, 430), (16, 60, 140)),
            ((280, 470), (18, 110, 120)),
            ((350, 470), (14, 70, 84)),
            ((320, 195), (24, 84, 200)),
        ],
        depth=30,
        shade=0.95,
    )
    canvas.plumage(
        body,
        flow_of(((320, 190), 95), ((305, 300), 92), ((280, 440), 100), ((360, 440), 80)),
        length=6,
        width=0.9,
        contrast=0.3,
        overhang=0.6,
    )
    rng = canvas.rng
    for _ in range(900):  # glints of the breast
        t = rng.random()
        y = 230 + 260 * t
        half = 15 + 34 * t**1.3
        x = 310 + 10 * t + rng.uniform(-half, half)
        canvas.line(
            [(x, y), (x + rng.uniform(-1.5, 1.5), y + 3.5)],
            rng.choice([(70, 170, 250), (60, 210, 220), (30, 90, 220), (120, 120, 240)]),
            0.5,
        )


def _head(canvas: Canvas) -> None:
    rng = canvas.rng
    for i in range(15):  # the crest: bare shafts with small fans
        angle = math.radians(62 + 66 * i / 14)
        reach = 56 + rng.uniform(-4, 4)
        root = (322, 160)
        tip = (root[0] + reach * math.cos(angle), root[1] - reach * math.sin(angle))
        canvas.line([root, tip], (176, 184, 160), 0.6)
        canvas.fill(ellipse(tip, 4.6, 3.2, -angle), (20, 104, 180), soft=0.3)
        canvas.fill(ellipse(tip, 2.6, 1.8, -angle), (52, 190, 200), soft=0.3)
    head = curve(
        [
            (284, 176),
            (292, 160),
            (308, 150),
            (326, 150),
            (340, 162),
            (343, 184),
            (338, 206),
            (318, 212),
            (302, 202),
            (290, 192),
        ]
    )
    canvas.solid(
        head,
        [((310, 155), (24, 70, 190)), ((336, 180), (22, 80, 200)), ((300, 190), (20, 50, 140))],
        depth=14,
        shade=0.9,
    )
    canvas.plumage(
        head, flow_of(((300, 165), 10), ((335, 190), 80)), length=4, width=0.6, contrast=0.25
    )
    for patch in (
        [(289, 169), (302, 163), (318, 164), (328, 170), (314, 168), (300, 169)],
        [(292, 184), (304, 185), (318, 184), (328, 187), (318, 193), (304, 191)],
    ):
        canvas.solid(curve(patch), [(patch[1], (246, 246, 240))], depth=3, soft=0.5)
    canvas.solid(
        curve([(290, 176), (304, 174), (330, 177), (332, 182), (304, 181)]),
        [((310, 178), (14, 16, 30))],
        depth=3,
    )
    canvas.eye((312, 177), 4.6, (74, 46, 30))
    upper = curve([(292, 168), (278, 168), (262, 176), (256, 186), (268, 182), (292, 182)])
    lower = curve([(292, 180), (272, 183), (262, 186), (276, 189), (292, 189)])
    canvas.solid(lower, [((280, 185), (120, 112, 104))], depth=3, shade=0.8)
    canvas.solid(
        upper, [((282, 172), (168, 160, 150)), ((262, 182), (110, 104, 98))], depth=5, shade=0.9
    )
    canvas.fill(ellipse((282, 174), 2.6, 1.1, 0.2), (50, 46, 44), soft=0.3)


def draw() -> Image.Image:
    """Paints it from the front, with its train spread."""
    canvas = Canvas(seed=84)
    gradient(canvas, [(0, (40, 60, 32)), (300, (46, 70, 36)), (480, (40, 58, 32))])
    blobs(canvas, [(30, 50, 26), (70, 96, 44), (110, 130, 60)], 100, (16, 50), opacity=0.5)
    canvas.blur(6)
    _train(canvas)
    _body(canvas)
    _head(canvas)
    return canvas.finished()
