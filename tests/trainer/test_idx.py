"""Reading idx files: what is right is read, what is wrong is named."""

from __future__ import annotations

import gzip
import io
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from damage import damaged
from trainer import idx
from trainer.errors import TrainerError

IMAGES = np.arange(2 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(2, 28, 28)


def decode(content: bytes, shape: tuple[int, ...] = IMAGES.shape) -> np.ndarray:
    return idx.decode(io.BytesIO(content), "some/file.gz", shape)


@given(arrays.arrays(np.uint8, st.sampled_from([(3, 28, 28), (5,), (1, 1, 1)])), st.booleans())
def test_what_was_encoded_is_decoded_gzipped_or_plain(array: np.ndarray, zipped: bool) -> None:
    content = idx.encode(array)
    assert np.array_equal(decode(gzip.compress(content) if zipped else content, array.shape), array)


def test_the_magic_numbers_are_mnists() -> None:
    assert struct.unpack(">i", idx.encode(IMAGES)[:4]) == (idx.IMAGES,) == (2051,)
    assert struct.unpack(">i", idx.encode(IMAGES[:, 0, 0])[:4]) == (idx.LABELS,) == (2049,)


@pytest.mark.parametrize("kept", [0, 1, 9, 20, 200])
def test_fault_72_a_truncated_gz_is_named(kept: int) -> None:
    with pytest.raises(TrainerError, match=r"^some/file.gz (is cut off|ends within its idx header)"):
        decode(gzip.compress(idx.encode(IMAGES))[:kept])


def test_fault_72_damaged_gz_is_named() -> None:
    content = bytearray(gzip.compress(idx.encode(IMAGES)))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(TrainerError, match=r"^some/file.gz "):
        decode(bytes(content))


def test_fault_72_a_wrong_magic_number_is_named() -> None:
    with pytest.raises(TrainerError, match="starts with magic number 2049, 2051 would be right"):
        decode(struct.pack(">i", 2049) + idx.encode(IMAGES)[4:])


def test_fault_72_a_wrong_count_is_named() -> None:
    with pytest.raises(TrainerError, match="says it holds 3 x 28 x 28 values, 2 x 28 x 28 would be right"):
        decode(idx.encode(np.zeros((3, 28, 28), np.uint8)))


def test_fault_72_missing_bytes_are_counted() -> None:
    with pytest.raises(TrainerError, match="should hold 1584 bytes but holds only 1583"):
        decode(gzip.compress(idx.encode(IMAGES)[:-1]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_fault_72_bytes_too_many_are_refused(pack: type[bytes]) -> None:
    with pytest.raises(TrainerError, match="should hold 1584 bytes but holds more"):
        decode(pack(idx.encode(IMAGES) + b"x"))


@given(st.binary(max_size=300))
def test_no_bytes_whatever_cause_more_than_a_sentence(content: bytes) -> None:
    for start in (b"", idx.GZIP_MAGIC, gzip.compress(b"")[:10]):
        with pytest.raises(TrainerError, match=r"^some/file.gz "):
            decode(start + content)


@limits(max_examples=300)
@given(st.sampled_from([idx.encode(IMAGES), gzip.compress(idx.encode(IMAGES), mtime=0)]).flatmap(damaged))
def test_fault_72_a_damaged_file_is_refused_in_one_sentence_or_has_the_right_form(content: bytes) -> None:
    try:
        assert decode(content).shape == IMAGES.shape  # wrong values are for the checksum to find, see test_data.py
    except TrainerError as error:
        assert str(error).startswith("some/file.gz ")
        assert "\n" not in str(error)


@limits(max_examples=200)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5), st.binary(max_size=2000))
def test_fault_72_no_header_whatever_is_believed(header: list[int], rest: bytes) -> None:
    content = struct.pack(f">{len(header)}i", *header) + rest
    if header != [idx.IMAGES, *IMAGES.shape] or len(rest) != IMAGES.size:
        with pytest.raises(TrainerError, match=r"^some/file.gz "):
            decode(content)


def test_fault_74_a_gz_bomb_is_not_inflated() -> None:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    bomb = packer.compress(idx.encode(IMAGES)) + b"".join(packer.compress(zeros) for _ in range(400)) + packer.flush()
    source = io.BytesIO(bomb)
    started = time.process_time()
    with pytest.raises(TrainerError, match="holds more"):
        idx.decode(source, "bomb.gz", IMAGES.shape)
    assert source.tell() < len(bomb)  # the rest was never read
    assert time.process_time() - started < 0.5
