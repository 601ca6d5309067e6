"""Test images: a small zip of idx files that the trainer puts beside every model version, kept in memory."""

from __future__ import annotations

import io
import json
import logging
import secrets
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from webui.png import PIXELS, SIDE
from webui.problems import NoImage, NotReady
from webui.storage import StorageError, Versions

log = logging.getLogger("webui.samples")

PATH = "assets.extra/test_images.zip"
_MOST_IMAGES = 20_000
_LIMIT = 16 + _MOST_IMAGES * PIXELS  # bytes; the trainer's 500 images take 392,016


@dataclass(frozen=True)
class Sample:
    """One image: 784 grey bytes; of a test image also its place in the set, and the digit it shows."""

    index: int | None
    pixels: bytes
    truth: int | None


@dataclass(frozen=True)
class Samples:
    """A test set: [N, 28, 28] grey bytes and N digits, and the data set they come from."""

    images: bytes
    labels: bytes
    dataset: str
    stand_in: bool

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def title(self) -> str:
        """The data set's name for a reader."""
        return {"mnist": "MNIST", "digits": "scikit-learn’s digits"}.get(self.dataset, self.dataset)

    def pick(self, after: int | None = None) -> Sample:
        """A random image; never the one at `after`, so that “another” is another."""
        index = secrets.randbelow(len(self))
        if index == after and len(self) > 1:
            index = (index + 1 + secrets.randbelow(len(self) - 1)) % len(self)
        return self.at(index)

    def at(self, index: int) -> Sample:
        """The image at a place, from 0; NoImage where there is none."""
        if index >= len(self):
            raise NoImage(f"There is no test image {index}; they are numbered 0 to {len(self) - 1}.")
        return Sample(index, self.images[index * PIXELS : (index + 1) * PIXELS], self.labels[index])


def unpack(packed: bytes) -> Samples:
    """Read a test_images.zip; ValueError says what is wrong with it. Sizes are checked before use.

    The idx format: a magic number (2051 images, 2049 labels), then the sizes, all 4 bytes big-endian, then
    the values (Y. LeCun, C. Cortes, C. Burges, “The MNIST database”).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            images = _member(archive, "images.idx")
            labels = _member(archive, "labels.idx")
            source = _json(_member(archive, "source.json"))
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
        raise ValueError(f"it is no zip with images.idx, labels.idx and source.json ({error})") from error
    count = len(labels) - 8
    if not 0 < count <= _MOST_IMAGES or labels[:8] != struct.pack(">II", 2049, count):
        raise ValueError("labels.idx has a wrong header or a wrong length")
    if len(images) != 16 + count * PIXELS or images[:16] != struct.pack(">IIII", 2051, count, SIDE, SIDE):
        raise ValueError(f"images.idx does not hold {count} images of 28x28")
    if max(labels[8:]) > 9:
        raise ValueError("labels.idx holds something else than digits")
    if not isinstance(source, dict) or not isinstance(source.get("dataset"), str):
        raise ValueError("source.json does not name a dataset")  # noqa: TRY004  # bad data, not a bad call
    return Samples(images[16:], labels[8:], source["dataset"], source.get("stand_in") is True)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read one member; never more than the limit, whatever its header promises."""
    if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed in another way than zip's own")
    with archive.open(name) as file:
        content = file.read(_LIMIT + 1)
    if len(content) > _LIMIT:
        raise ValueError(f"{name} is larger than {_LIMIT:,} bytes")
    return content


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"source.json is no JSON ({error})") from error


class Gallery:
    """The test set on show: a file baked into the image, or the newest version's, read once per version."""

    def __init__(self, versions: Versions | None, file: Path | None = None) -> None:
        self._versions = versions
        self._file = file
        self._shown: tuple[str, Samples] | None = None

    def samples(self) -> Samples:
        """The current test set; NotReady when there is none yet or it cannot be read."""
        try:
            where = str(self._file) if self._file else self._newest()
            if self._shown is None or self._shown[0] != where:
                self._shown = (where, unpack(self._read(where)))
        except (StorageError, OSError, ValueError) as error:
            log.warning("test images: %s", error)
            raise NotReady("The test images cannot be read; this page's own log says why.") from error
        return self._shown[1]

    def _newest(self) -> str:
        version = self._versions.newest(PATH) if self._versions else None
        if version is None:
            raise NotReady("There are no test images yet: train a model first.")
        return version

    def _read(self, where: str) -> bytes:
        if self._file:
            with self._file.open("rb") as file:
                return file.read(_LIMIT)
        packed = self._versions.read(where, PATH, _LIMIT) if self._versions else None
        if packed is None:  # removed between looking and reading
            raise StorageError(f"version {where} lost its test images")
        return packed
