"""Turns 28x28 grey pixels into a PNG, as the PNG specification (W3C, third edition) has it."""

from __future__ import annotations

import base64
import struct
import zlib

SIDE = 28
PIXELS = SIDE * SIDE


def png(pixels: bytes) -> bytes:
    """Return an 8-bit greyscale PNG of 784 bytes, row by row, 0 black and 255 white."""
    if len(pixels) != PIXELS:
        raise ValueError(f"an image has {PIXELS} pixels, not {len(pixels)}")
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)  # 8 bits, greyscale, not interlaced
    rows = b"".join(b"\0" + pixels[at : at + SIDE] for at in range(0, PIXELS, SIDE))  # 0: row not filtered
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def data_uri(pixels: bytes) -> str:
    """Return the PNG as a `data:` address, so that a page needs no second request and no temporary file."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
