"""What people may send: PNG and JPEG of every kind read upright on white, all else refused in a sentence."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from PIL import Image

from damage import damaged
from tests.web_ui.conftest import WEB_UI, environment
from tests.web_ui.strokes import drawing, encoded
from webui.intake import digit
from webui.problems import BadValue, Problem, TooLarge, UnsupportedPicture
from webui.uploads import grey

SEVEN = drawing(7)
READ = digit(encoded(SEVEN))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, colour: int = 0, depth: int = 8) -> bytes:
    """A PNG whose header says so, with chunks that need not hold what it says."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((chunk(b"IHDR", header), *chunks, chunk(b"IEND", b"")))


def filled(width: int, height: int, pixel: bytes, colour: int, depth: int = 8) -> bytes:
    """A PNG all of one colour, packed a row at a time."""
    packer = zlib.compressobj()
    rows = [packer.compress(b"\0" + pixel * width) for _ in range(height)]
    return png(width, height, chunk(b"IDAT", b"".join((*rows, packer.flush()))), colour=colour, depth=depth)


def far(one: bytes, other: bytes) -> float:
    """The mean distance of two 28x28 images in grey levels."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def with_alpha(background: tuple[int, int, int]) -> Image.Image:
    board = Image.new("RGBA", SEVEN.size, (*background, 0))
    board.paste((0, 0, 0, 255), mask=SEVEN.point(lambda level: 255 - level))
    return board


def of_16_bits() -> bytes:
    board = SEVEN.convert("I").point(lambda level: level * 257)
    return encoded(board.convert("I;16"))


KINDS = {
    "1 bit": encoded(SEVEN.convert("1")),
    "grey": encoded(SEVEN),
    "grey, 16 bits": of_16_bits(),
    "grey, alpha": encoded(with_alpha((0, 0, 0)).convert("LA")),
    "palette": encoded(SEVEN.convert("P")),
    "palette, one level transparent": encoded(SEVEN.convert("P"), transparency=255),
    "colour": encoded(SEVEN.convert("RGB")),
    "colour, one transparent": encoded(SEVEN.convert("RGB"), transparency=(255, 255, 255)),
    "colour, alpha": encoded(with_alpha((0, 0, 0))),
    "colour, alpha on white": encoded(with_alpha((255, 255, 255))),
    "animated": encoded(SEVEN, save_all=True, append_images=[drawing(3)]),
    "JPEG, grey": encoded(SEVEN, "JPEG"),
    "JPEG, colour": encoded(SEVEN.convert("RGB"), "JPEG", quality=60),
    "JPEG, progressive": encoded(SEVEN.convert("RGB"), "JPEG", progressive=True),
    "JPEG, CMYK": encoded(SEVEN.convert("RGB").convert("CMYK"), "JPEG"),
    "JPEG in MPO": encoded(SEVEN, "MPO", save_all=True, append_images=[drawing(3)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_digit_is_the_same_in_every_kind_of_picture(kind: str) -> None:
    assert far(digit(KINDS[kind]), READ) < 6  # the soft edge, which 1 bit has not


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_white_ink_on_nothing_is_seen(mode: str) -> None:
    board = Image.new("RGBA", SEVEN.size, (255, 255, 255, 0))
    board.paste((255, 255, 255, 255), mask=SEVEN.point(lambda level: 255 - level))
    assert far(digit(encoded(board.convert(mode))), READ) < 6


@pytest.mark.parametrize("alpha", [0, 255])
def test_white_all_over_is_empty_whether_it_is_seen_through_or_not(alpha: int) -> None:
    with pytest.raises(BadValue, match="The picture is empty"):
        digit(encoded(Image.new("RGBA", SEVEN.size, (255, 255, 255, alpha))))


def test_an_interlaced_png_is_read_as_any_other() -> None:
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    pixels, (width, height) = SEVEN.tobytes(), SEVEN.size
    rows = [
        b"\0" + pixels[row * width + left : (row + 1) * width : across]  # Adam7, PNG specification, 8.1
        for left, top, across, down in passes
        for row in range(top, height, down)
    ]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1))
    packed = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    assert digit(b"\x89PNG\r\n\x1a\n" + header + packed + chunk(b"IEND", b"")) == READ


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(kind: str, orientation: int) -> None:
    turns = Image.Transpose
    lying = {2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE,
             6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270}  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    board = SEVEN.transpose(lying[orientation]) if orientation > 1 else SEVEN
    assert far(digit(encoded(board, kind, exif=exif)), READ) < 6


def test_exif_that_cannot_be_read_takes_nothing_from_the_picture() -> None:
    assert far(digit(encoded(SEVEN, "JPEG", exif=b"Exif\0\0nonsense")), READ) < 6


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_other_formats_are_refused_whatever_their_name(kind: str) -> None:
    with pytest.raises(UnsupportedPicture, match="reads PNG or JPEG; the file is neither") as refused:
        digit(encoded(SEVEN, kind))
    assert (refused.value.status, refused.value.field) == (415, "file")


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"<svg/>", b"%PDF-1.7", b"\xff\xd8"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(UnsupportedPicture):
        digit(content)


def test_a_byte_more_than_a_mebibyte_is_refused_and_a_mebibyte_is_not() -> None:
    content = encoded(SEVEN)
    room = (1 << 20) - len(content)
    whole = content[:-12] + chunk(b"juNk", bytes(room - 12)) + content[-12:]
    assert (len(whole), digit(whole)) == (1 << 20, READ)
    with pytest.raises(TooLarge, match=r"more than 1 MB \(1,048,576 bytes\)") as refused:
        digit(whole + b"\0")
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "content",
    [
        png(4001, 4000, chunk(b"IDAT", b"")),
        png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", b"")),
        filled(4001, 4000, b"\xff", 0),
        encoded(Image.new("L", (4001, 4000), 255), "JPEG", quality=20),
    ],
    ids=["header", "huge header", "PNG", "JPEG"],
)
def test_more_than_16_megapixels_are_refused_by_the_header_alone(content: bytes) -> None:
    began = time.process_time()
    with pytest.raises(TooLarge, match=r"up to 16 megapixels are taken"):
        digit(content)
    assert time.process_time() - began < 0.05


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (filled(1, 20000, b"\0", 0), "1 x 20000 pixels: too narrow"),
        (filled(210, 10, b"\0", 0), "210 x 10 pixels: too narrow"),
        (png(0, 100, chunk(b"IDAT", b"")), "damaged"),
        (png(100, 0, chunk(b"IDAT", b"")), "damaged"),
        (png(100, 100, chunk(b"IDAT", b"")), "damaged"),
        (png(100, 100), "damaged"),
        (encoded(SEVEN)[:-400], "damaged or cut off"),
        (encoded(SEVEN, "JPEG")[:-400], "damaged or cut off"),
        (encoded(SEVEN)[:40], "damaged or cut off"),
        (encoded(SEVEN, "JPEG")[:40], "damaged or cut off"),
    ],
)
def test_what_shows_nothing_or_is_not_whole_is_refused_in_a_sentence(content: bytes, says: str) -> None:
    with pytest.raises(BadValue, match=says) as refused:
        digit(content)
    assert refused.value.field == "file"


def test_texts_that_unpack_to_much_are_not_kept() -> None:
    texts = [chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20))) for _ in range(60)]
    with pytest.raises(BadValue, match="damaged"):
        digit(png(9, 9, *texts, chunk(b"IDAT", zlib.compress(bytes(90)))))


def test_a_jpeg_of_many_scans_is_refused_before_it_costs_time() -> None:
    content = encoded(SEVEN, "JPEG", progressive=True)
    scan = content[content.index(b"\xff\xda") : -2]
    with pytest.raises(TooLarge, match="too many scans"):
        digit(content[:-2] + scan * 64 + content[-2:])


PNGS = [content for kind, content in KINDS.items() if "JPEG" not in kind]
JPEGS = [content for kind, content in KINDS.items() if "JPEG" in kind]


def sound(content: bytes) -> bytes:
    """A PNG with right checksums, so that what was changed in it reaches the code behind them."""
    made, at = content[:8], 8
    while at + 12 <= len(content) and at + 12 + (size := int.from_bytes(content[at : at + 4])) <= len(content):
        made += chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + size])
        at += 12 + size
    return made + content[at:]


NAMES = (b"tRNS", b"PLTE", b"gAMA", b"cHRM", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"fdAT",
         b"IHDR", b"IDAT", b"IEND")  # fmt: skip


def with_another_chunk(content: bytes) -> st.SearchStrategy[bytes]:
    made = st.builds(chunk, st.sampled_from(NAMES), st.binary(max_size=60))
    return made.map(lambda more: content[:33] + more + content[33:])


ANYTHING = st.one_of(
    st.binary(max_size=500),
    st.sampled_from(PNGS + JPEGS).flatmap(damaged),
    st.sampled_from(PNGS).flatmap(damaged).map(sound),
    st.sampled_from(PNGS).flatmap(with_another_chunk),
)


@limits(max_examples=400)
@given(ANYTHING)
def test_any_bytes_give_784_or_a_problem_within_a_second_of_work(content: bytes) -> None:
    # Once in a long run the collection of a whole test suite's garbage falls into a call: that one is measured again.
    assert any(seconds_of_work(content) < 1 for _ in range(3))


def seconds_of_work(content: bytes) -> float:
    began = time.thread_time()
    with contextlib.suppress(Problem):
        assert len(digit(content)) == 784
    return time.thread_time() - began


MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


@limits(max_examples=150)
@given(st.sampled_from(MODES), st.integers(1, 60), st.integers(1, 60), st.data())
def test_any_pixels_give_784_or_a_problem(mode: str, width: int, height: int, data: st.DataObject) -> None:
    size = len(Image.new(mode, (width, height)).tobytes())
    seed = data.draw(st.binary(min_size=1, max_size=64))
    board = Image.frombytes(mode, (width, height), (seed * (size // len(seed) + 1))[:size])
    with contextlib.suppress(BadValue):
        assert len(digit(encoded(board))) == 784


def test_the_working_size_is_bounded() -> None:
    assert grey(filled(4000, 4000, b"\xff", 0)).size == (1334, 1334)
    assert grey(encoded(Image.new("RGB", (4600, 3000), "white"), "JPEG")).size == (1150, 750)


MEASURES = """
import resource, sys
import webui.app
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
from webui import intake, problems
try:
    intake.digit(sys.stdin.buffer.read())
except problems.BadValue as problem:
    assert "empty" in problem.sentence, problem.sentence
print(peak() - before)
"""


def largest() -> Iterator[tuple[str, bytes]]:
    yield "colour and alpha", filled(4000, 4000, b"\xff" * 4, 6)
    yield "colour and alpha, 16 bits", filled(4000, 4000, b"\xff" * 8, 6, 16)
    yield "grey, 16 bits", filled(4000, 4000, b"\xff" * 2, 0, 16)
    white = Image.new("RGB", (4000, 4000), "white")
    yield "JPEG", encoded(white, "JPEG", quality=40)
    yield "JPEG, progressive", encoded(white, "JPEG", quality=40, progressive=True)
    white = white.crop((0, 0, 3640, 3640))
    yield "JPEG, progressive, full colour", encoded(white, "JPEG", quality=40, progressive=True, subsampling=0)


def test_no_picture_takes_100_mib_even_for_a_moment() -> None:
    for kind, content in largest():
        assert len(content) <= 1 << 20, kind
        done = subprocess.run(
            [sys.executable, "-c", MEASURES], cwd=WEB_UI, env=environment(), input=content, capture_output=True,
            check=True,
        )  # fmt: skip
        assert float(done.stdout) < 100, (kind, done.stdout)
