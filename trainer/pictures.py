"""Pictures of how a model does on the test set: its confusion matrix, and a sheet of the digits it gets wrong."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trainer.data import Split
from trainer.picture import Picture

CELL, MARGIN = 44, 56
"""Pixels of a matrix's cell, and of the edge that holds its headings."""
ACROSS, DOWN = 8, 5
"""Digits on a sheet: the ones that the model is surest about, and wrong."""
SCALE, CAPTION = 3, 22
"""Pixels for each of an image's, and of the line below it."""
INK, FAINT, WRONG = "#1f2328", "#8b949e", "#b42318"


def confusion(matrix: list[list[int]]) -> Picture:
    """Draw `matrix[truth][predicted]`: the darker, the larger the share of its row; mistakes in red."""
    side = MARGIN + 10 * CELL + 8
    sheet = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(sheet)
    centre = MARGIN + 5 * CELL
    _write(draw, (centre, 14), "predicted", FAINT)
    upright = Image.new("RGB", (10 * CELL, 20), "white")
    _write(ImageDraw.Draw(upright), (5 * CELL, 10), "true digit", FAINT)
    sheet.paste(upright.rotate(90, expand=True), (4, MARGIN))
    for digit in range(10):
        at = MARGIN + digit * CELL + CELL // 2
        _write(draw, (at, MARGIN - 14), str(digit), INK)
        _write(draw, (MARGIN - 14, at), str(digit), INK)
    for truth, row in enumerate(matrix):
        for predicted, count in enumerate(row):
            _cell(draw, truth, predicted, count, count / max(1, sum(row)))
    return _picture(sheet)


def mistakes(test: Split, probabilities: np.ndarray) -> Picture:
    """Show what the model gets wrong, the surest first; `probabilities` [N, 10] are its answers to `test`."""
    wrong = worst(probabilities, test.labels, ACROSS * DOWN)
    width, height = 28 * SCALE + 12, 28 * SCALE + CAPTION + 8
    rows = max(1, -(-len(wrong) // ACROSS))
    sheet = Image.new("RGB", (ACROSS * width, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    if not len(wrong):
        _write(draw, (sheet.width // 2, sheet.height // 2), "no mistake in the whole test set", INK)
    for number, index in enumerate(wrong):
        left, top = number % ACROSS * width + 6, number // ACROSS * height + 6
        digit = Image.fromarray(255 - test.images[index]).resize((28 * SCALE, 28 * SCALE), Image.Resampling.NEAREST)
        sheet.paste(digit.convert("RGB"), (left, top))
        seen = int(probabilities[index].argmax())
        caption = f"{test.labels[index]} seen as {seen}, {probabilities[index, seen]:.0%}"
        _write(draw, (left + 14 * SCALE, top + 28 * SCALE + CAPTION // 2), caption, WRONG, 11)
    return _picture(sheet)


def worst(probabilities: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Give the indices of up to `count` mistakes, those first that the model is surest about."""
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:count]


def _cell(draw: ImageDraw.ImageDraw, truth: int, predicted: int, count: int, share: float) -> None:
    left, top = MARGIN + predicted * CELL, MARGIN + truth * CELL
    right, far = (11, 88, 148), (180, 35, 24)
    full = right if truth == predicted else far
    strength = share if truth == predicted else min(1.0, 10 * share)  # a tenth taken for another digit is a lot
    colour = tuple(round(255 + (part - 255) * strength) for part in full)
    draw.rectangle((left, top, left + CELL - 2, top + CELL - 2), fill=colour)
    if count:
        _write(draw, (left + CELL // 2 - 1, top + CELL // 2 - 1), str(count), "white" if strength > 0.5 else INK, 13)


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: str, size: int = 14) -> None:
    draw.text(at, text, fill=colour, font=ImageFont.load_default(size), anchor="mm")


def _picture(sheet: Image.Image) -> Picture:
    buffer = BytesIO()
    sheet.save(buffer, "PNG")
    return Picture(buffer.getvalue(), sheet.width, sheet.height)
