"""Tells ink from paper in a grey picture: light or dark paper, uneven light, noise, specks."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter

from webui.problems import BadValue

_FAINTEST = 20  # grey levels between paper and ink; below, what a JPEG's blocks do to white paper would count
_NOISE = 3  # times the median distance from the paper's level: two standard deviations where it is normal
_UNEVEN = 24  # grey levels of noise from which light falls unevenly on the paper
_THUMBNAIL = 32  # pixels: what light does to paper is seen in that few
_MAP = 96  # pixels, to look for connected parts in
_SPECK = 0.05  # of the largest part's ink: what is less is dust, no part of a digit


def ink(grey: Image.Image) -> Image.Image:
    """The same picture in mode L with paper 0 and ink 255, edges between; BadValue when nothing is drawn."""
    level, noise = _paper(grey)
    dark_on_light = _is_dark_on_light(grey, level)
    upon = grey if dark_on_light else ImageChops.invert(grey)
    paper = Image.new("L", grey.size, level if dark_on_light else 255 - level)
    if noise > _UNEVEN:
        paper = _lit_paper(upon)
        noise = _median(_border(ImageChops.difference(paper, upon))) * _NOISE
    drawn = _stretched(ImageChops.subtract(paper, upon), noise)
    return _without_specks(drawn)


def _paper(grey: Image.Image) -> tuple[int, int]:
    """The paper's level and its noise, from the border: the median, since a digit may touch it here and there."""
    border = _border(grey)
    level = _median(border)
    distances = [0] * 256
    for value, count in enumerate(border):
        distances[abs(value - level)] += count
    return level, _median(distances) * _NOISE


def _border(image: Image.Image) -> list[int]:
    """The histogram of the picture's outermost 1/32, one pixel at least."""
    width, height = image.size
    edge = max(1, max(image.size) // 32)
    boxes = (
        (0, 0, width, edge),
        (0, height - edge, width, height),
        (0, 0, edge, height),
        (width - edge, 0, width, height),
    )
    return [sum(counts) for counts in zip(*(image.crop(box).histogram() for box in boxes), strict=True)]


def _median(histogram: list[int], share: float = 0.5) -> int:
    """The level that `share` of the pixels do not exceed."""
    wanted = sum(histogram) * share
    for level, count in enumerate(histogram):
        wanted -= count
        if wanted <= 0:
            return level
    return len(histogram) - 1


def _is_dark_on_light(grey: Image.Image, level: int) -> bool:
    """Whether what differs from the paper is darker rather than lighter; squares, so that noise counts little."""
    histogram = grey.histogram()
    weights = [count * (value - level) ** 2 for value, count in enumerate(histogram)]
    return sum(weights[:level]) >= sum(weights[level:])


def _lit_paper(upon: Image.Image) -> Image.Image:
    """What the paper alone would look like: the brightest around each place, in a thumbnail, so strokes vanish."""
    small = upon.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    closed = small.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.MinFilter(9))
    return closed.filter(ImageFilter.GaussianBlur(1)).resize(upon.size, Image.Resampling.BICUBIC)


def _stretched(differing: Image.Image, noise: int) -> Image.Image:
    """Noise to 0, what most of the ink reaches to 255, in a straight line, so that soft edges stay as they are."""
    histogram = differing.histogram()
    threshold = _otsu(histogram)
    inked = [count if value > threshold else 0 for value, count in enumerate(histogram)]
    full = _median(inked, 0.9) if any(inked) else 0
    if full < max(_FAINTEST, 2 * noise):
        raise BadValue("The picture is empty: draw one digit, dark on light or light on dark.", "file")
    low = min(noise, threshold)
    return differing.point([max(0, min(255, round((value - low) * 255 / (full - low)))) for value in range(256)])


def _otsu(histogram: list[int]) -> int:
    """The level that parts the values best (N. Otsu, 1979: the largest variance between the two classes)."""
    total, mass = sum(histogram), sum(value * count for value, count in enumerate(histogram))
    best, threshold, below, mass_below = -1.0, 0, 0, 0
    for value, count in enumerate(histogram):
        below += count
        mass_below += value * count
        if 0 < below < total:
            variance = (mass * below - mass_below * total) ** 2 / (below * (total - below))
            if variance > best:
                best, threshold = variance, value
    return threshold


def _without_specks(drawn: Image.Image) -> Image.Image:
    """The same without what is not connected to anything of weight."""
    factor = max(1, -(-max(drawn.size) // _MAP))
    small = drawn.reduce(factor)
    width, height = small.size
    weights = small.tobytes()
    parts = _parts([weight > 16 for weight in weights], width)
    heavy = [sum(weights[place] for place in part) for part in parts]
    kept = bytearray(width * height)
    for part, weight in zip(parts, heavy, strict=True):
        if weight >= _SPECK * max(heavy):
            for place in part:
                kept[place] = 255
    if len(parts) < 2:
        return drawn
    mask = Image.frombytes("L", small.size, bytes(kept)).filter(ImageFilter.MaxFilter(3))
    mask = mask.resize((width * factor, height * factor), Image.Resampling.NEAREST).crop((0, 0, *drawn.size))
    return ImageChops.darker(drawn, mask)


def _parts(inked: list[bool], width: int) -> list[list[int]]:
    """The connected parts of a map of rows of `width`, each the places it covers; corners connect."""
    left = {place for place, is_ink in enumerate(inked) if is_ink}
    parts = []
    while left:
        part, todo = [], [left.pop()]
        while todo:
            place = todo.pop()
            part.append(place)
            column = place % width
            steps = [row + step for row in (-width, 0, width) for step in (-1, 0, 1) if 0 <= column + step < width]
            near = left.intersection(place + step for step in steps)
            left -= near
            todo += near
        parts.append(part)
    return parts
