"""Tells ink from paper in a grey picture: light or dark paper, uneven light, noise, specks."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter

from webui.problems import BadValue

_FAINTEST = 20  # grey levels between paper and ink; below, what a JPEG's blocks do to white paper would count
_NOISE = 3  # times the median distance from the paper's level: two standard deviations where it is normal
_UNEVEN = 24  # grey levels of noise from which light falls unevenly on the paper
_THUMBNAIL = 32  # pixels: what light does to paper is seen in that few
_MAP = 96  # pixels, to look for connected parts in
_CLEAR = 96  # of 255: what is fainter belongs to the digit only where it is beside something clear
_SPECK = 0.05  # of the largest part's ink: what is less is dust, no part of a digit


def ink(grey: Image.Image) -> Image.Image:
    """The same picture in mode L with paper 0 and ink 255, edges between; BadValue when nothing is drawn."""
    level, noise = _paper(grey)
    paper = Image.new("L", grey.size, level)
    if noise > _UNEVEN:
        paper = _lit_paper(grey)
        noise = _NOISE * _median(_border(ImageChops.difference(paper, grey)))
    darker, lighter = ImageChops.subtract(paper, grey), ImageChops.subtract(grey, paper)
    return _without_specks(_stretched(max(darker, lighter, key=_weight), noise))


def _weight(differing: Image.Image) -> int:
    """How much a picture differs from black; by squares, so that noise counts little."""
    return sum(count * value**2 for value, count in enumerate(differing.histogram()))


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


def _lit_paper(grey: Image.Image) -> Image.Image:
    """What the paper alone looks like: the median around each place, more than a stroke wide, in a thumbnail."""
    small = grey.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    return small.filter(ImageFilter.MedianFilter(9)).resize(grey.size, Image.Resampling.BICUBIC)


def _stretched(differing: Image.Image, noise: int) -> Image.Image:
    """Noise to 0, what most of the ink reaches to 255, in a straight line, so that soft edges stay as they are."""
    histogram = differing.histogram()
    threshold = _otsu(histogram)
    inked = [count if value > threshold else 0 for value, count in enumerate(histogram)]
    full = _median(inked, 0.9) if any(inked) else 0
    if full < max(_FAINTEST, 1.5 * noise):  # of noise alone it is about 1
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
    """The same without what is faint and apart, and without what is no digit's."""
    factor = -(-max(drawn.size) // _MAP)
    weights = drawn.point([255 * (level > _CLEAR) for level in range(256)]).reduce(factor)
    parts = _parts(weights)
    kept = Image.new("L", weights.size)
    for place in (place for part in _digits(parts, weights) for place in part):
        kept.putpixel((place % weights.width, place // weights.width), 255)
    mask = kept.filter(ImageFilter.MaxFilter(5))  # the soft edge of what is kept, two places wide, stays as well
    mask = mask.resize((mask.width * factor, mask.height * factor), Image.Resampling.NEAREST)
    return ImageChops.darker(drawn, mask.crop((0, 0, *drawn.size)))


def _digits(parts: list[list[int]], weights: Image.Image) -> list[list[int]]:
    """The parts that belong to a digit: no dust; no frame, ruled line or shadow, where there is anything else."""
    mass = weights.tobytes()
    weighed = [(part, sum(mass[place] for place in part)) for part in parts]
    heaviest = max(weight for _, weight in weighed)
    within = [(part, weight) for part, weight in weighed if not _runs_across(part, weights.size)]
    if max((weight for _, weight in within), default=0) < _SPECK * heaviest:
        within = weighed
    least = _SPECK * max(weight for _, weight in within)
    return [part for part, weight in within if weight >= least]


def _runs_across(part: list[int], size: tuple[int, int]) -> bool:
    """Whether a part reaches from one edge of the map to the opposite one."""
    width, height = size
    columns, rows = {place % width for place in part}, {place // width for place in part}
    return {0, width - 1} <= columns or {0, height - 1} <= rows


def _parts(weights: Image.Image) -> list[list[int]]:
    """The connected parts of a map, each the places it covers, row by row from 0; corners connect."""
    width = weights.width
    left = {place for place, weight in enumerate(weights.tobytes()) if weight}
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
