"""Turns a picture that somebody sent into what MNIST's images are: 28x28, white on black, centred by mass."""

from __future__ import annotations

import io

from PIL import Image, ImageOps, UnidentifiedImageError

from webui.problems import BadValue, TooLarge, UnsupportedPicture

MOST_BYTES = 1 << 20


def digit(content: bytes) -> bytes:
    """Return 784 grey bytes for a PNG or JPEG; a Problem for anything else."""
    if len(content) > MOST_BYTES:
        raise TooLarge("A picture takes at most 1 MB.", "file")
    try:
        grey = Image.open(io.BytesIO(content), formats=("PNG", "JPEG")).convert("L")
    except (UnidentifiedImageError, OSError) as error:
        raise UnsupportedPicture("That is no PNG or JPEG picture.", "file") from error
    if grey.getpixel((0, 0)) > 127:
        grey = ImageOps.invert(grey)
    box = grey.point(lambda value: 255 * (value > 64)).getbbox()
    if box is None:
        raise BadValue("The picture is empty: draw a digit.", "file")
    ink = ImageOps.contain(grey.crop(box), (20, 20))
    paper = Image.new("L", (28, 28))
    paper.paste(ink, ((28 - ink.width) // 2, (28 - ink.height) // 2))
    return paper.tobytes()
