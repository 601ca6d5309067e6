"""The pictures of how a model does: right where the matrix is dark, red where it errs, the worst mistakes first."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from trainer import pictures
from trainer.picture import Picture
from trainer.pictures import CELL, MARGIN

from .conftest import Dataset


def opened(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.png))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (picture.width, picture.height))
    return image


def corner(image: Image.Image, truth: int, predicted: int) -> tuple[int, int, int]:
    """The colour of a cell of the matrix, beside its number."""
    red, green, blue = image.getpixel((MARGIN + predicted * CELL + 2, MARGIN + truth * CELL + 2))  # type: ignore[misc]
    return red, green, blue


@pytest.fixture
def matrix() -> Image.Image:
    """Nine digits are always right; of 3 a tenth is seen as 5 and a fiftieth as 8."""
    counts = np.diag([100] * 10)
    counts[3, [3, 5, 8]] = [88, 10, 2]
    return opened(pictures.confusion(counts.tolist()))


def test_a_digit_that_is_always_right_is_blue_in_the_matrix(matrix: Image.Image) -> None:
    red, _, blue = corner(matrix, 7, 7)
    assert blue > red + 100


def test_a_mistake_is_red_in_its_truths_row_and_its_answers_column(matrix: Image.Image) -> None:
    red, _, blue = corner(matrix, 3, 5)
    assert red > blue + 100
    assert corner(matrix, 5, 3) == (255, 255, 255)


def test_a_rare_mistake_is_paler_than_a_frequent_one_and_yet_seen(matrix: Image.Image) -> None:
    assert corner(matrix, 3, 5)[2] < corner(matrix, 3, 8)[2] < 255


def test_the_numbers_stand_in_the_cells(matrix: Image.Image) -> None:
    at = (MARGIN + 5 * CELL, MARGIN + 3 * CELL)
    cell = matrix.crop((*at, at[0] + CELL - 2, at[1] + CELL - 2)).convert("L")
    assert len(cell.getcolors() or []) > 3  # the letters' edges are smoothed


@pytest.fixture
def answers(dataset: Dataset) -> np.ndarray:
    """Probabilities [50, 10]: right about all but three, of which the second is the surest."""
    given = np.full((50, 10), 0.01)
    given[np.arange(50), dataset.test.labels] = 0.9
    for index, sure in ((4, 0.92), (17, 0.99), (30, 0.95)):
        given[index, (dataset.test.labels[index] + 1) % 10] = sure
    return given


def test_the_worst_mistakes_are_those_that_the_model_is_surest_about(dataset: Dataset, answers: np.ndarray) -> None:
    assert pictures.worst(answers, dataset.test.labels, 10).tolist() == [17, 30, 4]
    assert pictures.worst(answers, dataset.test.labels, 1).tolist() == [17]


def test_the_sheet_shows_the_mistakes_and_no_other_digit(dataset: Dataset, answers: np.ndarray) -> None:
    sheet = np.asarray(opened(pictures.mistakes(dataset.test, answers)).convert("L"))
    columns = np.array_split(sheet[: 28 * pictures.SCALE], pictures.ACROSS, axis=1)
    assert [bool((column < 50).any()) for column in columns] == [True, True, True, *[False] * 5]


def test_a_sheet_holds_no_more_than_fit(dataset: Dataset) -> None:
    all_wrong = np.eye(10)[(dataset.test.labels + 1) % 10]
    assert opened(pictures.mistakes(dataset.test, all_wrong)).size == (768, 570)


def test_a_model_without_mistakes_gets_a_sheet_that_says_so(dataset: Dataset) -> None:
    sheet = opened(pictures.mistakes(dataset.test, np.eye(10)[dataset.test.labels]))
    assert len(sheet.convert("L").getcolors() or []) > 3
