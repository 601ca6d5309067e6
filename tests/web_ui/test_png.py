"""The PNG writer, against a real decoder."""

from __future__ import annotations

import base64
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.png import data_uri, png


@given(st.binary(min_size=784, max_size=784))
def test_every_image_decodes_to_the_same_pixels(pixels: bytes) -> None:
    with Image.open(io.BytesIO(png(pixels))) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (28, 28), "L")
        assert image.tobytes() == pixels


def test_the_data_address_holds_the_png() -> None:
    kind, _, text = data_uri(bytes(784)).partition(",")
    assert (kind, base64.b64decode(text)) == ("data:image/png;base64", png(bytes(784)))


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="784 pixels, not 785"):
        png(bytes(785))
