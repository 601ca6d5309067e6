"""The idx format of MNIST: a big-endian header (magic, count, sizes), then one byte per value."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO

import numpy as np

from trainer.errors import TrainerError

IMAGES, LABELS = 2051, 2049
"""Magic numbers: 0x0803 is unsigned bytes in three dimensions, 0x0801 in one."""

GZIP_MAGIC = b"\x1f\x8b"


def decode(file: BinaryIO, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read an idx file, gzipped or plain, that must hold exactly `shape` unsigned bytes.

    `name` stands in the messages. Never inflates more than the expected bytes and one: what follows is
    refused unread, so a gzip bomb costs nothing. Raises TrainerError naming the file and what is wrong.
    """
    head_size = 4 * (1 + len(shape))
    expected = head_size + int(np.prod(shape))
    content = _inflate(file, name, expected + 1)
    _check_header(content[:head_size], name, shape)
    if len(content) != expected:
        word = "more" if len(content) > expected else f"only {len(content)}"
        raise TrainerError(f"{name} should hold {expected} bytes but holds {word}; fetch the file again.")
    return np.frombuffer(content, np.uint8, offset=head_size).reshape(shape)


def encode(array: np.ndarray) -> bytes:
    """Give the idx file of a uint8 array of one dimension (labels) or three (images)."""
    head = np.array([0x0800 + array.ndim, *array.shape], dtype=">i4")
    return head.tobytes() + np.ascontiguousarray(array, np.uint8).tobytes()


def _inflate(file: BinaryIO, name: str, limit: int) -> bytes:
    """Give at most `limit` bytes of content; gzip is told from plain by its first two bytes."""
    start = file.read(2)
    rest = _Prefixed(start, file)
    if start != GZIP_MAGIC:
        return rest.read(limit)
    try:
        with gzip.GzipFile(fileobj=rest) as stream:
            return stream.read(limit)
    except EOFError:
        raise TrainerError(f"{name} is cut off: its gzip stream has no end; fetch the file again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TrainerError(f"{name} is not sound gzip ({error}); fetch the file again.") from None


def _check_header(head: bytes, name: str, shape: tuple[int, ...]) -> None:
    wanted = [0x0800 + len(shape), *shape]
    if len(head) < 4 * len(wanted):
        raise TrainerError(f"{name} ends within its idx header; fetch the file again.")
    magic, *sizes = np.frombuffer(head, ">i4").tolist()
    if magic != wanted[0]:
        raise TrainerError(f"{name} starts with magic number {magic}, {wanted[0]} would be right.")
    if sizes != wanted[1:]:
        raise TrainerError(f"{name} says it holds {_times(sizes)} values, {_times(shape)} would be right.")


def _times(sizes: list[int] | tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in sizes)


class _Prefixed(io.RawIOBase):
    """A stream with bytes already read from it put back in front (tar members and sockets cannot seek)."""

    def __init__(self, prefix: bytes, file: BinaryIO) -> None:
        self._prefix, self._file = prefix, file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._prefix:
            return self._file.read(size)
        if size < 0:
            prefix, self._prefix = self._prefix, b""
            return prefix + self._file.read()
        prefix, self._prefix = self._prefix[:size], self._prefix[size:]
        return prefix + self._file.read(size - len(prefix))
