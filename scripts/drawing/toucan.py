"""A toco toucan on a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.drawing.canvas import Canvas
from scripts.drawing.scenery import blobs, gradient
from scripts.drawing.shapes import curve, ellipse, flow_of, mixed, tube

if TYPE_CHECKING:
    from PIL import Image

    from scripts.drawing.shapes import Colour

BLACK: Colour = (22, 22, 27)
SHEEN: Colour = (58, 60, 72)
WHITE: Colour = (250, 248, 238)
ORANGE: Colour = (246, 142, 22)
YELLOW: Colour = (254, 196, 46)
RED: Colour = (204, 62, 24)


def _scene(canvas: Canvas) -> None:
    gradient(canvas, [(0, (70, 112, 44)), (240, (58, 98, 44)), (480, (30, 60, 34))])
    blobs(
        canvas,
        [(40, 84, 32), (96, 140, 56), (150, 186, 84), (30, 62, 30), (190, 210, 120)],
        170,
        (18, 62),
        opacity=0.55,
    )
    canvas.blur(7)


def _branch(canvas: Canvas) -> None:
    wood = tube([(-20, 446), (150, 424), (330, 414), (500, 386), (670, 344)], [20, 22, 21, 18, 14])
    canvas.solid(
        wood,
        [
            ((60, 425), (124, 104, 80)),
            ((300, 400), (134, 112, 88)),
            ((300, 432), (66, 52, 42)),
            ((560, 372), (116, 96, 74)),
        ],
        depth=14,
        shade=0.9,
    )
    canvas.plumage(
        wood,
        flow_of(((60, 435), -5), ((330, 414), -6), ((580, 366), -14)),
        length=22,
        width=1.0,
        contrast=0.22,
        bend=0.1,
    )


def _body(canvas: Canvas) -> None:
    tail = curve(
        [(420, 330), (470, 372), (520, 440), (548, 500), (486, 500), (440, 430), (398, 362)]
    )
    canvas.solid(tail, [((450, 370), BLACK), ((510, 450), SHEEN)], depth=16, shade=0.8)
    canvas.plumage(tail, flow_of(((470, 400), 55)), length=20, width=1, contrast=0.3, bend=0.08)
    body = curve(
        [
            (300, 92),
            (318, 66),
            (352, 54),
            (388, 66),
            (410, 100),
            (424, 150),
            (450, 210),
            (464, 280),
            (452, 350),
            (420, 392),
            (370, 410),
            (322, 396),
            (290, 350),
            (274, 290),
            (276, 230),
            (288, 180),
            (296, 130),
        ]
    )
    canvas.solid(
        body,
        [
            ((350, 66), SHEEN),
            ((400, 150), (40, 42, 52)),
            ((430, 250), SHEEN),
            ((300, 300), (34, 34, 40)),
            ((350, 390), BLACK),
            ((310, 110), BLACK),
            ((330, 260), BLACK),
        ],
        depth=42,
        shade=1.0,
    )
    canvas.plumage(
        body,
        flow_of(
            ((330, 70), 10), ((400, 110), 65), ((440, 250), 80), ((300, 260), 100), ((350, 390), 70)
        ),
        length=9,
        width=0.8,
        contrast=0.32,
        overhang=1.0,
    )
    bib = curve(
        [
            (300, 112),
            (322, 106),
            (350, 114),
            (366, 142),
            (362, 184),
            (344, 222),
            (316, 242),
            (290, 238),
            (276, 214),
            (282, 170),
            (294, 138),
        ]
    )
    canvas.solid(
        bib,
        [
            ((310, 130), WHITE),
            ((345, 150), WHITE),
            ((300, 190), WHITE),
            ((330, 205), (255, 246, 210)),
            ((290, 232), (250, 224, 150)),
            ((320, 238), (246, 200, 110)),
        ],
        depth=26,
        shade=0.45,
        soft=1.2,
    )
    canvas.plumage(
        bib,
        flow_of(((310, 125), 90), ((350, 150), 100), ((310, 220), 95)),
        length=8,
        width=0.6,
        contrast=0.06,
        overhang=2.0,
    )
    canvas.fill(tube([(280, 240), (300, 249), (326, 246)], [2, 3, 1.5]), (200, 40, 34), soft=1.2)
    wing = curve(
        [
            (386, 176),
            (424, 190),
            (452, 250),
            (470, 320),
            (478, 386),
            (452, 372),
            (416, 340),
            (384, 296),
            (370, 236),
        ]
    )
    canvas.fill([(x - 4, y + 5) for x, y in wing], (4, 4, 6), soft=6, opacity=0.6)
    canvas.solid(
        wing,
        [((400, 210), SHEEN), ((440, 290), (44, 46, 58)), ((470, 370), BLACK)],
        depth=18,
        shade=0.9,
    )
    canvas.plumage(
        wing, flow_of(((400, 200), 60), ((460, 360), 68)), length=8, width=0.8, contrast=0.25
    )
    for row in range(3):  # flight feathers, then two rows of coverts over them
        for i in range(8 - row):
            tip = (478 - 17 * row - 6.5 * i, 390 - 46 * row - 13 * i)
            base = (tip[0] - 34 + 6 * row, tip[1] - 66 + 12 * row)
            tone = mixed(BLACK, SHEEN, 0.35 + 0.18 * row + 0.03 * i)
            canvas.feather(base, tip, 17, tone, edge=mixed(tone, (130, 140, 170), 0.22))
    vent = curve([(336, 386), (372, 396), (410, 388), (424, 400), (404, 420), (364, 418)])
    canvas.solid(vent, [((370, 400), (198, 40, 36)), ((415, 400), WHITE)], depth=8, soft=1.5)
    canvas.plumage(
        vent, flow_of(((380, 400), 40)), length=7, width=0.7, contrast=0.12, overhang=1.5
    )


def _bill(canvas: Canvas) -> None:
    upper = curve(
        [
            (316, 70),
            (286, 54),
            (240, 48),
            (190, 58),
            (142, 84),
            (108, 122),
            (92, 164),
            (94, 188),
            (112, 168),
            (150, 144),
            (200, 128),
            (252, 120),
            (304, 118),
        ]
    )
    lower = curve(
        [
            (306, 114),
            (252, 118),
            (200, 128),
            (150, 146),
            (116, 172),
            (150, 166),
            (196, 158),
            (250, 150),
            (300, 138),
        ]
    )
    canvas.solid(
        lower,
        [((290, 128), (226, 110, 22)), ((220, 138), ORANGE), ((150, 156), RED)],
        depth=10,
        shade=0.7,
    )
    canvas.solid(
        upper,
        [
            ((300, 80), YELLOW),
            ((240, 62), YELLOW),
            ((250, 100), ORANGE),
            ((180, 80), YELLOW),
            ((180, 116), (250, 130, 24)),
            ((130, 110), ORANGE),
            ((110, 150), RED),
            ((240, 116), RED),
        ],
        depth=22,
        shade=0.7,
    )
    tip = curve([(126, 108), (108, 122), (94, 162), (94, 190), (110, 170), (140, 150), (148, 130)])
    canvas.solid(
        tip, [((112, 140), (36, 30, 30)), ((98, 178), BLACK)], depth=12, shade=0.9, soft=0.8
    )
    canvas.line(
        curve([(302, 119), (252, 121), (200, 130), (150, 147), (112, 172)], closed=False),
        (96, 34, 14),
        1.4,
    )
    band = curve([(322, 66), (308, 70), (300, 96), (298, 120), (298, 142), (310, 144), (316, 110)])
    canvas.solid(band, [((308, 100), BLACK)], depth=6, shade=0.8)
    gloss = curve([(280, 62), (240, 56), (196, 66), (156, 88), (196, 74), (240, 64)])
    canvas.fill(gloss, (255, 244, 210), soft=3.5, opacity=0.55)


def _face(canvas: Canvas) -> None:
    skin = ellipse((340, 98), 19, 17, 0.3)
    canvas.solid(skin, [((332, 92), (246, 160, 50)), ((350, 104), (240, 120, 30))], depth=8, soft=1)
    canvas.plumage(skin, flow_of(((340, 98), 20)), length=3, width=0.5, contrast=0.1)
    canvas.eye((340, 97), 6.4, (70, 44, 28), ring=(44, 96, 200))


def draw() -> Image.Image:
    """Paints it from the side, facing left."""
    canvas = Canvas(seed=96)
    _scene(canvas)
    _branch(canvas)
    _body(canvas)
    _bill(canvas)
    _face(canvas)
    for x in (330, 350, 386, 404):  # toes around the branch
        toe = curve(
            [(x - 6, 404), (x + 5, 402), (x + 8, 416), (x + 4, 432), (x - 4, 440), (x - 8, 424)]
        )
        canvas.fill([(px + 3, py + 2) for px, py in toe], (30, 24, 20), soft=2.5, opacity=0.6)
        canvas.solid(
            toe, [((x, 410), (108, 126, 148)), ((x, 430), (74, 90, 112))], depth=6, shade=0.9
        )
        canvas.solid(
            curve([(x - 5, 432), (x + 3, 430), (x, 444), (x - 5, 452)]),
            [((x - 2, 440), (34, 34, 40))],
            depth=4,
            shade=0.9,
        )
    return canvas.finished()
