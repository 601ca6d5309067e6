"""Test images: small zips of idx files, the image's own and one beside every model version, kept in memory."""

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

from webui.card import title
from webui.cards import Cards
from webui.memory import Memory
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
        return title(self.dataset)

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
    """The test set on show: the image's own while the model learned the same data, else the version's own.

    It goes by the version that answered last; before any has, by the newest one.
    """

    def __init__(self, versions: Versions | None, file: Path | None = None, cards: Cards | None = None) -> None:
        """`file`: the image's own zip, if there is one. `cards`: those of the same versions."""
        self._versions = versions
        self._file = file
        self._cards = cards or Cards(versions)
        self._answered: int | None = None
        self._kept = Memory[Samples](most=4, rest_s=10.0)

    def answered(self, version: int) -> None:
        """Note which version of the configured model answered: the next images are for that one."""
        self._answered = version

    def samples(self) -> Samples:
        """The current test set; NotReady when there is none yet or it cannot be read."""
        baked = self._kept.get("file", self._read_file) if self._file else None
        samples = self._own(baked) or baked
        if samples is None:
            raise NotReady("The test images cannot be read; this page's own log says why.")
        return samples

    def _own(self, baked: Samples | None) -> Samples | None:
        """The version's own set; None where `baked` is as good, and where it cannot be read."""
        if self._answered is not None:
            own = self._of(str(self._answered), baked)
            if own or baked:
                return own
        try:
            newest = self._versions.newest(PATH) if self._versions else None
        except StorageError as error:
            log.warning("test images: %s", error)
            return None
        if newest is None and self._file is None:
            raise NotReady("There are no test images yet: train a model first.")
        return None if newest is None else self._of(newest, baked)

    def _of(self, version: str, baked: Samples | None) -> Samples | None:
        if baked and self._cards.data(int(version)) in (None, (baked.dataset, baked.stand_in)):
            return None
        return self._kept.get(version, lambda: self._read(version))

    def _read_file(self) -> Samples | None:
        try:
            with (self._file or Path()).open("rb") as file:
                return unpack(file.read(_LIMIT))
        except (OSError, ValueError) as error:
            log.warning("test images: %s: %s", self._file, error)
            return None

    def _read(self, version: str) -> Samples | None:
        try:
            packed = self._versions.read(version, PATH, _LIMIT) if self._versions else None
            if packed:
                return unpack(packed)
            log.warning("test images of version %s: it has none", version)
        except (StorageError, ValueError) as error:
            log.warning("test images of version %s: %s", version, error)
        return None
