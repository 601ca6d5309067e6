"""A picture becomes what MNIST's are: 20x20 box, centre of mass, stroke; and a trained model reads it."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import yaml
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from tests.web_ui.strokes import CANVAS, DIGITS, drawing, encoded
from tests.web_ui.test_uploads import far
from webui import intake
from webui.intake import FATTEST, THINNEST, digit
from webui.problems import BadValue, NotReady

ROOT = Path(__file__).resolve().parents[2]
EVERY = range(10)


def image(pixels: bytes) -> np.ndarray:
    return np.frombuffer(pixels, np.uint8).reshape(28, 28)


def box(pixels: bytes) -> tuple[int, int]:
    """Width and height of the ink's box."""
    left, top, right, bottom = Image.fromarray(image(pixels)).getbbox()
    return right - left, bottom - top


def centre(pixels: bytes) -> tuple[float, float]:
    """The centre of mass, column and row, counted from 0."""
    shades, places = image(pixels).astype(float), np.arange(28)
    return shades.sum(0) @ places / shades.sum(), shades.sum(1) @ places / shades.sum()


def stroke(pixels: bytes) -> float:
    """Twice the area over the outline's length (by Cauchy and Crofton pi/4 of all steps), in pixels."""
    shades = np.pad(image(pixels).astype(float), 1)
    steps = np.abs(np.diff(shades, axis=0)).sum() + np.abs(np.diff(shades, axis=1)).sum()
    return 2 * shades.sum() / (steps * np.pi / 4)


def apart(one: bytes, other: bytes) -> float:
    """The mean distance in grey levels, a whole pixel's move aside, which may hang on a hair in the centre of mass."""
    moves = [np.roll(image(other), (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return min(np.abs(image(one).astype(int) - moved).mean() for moved in moves)


def on_paper(board: Image.Image, size: tuple[int, int], at: tuple[int, int]) -> Image.Image:
    paper = Image.new(board.mode, size, board.getpixel((0, 0)))
    paper.paste(board, at)
    return paper


@pytest.mark.parametrize("width", [2, 6, 12, 20, 30, 45])
@pytest.mark.parametrize("number", EVERY)
def test_ink_fills_the_box_and_its_centre_of_mass_is_in_the_middle(number: int, width: int) -> None:
    pixels = digit(encoded(drawing(number, width)))
    assert len(pixels) == 784
    assert max(box(pixels)) in (19, 20)
    assert all(13.5 <= place <= 14.5 for place in centre(pixels))
    assert max(pixels) == 255


@pytest.mark.parametrize("width", [1, 3, 8, 20, 40, 60])
@pytest.mark.parametrize("number", EVERY)
def test_a_stroke_of_any_width_comes_out_as_wide_as_mnists(number: int, width: int) -> None:
    assert THINNEST - 0.1 <= stroke(digit(encoded(drawing(number, width)))) <= FATTEST + 0.3


def test_a_hairline_across_nine_megapixels_does_not_vanish() -> None:
    scale = 3000 / CANVAS
    assert far(digit(encoded(drawing(2, 1 / scale, scale))), digit(encoded(drawing(2, 6)))) < 12


MOVED = st.tuples(st.integers(200, 500), st.integers(200, 500), st.floats(0, 1), st.floats(0, 1))


@limits(max_examples=60)
@given(st.sampled_from(EVERY), MOVED)
def test_where_on_the_paper_it_stands_changes_nothing(number: int, moved: tuple[int, int, float, float]) -> None:
    more_across, more_down, right, down = moved
    board = drawing(number)
    paper = on_paper(
        board,
        (CANVAS + more_across, CANVAS + more_down),
        (round(more_across * right), round(more_down * down)),
    )
    assert apart(digit(encoded(paper)), digit(encoded(board))) < 1


@limits(max_examples=60)
@given(st.sampled_from(EVERY), st.floats(0.2, 6))
def test_its_size_changes_little(number: int, scale: float) -> None:
    assert apart(digit(encoded(drawing(number, 20, scale))), digit(encoded(drawing(number)))) < 12


@pytest.mark.parametrize("number", EVERY)
def test_light_on_dark_is_the_same_as_dark_on_light(number: int) -> None:
    for board in (drawing(number), drawing(number, 45)):
        assert digit(encoded(board)) == digit(encoded(ImageChops.invert(board)))


@pytest.mark.parametrize("number", EVERY)
def test_a_digit_that_is_mostly_ink_is_told_from_its_paper_by_the_border(number: int) -> None:
    fat = drawing(number, 60)
    left, top, right, bottom = ImageChops.invert(fat).getbbox()
    tight = fat.crop((left - 2, top - 2, right + 2, bottom + 2))
    assert apart(digit(encoded(tight)), digit(encoded(fat))) < 2
    assert apart(digit(encoded(ImageChops.invert(tight))), digit(encoded(fat))) < 2


@pytest.mark.parametrize("number", EVERY)
def test_faint_ink_on_grey_paper_comes_out_as_black_on_white(number: int) -> None:
    faint = drawing(number).point([180 + level // 8 for level in range(256)])
    assert apart(digit(encoded(faint)), digit(encoded(drawing(number)))) < 4


@pytest.mark.parametrize(("quality", "most"), [(90, 1), (60, 5), (30, 12)])
@pytest.mark.parametrize("number", EVERY)
def test_a_jpegs_blocks_change_little(number: int, quality: int, most: int) -> None:
    assert apart(digit(encoded(drawing(number), "JPEG", quality=quality)), digit(encoded(drawing(number)))) < most


EMPTY = {
    "white": Image.new("L", (280, 280), 255),
    "black": Image.new("L", (280, 280)),
    "one pixel": Image.new("L", (1, 1), 90),
    "clear": Image.new("RGBA", (280, 280), (0, 0, 0, 0)),
    "noise": Image.effect_noise((280, 280), 12),
    "a slope of light": Image.linear_gradient("L").resize((400, 400)),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_a_picture_with_nothing_on_it_says_so(kind: str) -> None:
    for content in (encoded(EMPTY[kind]), encoded(EMPTY[kind].convert("RGB"), "JPEG", quality=60)):
        if kind == "clear" and content.startswith(b"\xff"):
            continue  # JPEG has no transparency: all black
        with pytest.raises(BadValue, match=r"^The picture is empty: draw one digit") as refused:
            digit(content)
        assert (refused.value.status, refused.value.field) == (400, "file")


def test_pictures_take_turns_and_who_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_WAIT", 0.01)
    with intake._one_at_a_time, pytest.raises(NotReady, match="Too many pictures are waiting"):
        digit(encoded(drawing(7)))
    assert len(digit(encoded(drawing(7)))) == 784


def test_after_a_refusal_the_next_one_has_its_turn() -> None:
    for _ in range(3):
        with pytest.raises(BadValue):
            digit(encoded(EMPTY["white"]))


# What MNIST itself is like, and how a model reads what comes out: these need the four files.


@pytest.fixture(scope="session")
def originals(mnist_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test images [N, 28, 28] and their digits [N]."""
    with (
        gzip.open(mnist_dir / "t10k-images-idx3-ubyte.gz") as images,
        gzip.open(mnist_dir / "t10k-labels-idx1-ubyte.gz") as labels,
    ):
        return (
            np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 28, 28),
            np.frombuffer(labels.read(), np.uint8, offset=8),
        )


Reads = Callable[[list[bytes]], np.ndarray]


@pytest.fixture(scope="session")
def reads(mnist_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Reads:
    """What a model trained as config/local.yaml says takes images for, by its LiteRT copy as `serving` runs it."""
    folder = tmp_path_factory.mktemp("reader")
    training = yaml.safe_load((ROOT / "config" / "local.yaml").read_text())["training"]
    flags = {
        "model-type": training["model"],
        "train-steps": training["steps"],
        **{name.replace("_", "-"): training[name] for name in training if name not in ("model", "steps")},
        "dataset": "mnist", "version-tag": 1, "model-dir": folder / "run", "export-dir": folder,
    }  # fmt: skip
    argv = [sys.executable, "-m", "trainer", *(f"--tf-{name}={value}" for name, value in flags.items())]
    subprocess.run(argv, cwd=ROOT, env=os.environ | {"MNIST_DIR": str(mnist_dir)}, check=True, capture_output=True)
    model = Interpreter(str(folder / "1" / "assets.extra" / "model.tflite"), num_threads=1).get_signature_runner()

    def ask(images: list[bytes]) -> np.ndarray:
        shades = [image(pixels)[np.newaxis].astype(np.float32) / 255 for pixels in images]
        return np.array([model(x=one)["classes"][0] for one in shades])

    return ask


@pytest.mark.mnist
def test_mnists_own_images_have_the_box_the_centre_and_the_strokes_that_we_make(
    originals: tuple[np.ndarray, np.ndarray],
) -> None:
    sample = [one.tobytes() for one in originals[0][:2000]]
    assert np.mean([max(box(one)) == 20 for one in sample]) > 0.995
    assert all(13.5 <= place <= 14.51 for one in sample for place in centre(one))
    assert np.mean([THINNEST <= stroke(one) <= FATTEST for one in sample]) > 0.92


@pytest.mark.mnist
def test_mnists_own_images_stay_as_they_are(originals: tuple[np.ndarray, np.ndarray]) -> None:
    changed = [far(digit(encoded(Image.fromarray(one))), one.tobytes()) for one in originals[0][:500]]
    assert np.median(changed) < 0.2
    assert np.mean(changed) < 1.5


def photographed(one: np.ndarray, scale: int, number: int) -> bytes:
    """The image enlarged, somewhere on larger paper; by turns dark or light, PNG or JPEG."""
    chance, side = Random(number), 28 * scale
    size = tuple(round(side * chance.uniform(1.2, 2.2)) for _ in "xy")
    board = Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)
    paper = on_paper(board, size, tuple(chance.randint(0, whole - side) for whole in size))
    if number % 2:
        paper = ImageChops.invert(paper)
    return encoded(paper, "JPEG", quality=60) if number // 2 % 2 else encoded(paper, compress_level=1)


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize("scale", [1, 3, 10, pytest.param(30, marks=pytest.mark.repeats("10 times as large"))])
def test_an_mnist_image_enlarged_and_moved_is_read_as_the_original_is(
    scale: int, originals: tuple[np.ndarray, np.ndarray], reads: Reads
) -> None:
    images, truth = originals[0][:500], originals[1][:500]
    taken = reads([digit(photographed(one, scale, number)) for number, one in enumerate(images)])
    original = (reads([one.tobytes() for one in images]) == truth).mean()
    print(f"{scale}x: {(taken == truth).mean():.1%} right, {original:.1%} of the originals")
    assert (taken == truth).mean() >= max(0.97, original - 0.006)


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 10, 20, 30, 40])
def test_the_ten_digits_that_a_hand_draws_on_the_board_are_read(width: int, reads: Reads) -> None:
    assert list(DIGITS) == list(EVERY)
    assert list(reads([digit(encoded(drawing(number, width))) for number in EVERY])) == list(EVERY)


def lit(number: int, light: Callable[[np.ndarray, np.ndarray], np.ndarray], ink: float = 0.4) -> bytes:
    """A photograph of the board: pen strokes on paper in uneven light, with a sensor's noise, as JPEG."""
    board = np.asarray(drawing(number, 7, 4)) / 255
    down, across = np.mgrid[0:1:1120j, 0:1:1120j]
    noise = np.random.default_rng(number).normal(0, 6, board.shape)
    shades = light(across, down) * (1 - (1 - board) * (1 - ink)) + noise
    return encoded(Image.fromarray(shades.clip(0, 255).astype(np.uint8)).convert("RGB"), "JPEG", quality=70)


LIGHTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "even": lambda across, down: 220 + 0 * across,
    "slope": lambda across, down: 235 - 90 * across - 60 * down,
    "spot": lambda across, down: 235 - 200 * ((across - 0.3) ** 2 + (down - 0.4) ** 2),
    "shadow": lambda across, down: 215 - 100 / (1 + np.exp(-40 * (across + 0.3 * down - 0.75))),
}


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize("light", LIGHTS)
def test_a_photograph_of_a_digit_on_unevenly_lit_paper_is_read(light: str, reads: Reads) -> None:
    assert list(reads([digit(lit(number, LIGHTS[light])) for number in EVERY])) == list(EVERY)


def spoilt(number: int, with_what: str) -> bytes:
    board = drawing(number, 8, 4)
    pen, chance = ImageDraw.Draw(board), Random(number)
    if with_what == "frame":
        pen.rectangle((0, 0, 1119, 1119), outline=0, width=4)
    for place in range(40, 1120, 90):
        if with_what == "ruled paper":
            pen.line((0, place, 1120, place), fill=200, width=3)
        elif with_what == "dust":
            x, y = chance.randrange(1110), chance.randrange(1110)
            pen.ellipse((x, y, x + 7, y + 7), fill=60)
    return encoded(board)


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize("with_what", ["frame", "ruled paper", "dust"])
def test_what_is_on_the_paper_beside_the_digit_does_not_count(with_what: str, reads: Reads) -> None:
    assert list(reads([digit(spoilt(number, with_what)) for number in EVERY])) == list(EVERY)
