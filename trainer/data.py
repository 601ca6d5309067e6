"""The data sets by name: one function each, giving training and test images with where they came from."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from trainer import download, files, idx
from trainer.errors import TrainerError, UsageError
from trainer.log import say
from trainer.options import Options

ARCHIVE_BYTES, ARCHIVE_FILES = 500_000_000, 10_000
"""What a tar archive may hold at most; MNIST's four files are 55 MB, unpacked."""

STAND_IN = """\
******************************************************************************
STAND-IN DATA: these are scikit-learn's bundled 8x8 digits scaled up, NOT MNIST.
The model will be poor on real MNIST digits; its accuracy is not MNIST's.
For MNIST: reach a mirror, or set MNIST_DIR to a folder with its four files.
******************************************************************************"""


@dataclass(frozen=True)
class Split:
    """Images [N, 28, 28] uint8 (0 background, 255 ink) and labels [N] uint8 (0 to 9)."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A data set; `source` is where it was read from, `stand_in` that it only stands in for MNIST."""

    name: str
    stand_in: bool
    source: str
    train: Split
    test: Split

    @cached_property
    def sha256(self) -> str:
        """One SHA-256 over all images and labels, training first."""
        total = hashlib.sha256()
        for split in (self.train, self.test):
            total.update(split.images.data)
            total.update(split.labels.data)
        return total.hexdigest()


def mnist(options: Options, mnist_dir: str | None) -> Dataset:
    """Read MNIST from `mnist_dir` (a folder or a tar archive) if set, else the cache, else the mirrors."""
    if mnist_dir:
        with _opener(Path(mnist_dir)) as opened:
            return _read_mnist(opened, mnist_dir)
    cache = Path(options.data_dir)
    patience = download.SHORT if options.dataset == "auto" else download.LONG
    source = download.fetch(options.mirrors, cache, patience)
    with _opener(cache) as opened:
        return _read_mnist(opened, source)


def digits(options: Options, mnist_dir: str | None) -> Dataset:
    """Scale scikit-learn's 1,797 8x8 digits to 20 px, centred in 28x28; a fifth is held out as test set."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    images = np.stack([_enlarge(image) for image in bundled.images])
    labels = bundled.target.astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(labels))
    test, train = np.split(order, [len(labels) // 5])
    say(STAND_IN, "WARNING")
    return Dataset(
        "digits", True, "scikit-learn", Split(images[train], labels[train]), Split(images[test], labels[test])
    )


def auto(options: Options, mnist_dir: str | None) -> Dataset:
    """Give MNIST where it can be had, else digits; a wrong MNIST_DIR is never passed over."""
    if mnist_dir:
        return mnist(options, mnist_dir)
    try:
        return mnist(options, None)
    except download.UnavailableError as error:
        say(str(error), "WARNING")
        return digits(options, None)


DATASETS: dict[str, Callable[[Options, str | None], Dataset]] = {
    "mnist": mnist,
    "digits": digits,
    "auto": auto,
}


def load(options: Options, mnist_dir: str | None) -> Dataset:
    """Load the data set the options name and say what it is and where it came from."""
    dataset = DATASETS[options.dataset](options, mnist_dir)
    counts = f"{len(dataset.train.labels)} training and {len(dataset.test.labels)} test images"
    say(f"Data: {dataset.name} from {dataset.source}, {counts}")
    return dataset


def _read_mnist(opened: Callable[[str], tuple[BinaryIO, str]], source: str) -> Dataset:
    arrays = []
    for wanted in download.MNIST:
        with files.saying(f"read {wanted.name} in {source}"):
            stream, name = opened(wanted.name)
            with stream:
                array = idx.decode(stream, name, wanted.shape)
        if hashlib.sha256(array.data).hexdigest() != wanted.sha256:
            raise TrainerError(f"{name} has the form of MNIST's file but other content; fetch the file again.")
        arrays.append(array)
    train, train_labels, test, test_labels = arrays
    return Dataset("mnist", False, source, Split(train, train_labels), Split(test, test_labels))


@contextmanager
def _opener(place: Path) -> Iterator[Callable[[str], tuple[BinaryIO, str]]]:
    """Give a function that opens one of the four files of a folder or a tar archive, gzipped or plain."""
    if place.is_dir():
        yield lambda name: _open_in_folder(place, name)
    elif place.is_file():
        try:
            with files.saying(f"read the archive {place}"), tarfile.open(place) as archive:
                members = _members(archive, place)
                yield lambda name: _open_in_tar(archive, members, place, name)
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
            why = str(error).partition(":\n")[0]  # tarfile appends a line for each way of packing
            raise TrainerError(f"{place} is not a sound tar archive ({why}); fetch it again.") from None
    else:
        raise UsageError(f"MNIST_DIR is {place}, which is no folder and no tar archive.")


def _open_in_folder(folder: Path, name: str) -> tuple[BinaryIO, str]:
    for path in (folder / name, folder / name.removesuffix(".gz")):
        if path.is_file():
            return path.open("rb"), str(path)
    raise UsageError(f"{folder} has no {name}; MNIST's four files belong there.")


def _members(archive: tarfile.TarFile, place: Path) -> dict[str, tarfile.TarInfo]:
    """Index an archive by base name; refuses any member that could reach outside it, wanted or not.

    Refuses a bomb too: sizes stand before the contents, and what is too much is not unpacked.
    """
    members, size = {}, 0
    for count, member in enumerate(archive):
        size += member.size
        if size > ARCHIVE_BYTES or count >= ARCHIVE_FILES:
            raise TrainerError(
                f"{place} holds more than {ARCHIVE_FILES:,} files or {ARCHIVE_BYTES / 1e6:.0f} MB; "
                "only MNIST's four files belong there."
            )
        if member.isdir():
            continue
        parts = Path(member.name).parts
        if member.name.startswith("/") or ".." in parts or not member.isreg():
            raise TrainerError(
                f"{place} holds {member.name!r}, which is a link, a device or a path out of the archive; "
                "only plain files inside it are read."
            )
        members[parts[-1]] = member
    return members


def _open_in_tar(
    archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], place: Path, name: str
) -> tuple[BinaryIO, str]:
    member = members.get(name) or members.get(name.removesuffix(".gz"))
    stream = archive.extractfile(member) if member else None
    if member is None or stream is None:
        raise UsageError(f"{place} has no {name}; MNIST's four files belong there.")
    return io.BufferedReader(stream), f"{member.name} in {place}"


def _enlarge(image: np.ndarray) -> np.ndarray:
    """Scale one 8x8 image of 0 to 16 to 20x20 of 0 to 255 (bilinear, pixel centres) in a 28x28 frame."""
    at = np.clip((np.arange(20) + 0.5) * 8 / 20 - 0.5, 0, 7)
    low = np.minimum(at.astype(int), 6)
    weights = np.zeros((20, 8))
    weights[np.arange(20), low] = 1 - (at - low)
    weights[np.arange(20), low + 1] = at - low
    large = weights @ image @ weights.T
    return np.pad(np.rint(large * 255 / 16).astype(np.uint8), 4)
