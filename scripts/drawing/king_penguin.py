"""A king penguin in its colony."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.drawing.canvas import Canvas
from scripts.drawing.scenery import blobs, gradient
from scripts.drawing.shapes import curve, flow_of, tube

if TYPE_CHECKING:
    from PIL import Image

    from scripts.drawing.shapes import Colour, Outline, Point

BLACK: Colour = (24, 24, 30)
SLATE: Colour = (112, 124, 142)
WHITE: Colour = (240, 240, 238)
GOLD: Colour = (250, 170, 30)


def _far(canvas: Canvas, foot: Point, size: float, *, faces_left: bool) -> None:
    """A penguin of the colony, too far to be sharp."""
    side = 1.0 if faces_left else -1.0

    def put(points: Outline) -> list[Point]:
        return curve([(foot[0] + side * x * size, foot[1] - y * size) for x, y in points])

    body = [(-0.1, 1.0), (0.14, 0.98), (0.24, 0.6), (0.2, 0.1), (-0.2, 0.0), (-0.26, 0.5)]
    canvas.fill(put(body), SLATE, soft=1)
    front = [(-0.08, 0.96), (0.02, 0.9), (0.02, 0.4), (-0.02, 0.04), (-0.2, 0.0), (-0.26, 0.5)]
    canvas.fill(put(front), WHITE, soft=1)
    head = [(-0.3, 1.2), (-0.1, 1.27), (0.03, 1.24), (0.1, 1.05), (-0.05, 0.98), (-0.1, 1.16)]
    canvas.fill(put(head), BLACK, soft=1)
    canvas.fill(
        put([(0.02, 1.18), (0.08, 1.1), (0.0, 0.96), (-0.1, 0.9), (0.0, 1.06)]), GOLD, soft=1
    )


def _scene(canvas: Canvas) -> None:
    gradient(
        canvas,
        [
            (0, (176, 192, 206)),
            (150, (205, 214, 220)),
            (190, (150, 164, 170)),
            (215, (168, 166, 156)),
            (480, (128, 124, 114)),
        ],
    )
    blobs(
        canvas,
        [(120, 140, 130), (150, 160, 150), (104, 120, 112)],
        30,
        (30, 80),
        rows=(120, 190),
        flat=0.35,
        opacity=0.6,
    )
    blobs(
        canvas,
        [(110, 104, 94), (160, 156, 146), (190, 186, 178)],
        300,
        (3, 12),
        rows=(230, 480),
        flat=0.5,
        opacity=0.6,
    )
    for foot, size, left in (
        ((60, 250), 70, True),
        ((118, 262), 80, False),
        ((560, 252), 72, True),
        ((612, 268), 84, False),
        ((20, 275), 88, True),
        ((175, 300), 105, True),
        ((545, 315), 118, False),
        ((85, 345), 140, True),
        ((620, 370), 160, True),
    ):
        _far(canvas, foot, size, faces_left=left)
    canvas.blur(5)


def draw() -> Image.Image:
    """Paints it from the waist up, facing left."""
    canvas = Canvas(seed=145)
    _scene(canvas)
    body = curve(
        [
            (302, 112),
            (330, 92),
            (372, 104),
            (398, 140),
            (436, 196),
            (462, 280),
            (474, 390),
            (476, 520),
            (206, 520),
            (204, 400),
            (218, 300),
            (244, 226),
            (280, 172),
            (296, 140),
        ]
    )
    canvas.solid(
        body,
        [
            ((300, 190), (250, 176, 40)),
            ((276, 205), (252, 190, 70)),
            ((330, 210), (250, 200, 90)),
            ((262, 250), (250, 226, 160)),
            ((310, 262), (246, 236, 204)),
            ((240, 320), WHITE),
            ((300, 340), WHITE),
            ((330, 420), WHITE),
            ((230, 440), WHITE),
            ((290, 480), WHITE),
            ((350, 300), WHITE),
            ((365, 400), (226, 228, 232)),
            ((350, 160), BLACK),
            ((376, 150), (70, 76, 88)),
            ((410, 190), SLATE),
            ((440, 240), SLATE),
            ((455, 320), (124, 136, 154)),
            ((460, 430), (104, 116, 134)),
        ],
        depth=50,
        shade=0.75,
    )
    canvas.plumage(
        body,
        flow_of(
            ((300, 150), 110),
            ((250, 300), 95),
            ((250, 460), 90),
            ((420, 200), 60),
            ((460, 420), 88),
        ),
        length=6,
        width=0.6,
        contrast=0.07,
        cover=1.2,
    )
    # The dark seam between back and front, from the neck to the flipper.
    canvas.fill(
        tube([(352, 140), (366, 176), (372, 206), (376, 240)], [10, 7, 5, 3]), BLACK, soft=1.6
    )
    flipper = curve(
        [
            (372, 196),
            (398, 190),
            (424, 226),
            (438, 300),
            (436, 376),
            (420, 446),
            (404, 466),
            (392, 440),
            (384, 370),
            (372, 300),
            (364, 236),
        ]
    )
    canvas.fill([(x - 6, y + 6) for x, y in flipper], (60, 62, 72), soft=7, opacity=0.5)
    canvas.solid(
        flipper,
        [
            ((380, 210), (58, 64, 78)),
            ((400, 300), (88, 98, 116)),
            ((425, 300), SLATE),
            ((410, 440), (52, 56, 66)),
            ((376, 320), (40, 44, 54)),
        ],
        depth=14,
        shade=0.7,
    )
    canvas.plumage(
        flipper, flow_of(((390, 210), 70), ((405, 440), 95)), length=4, width=0.7, contrast=0.16
    )
    head = curve(
        [
            (294, 74),
            (306, 58),
            (330, 47),
            (356, 52),
            (374, 74),
            (382, 106),
            (384, 146),
            (356, 162),
            (322, 176),
            (300, 176),
            (288, 160),
            (286, 130),
            (288, 96),
        ]
    )
    canvas.solid(
        head,
        [
            ((330, 56), (58, 60, 70)),
            ((310, 90), BLACK),
            ((300, 150), BLACK),
            ((365, 100), (34, 34, 42)),
            ((350, 150), BLACK),
        ],
        depth=22,
        shade=0.9,
        soft=0.8,
    )
    canvas.plumage(
        head,
        flow_of(((310, 60), 20), ((370, 80), 70), ((300, 150), 95)),
        length=5,
        width=0.6,
        contrast=0.3,
        overhang=0.6,
    )
    patch = curve(
        [
            (340, 78),
            (356, 84),
            (364, 104),
            (360, 132),
            (348, 158),
            (328, 182),
            (302, 206),
            (290, 202),
            (304, 182),
            (328, 158),
            (339, 130),
            (336, 100),
        ]
    )
    canvas.solid(
        patch,
        [
            ((348, 92), (255, 150, 20)),
            ((350, 125), (255, 168, 26)),
            ((330, 165), (255, 184, 50)),
            ((295, 192), (254, 190, 64)),
        ],
        depth=10,
        shade=0.4,
        soft=1.2,
    )
    canvas.plumage(
        patch,
        flow_of(((350, 90), 85), ((345, 150), 125), ((300, 190), 140)),
        length=5,
        width=0.6,
        contrast=0.09,
        overhang=0.8,
    )
    _bill(canvas)
    canvas.eye((318, 82), 5.2, (92, 60, 36))
    return canvas.finished()


def _bill(canvas: Canvas) -> None:
    upper = curve(
        [
            (300, 74),
            (270, 74),
            (236, 80),
            (206, 94),
            (194, 104),
            (210, 100),
            (240, 92),
            (274, 90),
            (300, 94),
        ]
    )
    lower = curve([(302, 86), (270, 87), (238, 92), (202, 103), (236, 103), (270, 103), (298, 106)])
    canvas.solid(
        lower,
        [((290, 98), (236, 110, 60)), ((255, 100), (240, 120, 90)), ((212, 105), (60, 40, 40))],
        depth=4,
        shade=0.6,
    )
    canvas.solid(upper, [((280, 80), (44, 42, 46)), ((210, 98), (30, 28, 32))], depth=5, shade=0.9)
