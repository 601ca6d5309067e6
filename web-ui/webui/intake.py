"""Makes of a picture that somebody sent what the model was trained on: a digit as MNIST's were prepared."""

from __future__ import annotations

import threading

from PIL import Image, ImageChops, ImageFilter

from webui.ink import ink
from webui.png import SIDE
from webui.problems import NotReady
from webui.uploads import grey

BOX = 20
"""Pixels of the box that a digit fills, its aspect kept, antialiased (LeCun, Cortes, Burges, "The MNIST database")."""

MIDDLE = 14
"""Where the centre of mass goes, pixels counted from 0: MNIST's are at 13.5 to 14.5 in each of its 70,000 images."""

THINNEST, FATTEST = 1.6, 4.0
"""Stroke widths in pixels of the box that are left alone: MNIST's are, as `_stroke` measures them, 1.75 (5 % are
thinner) to 3.9 (5 % are fatter)."""

_FINE = 8  # times the box: the scale at which strokes are made fatter or thinner
_SHOWN = 24  # of 255: what is fainter is no edge of the digit
_WAIT = 5.0  # seconds for one's turn
_one_at_a_time = threading.Lock()  # a picture of 16 megapixels takes 84 MB for a moment, and this process is small


def digit(content: bytes) -> bytes:
    """784 grey bytes, row by row, 0 paper and 255 ink, of a PNG or JPEG of at most 1 MiB; one picture at a time.

    Raises a Problem: TooLarge, UnsupportedPicture, BadValue for one that is damaged, too narrow or empty, or
    NotReady when others keep it waiting.
    """
    if not _one_at_a_time.acquire(timeout=_WAIT):
        raise NotReady("Too many pictures are waiting already; try again shortly.", "file")
    try:
        return _normalised(ink(grey(content)))
    finally:
        _one_at_a_time.release()


def _normalised(drawn: Image.Image) -> bytes:
    drawn = _cropped(drawn)
    width = _share(drawn)
    if not THINNEST <= width <= FATTEST:
        drawn = _weighted(drawn, min(max(width, THINNEST), FATTEST))
    return _centred(_bright(_sized(drawn, BOX))).tobytes()


def _cropped(drawn: Image.Image) -> Image.Image:
    return drawn.crop(_inked(drawn))


def _inked(drawn: Image.Image) -> tuple[int, int, int, int] | None:
    """The box of what can be seen, or None."""
    return drawn.point([255 * (level > _SHOWN) for level in range(256)]).getbbox()


def _share(drawn: Image.Image) -> float:
    """The strokes' width in pixels of BOX, were the picture brought to it."""
    left, top, right, bottom = _inked(drawn) or (0, 0, 1, 1)
    return _stroke(drawn) * BOX / max(right - left, bottom - top)


def _sized(drawn: Image.Image, longer: int) -> Image.Image:
    """The same with so many pixels on its longer side; BOX is the plain mean where pixels become fewer."""
    scale = longer / max(drawn.size)
    size = tuple(max(1, round(side * scale)) for side in drawn.size)
    return drawn.resize(size, Image.Resampling.BOX if scale <= 1 else Image.Resampling.BICUBIC)


def _bright(small: Image.Image) -> Image.Image:
    """The same with 255 as its brightest, as in all of MNIST: a photograph's ink, or a thin stroke's, may be duller."""
    brightest = small.getextrema()[1]
    return small.point([min(255, round(level * 255 / brightest)) for level in range(256)])


def _stroke(drawn: Image.Image) -> float:
    """Mean width of the strokes in pixels: twice the area over the outline's length, blurred edges or not.

    The outline's length is the sum of all steps between neighbours, by Cauchy and Crofton pi/4 of it.
    """
    width, height = drawn.size
    padded = Image.new("L", (width + 2, height + 2))
    padded.paste(drawn, (1, 1))
    steps = sum(_sum(ImageChops.difference(padded, ImageChops.offset(padded, *by))) for by in ((1, 0), (0, 1)))
    return 2 * _sum(drawn) / (steps * 0.7854)


def _sum(image: Image.Image) -> int:
    return sum(level * count for level, count in enumerate(image.histogram()))


def _weighted(drawn: Image.Image, wanted: float) -> Image.Image:
    """The same with strokes about `wanted` pixels of the box wide: grown or shrunk by single pixels at a fine scale."""
    while max(drawn.size) > 2 * BOX * _FINE:  # step by step, for one step would leave a thin line too faint
        drawn = (drawn.filter(ImageFilter.MaxFilter(3)) if _stroke(drawn) < 3 else drawn).reduce(2)
    fine = _sized(drawn, BOX * _FINE)
    room = Image.new("L", (fine.width + 4 * _FINE, fine.height + 4 * _FINE))
    room.paste(fine, (2 * _FINE, 2 * _FINE))
    thin = _share(room) < wanted
    change = ImageFilter.MaxFilter(3) if thin else ImageFilter.MinFilter(3)
    for _ in range(2 * _FINE):
        changed = room.filter(change)
        if (_share(room) >= wanted) if thin else (_share(room) <= wanted or not _inked(changed)):
            break
        room = changed
    return _cropped(room)


def _centred(small: Image.Image) -> Image.Image:
    """On 28 x 28 black pixels, its centre of mass in the middle as nearly as whole pixels and the edge allow."""
    values, width, height = small.tobytes(), small.width, small.height
    columns = [sum(values[column::width]) for column in range(width)]
    rows = [sum(values[row * width : (row + 1) * width]) for row in range(height)]
    whole = Image.new("L", (SIDE, SIDE))
    whole.paste(small, (_start(columns), _start(rows)))
    return whole


def _start(sums: list[int]) -> int:
    """Where to begin so that the centre of mass of these sums is at MIDDLE; never so that a part is cut off."""
    centre = sum(place * mass for place, mass in enumerate(sums)) / sum(sums)
    return min(max(round(MIDDLE - centre), 0), SIDE - len(sums))
