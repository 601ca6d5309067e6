"""Opens a picture that somebody sent: PNG or JPEG by its content, bounded in bytes and pixels, as upright grey."""

from __future__ import annotations

import io
import struct
import warnings

from PIL import Image, ImageFile, PngImagePlugin
from PIL.JpegImagePlugin import JpegImageFile

from webui.problems import BadValue, TooLarge, UnsupportedPicture

MOST_BYTES = 1 << 20
MOST_PIXELS = 16_000_000
LONGEST = 20
"""How many times longer than the other one a side may be: a lone stroke cropped tightly still fits."""

WORKING_SIDE = 1024
"""Pixels that the longer side is brought down to, in whole steps: 50 for each pixel of a digit that fills it."""

_WHITE = 235  # what is lighter all over shows nothing on white paper
_BAND = 64  # rows converted at a time, so that no second copy of 16 megapixels in colour is made
_MOST_SCANS = 64  # of a JPEG; a progressive one has about ten, and each costs a pass over all its pixels
_MOST_COEFFICIENTS = 40_000_000  # of a JPEG; two bytes each are kept to the end, where colours come one after another

# What Pillow raises on a file that is not whole: when it opens one (its list in ImageFile.ImageFile.__init__ beside
# OSError, SyntaxError and ValueError) or unpacks it.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an orientation (Exif 2.32, tag 0x0112)."""


def grey(content: bytes) -> Image.Image:
    """The picture upright on white paper, black where white would hide it; mode L, longer side below 2 x WORKING_SIDE.

    TooLarge for more bytes or pixels than are taken, UnsupportedPicture for another format, BadValue for a picture
    that is damaged or far longer than wide.
    """
    if len(content) > MOST_BYTES:
        raise TooLarge("The picture takes more than 1 MB (1,048,576 bytes); a smaller or a JPEG one will do.", "file")
    with warnings.catch_warnings():  # Pillow's word on odd files is nothing for the log
        warnings.simplefilter("ignore")
        try:
            image = _opened(content)
            _refuse_unfit(image, content)
            return _upright(image)
        except _DAMAGED as error:
            raise BadValue("The picture is damaged or cut off: it cannot be read to its end.", "file") from error


def _opened(content: bytes) -> ImageFile.ImageFile:
    """The picture with only its header read. The two classes by name: Image.open would try others, MPO for one."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        PngImagePlugin.MAX_TEXT_MEMORY = MOST_BYTES  # packed texts may unpack to 64 MB else
        return PngImagePlugin.PngImageFile(io.BytesIO(content))
    if content.startswith(b"\xff\xd8\xff"):
        return JpegImageFile(io.BytesIO(content))
    raise UnsupportedPicture("This page reads PNG or JPEG; the file is neither, whatever its name.", "file")


def _refuse_unfit(image: ImageFile.ImageFile, content: bytes) -> None:
    """Look at what the header promises, before a pixel is unpacked."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise TooLarge(f"The picture has {width} x {height} pixels; up to 16 megapixels are taken.", "file")
    if max(width, height) > LONGEST * min(width, height):
        raise BadValue(f"The picture has {width} x {height} pixels: too narrow to show a digit.", "file")
    if isinstance(image, JpegImageFile):
        samples = [max(1, across * down) for _, across, down, _ in image.layer] or [1]
        coefficients = width * height * sum(samples) / max(samples)
        if coefficients > _MOST_COEFFICIENTS or content.count(b"\xff\xda") > _MOST_SCANS:
            raise TooLarge("The JPEG has too many scans or pixels of full colour; make it smaller.", "file")


def _upright(image: ImageFile.ImageFile) -> Image.Image:
    """The picture's pixels, unpacked at once at half, a quarter or an eighth of the size where it is a large JPEG."""
    scale = max(1, max(image.size) // WORKING_SIDE)
    if isinstance(image, JpegImageFile):
        image.draft("L", (max(1, image.width // scale), max(1, image.height // scale)))
    image.load()
    turn = _TURNS.get(_orientation(image))
    small = _on(image, "white")
    if image.has_transparency_data and small.getextrema()[0] > _WHITE:  # white ink is seen on black only
        small = _on(image, "black")
    return small if turn is None else small.transpose(turn)


def _orientation(image: ImageFile.ImageFile) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except _DAMAGED:  # Exif that cannot be read takes nothing from the picture
        return 1


def _on(image: Image.Image, paper: str) -> Image.Image:
    """The picture in grey on paper, brought down by a whole factor; the mean of each square keeps thin lines."""
    whole = Image.new("L", image.size)
    for top in range(0, image.height, _BAND):
        rows = image.crop((0, top, image.width, min(image.height, top + _BAND)))
        whole.paste(_band(rows, paper), (0, top))
    return whole.reduce(max(1, max(image.size) // WORKING_SIDE))


def _band(rows: Image.Image, paper: str) -> Image.Image:
    if rows.mode.startswith("I"):  # 16 bits, which Pillow would clip to 255
        return rows.convert("I").point(lambda level: level / 257).convert("L")
    if not rows.has_transparency_data:
        return rows.convert("L")
    under = Image.new("RGBA", rows.size, paper)
    under.alpha_composite(rows.convert("RGBA"))
    return under.convert("L")
