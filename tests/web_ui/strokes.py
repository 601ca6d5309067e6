"""The ten digits as a hand draws them: strokes of points, for a picture made here or a mouse in a browser."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

CANVAS = 280
"""Pixels of a side of the board on which the points lie."""

Stroke = tuple[tuple[float, float], ...]

DIGITS: dict[int, tuple[Stroke, ...]] = {
    0: (((146, 56), (112, 66), (92, 100), (86, 142), (94, 186), (118, 216), (148, 222), (178, 206), (194, 168),
         (196, 124), (186, 84), (166, 60), (146, 56)),),
    1: (((134, 60), (140, 100), (141, 150), (142, 190), (144, 222)),),
    2: (((90, 96), (100, 70), (130, 54), (164, 60), (184, 86), (178, 120), (154, 154), (120, 190), (92, 218),
         (130, 214), (170, 214), (198, 218)),),
    3: (((92, 74), (120, 56), (156, 56), (180, 78), (174, 108), (148, 128), (122, 134), (152, 136), (184, 154),
         (190, 188), (166, 216), (128, 224), (92, 208)),),
    4: (((104, 58), (98, 92), (92, 130), (96, 146), (130, 148), (170, 144), (196, 142)),
        ((172, 60), (170, 110), (166, 160), (166, 224))),
    5: (((184, 60), (150, 60), (110, 62), (106, 92), (102, 128), (132, 116), (164, 122), (186, 148), (184, 186),
         (160, 214), (124, 222), (92, 208)),),
    6: (((170, 54), (138, 76), (112, 112), (98, 156), (100, 194), (122, 220), (156, 222), (180, 202), (180, 170),
         (158, 150), (128, 154), (104, 176)),),
    7: (((86, 68), (120, 66), (160, 64), (194, 64), (178, 100), (160, 140), (144, 184), (134, 226)),),
    8: (((178, 82), (152, 58), (116, 64), (104, 92), (124, 122), (158, 146), (182, 178), (172, 212), (138, 224),
         (106, 208), (102, 176), (126, 146), (162, 120), (182, 96), (178, 82)),),
    9: (((180, 90), (156, 60), (120, 64), (100, 94), (106, 126), (134, 138), (164, 124), (180, 92), (178, 130),
         (172, 176), (162, 224)),),
}  # fmt: skip


def drawing(digit: int, width: float = 20, scale: float = 1, dark: bool = True) -> Image.Image:
    """The board in mode L, `scale` times as large, with the digit on it in round strokes `width` pixels wide.

    Drawn four times as large and brought down, for the soft edges that a browser's canvas gives.
    """
    fine = 4 * scale
    side = round(CANVAS * fine)
    board = Image.new("L", (side, side), 255 if dark else 0)
    pen, ink, radius = ImageDraw.Draw(board), 0 if dark else 255, width * fine / 2
    for stroke in DIGITS[digit]:
        points = [(x * fine, y * fine) for x, y in stroke]
        pen.line(points, fill=ink, width=max(1, round(2 * radius)), joint="curve")
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return board.resize((round(CANVAS * scale),) * 2, Image.Resampling.BOX)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of the picture's file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
