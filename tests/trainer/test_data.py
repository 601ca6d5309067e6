"""Where the data sets come from, and what is refused."""

from __future__ import annotations

import hashlib
import http.server
import io
import shutil
import tarfile
import threading
import time
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits

from damage import damaged, flipped
from trainer import data, download, idx
from trainer.data import load
from trainer.errors import TrainerError, UsageError
from trainer.options import Options

COUNTS = ((6, 28, 28), (6,), (4, 28, 28), (4,))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Four small files that stand where MNIST's stand, by name."""
    contents, table = {}, []
    for known, shape in zip(download.MNIST, COUNTS, strict=True):
        values = (np.arange(np.prod(shape)) % 10).astype(np.uint8).reshape(shape)
        contents[known.name] = idx.encode(values)
        table.append(download.Remote(known.name, 0, "", shape, hashlib.sha256(values.data).hexdigest()))
    monkeypatch.setattr(download, "MNIST", tuple(table))
    return contents


def make_folder(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def make_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def test_mnist_dir_is_read_where_it_lies(tiny: dict[str, bytes], tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mnist", tiny)
    read = load(Options(), str(folder))
    assert (read.name, read.stand_in, read.source) == ("mnist", False, str(folder))
    assert (read.train.images.shape, read.test.labels.shape) == ((6, 28, 28), (4,))


def test_mnist_dir_may_hold_the_unpacked_files(tiny: dict[str, bytes], tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mnist", {name.removesuffix(".gz"): content for name, content in tiny.items()})
    assert len(load(Options(), str(folder)).train.labels) == 6


def test_mnist_dir_may_be_a_tar_archive(tiny: dict[str, bytes], tmp_path: Path) -> None:
    inside = [(named("deep/down", tarfile.DIRTYPE), b"")]
    inside += [(named(f"deep/down/{name}"), content) for name, content in tiny.items()]
    archive = make_tar(tmp_path / "mnist.tar.gz", inside)
    assert len(load(Options(), str(archive)).test.labels) == 4
    assert list(tmp_path.iterdir()) == [archive]  # nothing was unpacked


@pytest.mark.parametrize(
    "member",
    [
        named("../train-images-idx3-ubyte.gz"),
        named("/etc/train-images-idx3-ubyte.gz"),
        named("a/../../train-images-idx3-ubyte.gz"),
        named("train-images-idx3-ubyte.gz", tarfile.SYMTYPE, "/etc/passwd"),
        named("train-images-idx3-ubyte.gz", tarfile.LNKTYPE, "../secret"),
        named("train-images-idx3-ubyte.gz", tarfile.CHRTYPE),
        named("train-images-idx3-ubyte.gz", tarfile.FIFOTYPE),
    ],
    ids=["parent", "absolute", "hidden parent", "symbolic link", "hard link", "device", "fifo"],
)
def test_fault_75_an_archive_that_reaches_out_is_refused(
    member: tarfile.TarInfo, tiny: dict[str, bytes], tmp_path: Path
) -> None:
    members = [(named(name), content) for name, content in tiny.items()]
    archive = make_tar(tmp_path / "mnist.tar", [*members, (member, b"")])
    with pytest.raises(TrainerError, match="only plain files inside it are read"):
        load(Options(), str(archive))
    assert list(tmp_path.iterdir()) == [archive]


def test_fault_75_a_cut_off_archive_is_named(tiny: dict[str, bytes], tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "mnist.tar", [(named(name), content) for name, content in tiny.items()])
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(TrainerError, match=r"mnist.tar is not a sound tar archive"):
        load(Options(), str(archive))


def sound_archive(kind: str) -> bytes:
    """An archive packed in one way, with something in it that does not pack well."""
    noise, made = np.random.default_rng(1).bytes(3000), io.BytesIO()
    member = named("train-images-idx3-ubyte")
    member.size = len(noise)
    with tarfile.open(fileobj=made, mode=f"w:{kind}") as archive:
        archive.addfile(member, io.BytesIO(noise))
    return made.getvalue()


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "xz"])
def test_fault_75_a_damaged_archive_is_one_sentence(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "mnist.tar"

    @limits(max_examples=80, database=None)
    @given(damaged(sound_archive(kind)))
    def refused(content: bytes) -> None:
        place.write_bytes(content)
        with pytest.raises(TrainerError) as caught:  # the sound one holds no MNIST either
            load(Options(), str(place))
        assert str(place) in str(caught.value)
        assert "\n" not in str(caught.value)

    refused()


def test_fault_74_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    member = named("bomb")
    member.size = 50 << 30
    zeros, head = bytes(1 << 20), member.tobuf(tarfile.GNU_FORMAT)
    bomb = packer.compress(head) + b"".join(packer.compress(zeros) for _ in range(600)) + packer.flush()
    (tmp_path / "mnist.tar.gz").write_bytes(bomb)
    began = time.process_time()
    with pytest.raises(TrainerError, match="holds more than 10,000 files or 500 MB"):
        load(Options(), str(tmp_path / "mnist.tar.gz"))
    assert time.process_time() - began < 0.5


def test_fault_74_an_archive_of_countless_files_is_not_read_to_its_end(tmp_path: Path) -> None:
    member = named("x").tobuf()
    (tmp_path / "mnist.tar").write_bytes(member * 20_000)
    with pytest.raises(TrainerError, match="holds more than 10,000 files"):
        load(Options(), str(tmp_path / "mnist.tar"))


def test_fault_30_a_file_that_cannot_be_read_is_named(tiny: dict[str, bytes], tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mnist", tiny)
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    (folder / "t10k-images-idx3-ubyte.gz").symlink_to("/proc/self/mem")
    with pytest.raises(TrainerError, match=r"Could not read t10k-images-idx3-ubyte.gz in .*: Input/output error\."):
        load(Options(), str(folder))


def test_mnist_dir_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder and no tar archive"):
        load(Options(), str(tmp_path / "nowhere"))


def test_mnist_dir_without_a_file_names_the_file(tiny: dict[str, bytes], tmp_path: Path) -> None:
    del tiny["t10k-labels-idx1-ubyte.gz"]
    with pytest.raises(UsageError, match=r"has no t10k-labels-idx1-ubyte\.gz"):
        load(Options(), str(make_folder(tmp_path / "mnist", tiny)))


def test_a_wrong_mnist_dir_is_not_passed_over_by_auto(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load(Options(dataset="auto"), str(tmp_path / "nowhere"))


def test_fault_73_other_content_of_the_right_form_is_not_taken_for_mnist(
    tiny: dict[str, bytes], tmp_path: Path
) -> None:
    name = "train-labels-idx1-ubyte.gz"
    tiny[name] = tiny[name][:-1] + b"\x07"
    with pytest.raises(TrainerError, match=f"{name} has the form of MNIST's file but other content"):
        load(Options(), str(make_folder(tmp_path / "mnist", tiny)))


def test_the_digest_of_the_data_covers_labels_and_order(dataset: data.Dataset) -> None:
    swapped = data.Dataset("x", False, "", dataset.test, dataset.train)
    relabelled = data.Split(dataset.train.images, dataset.train.labels[::-1].copy())
    other = data.Dataset("x", False, "", relabelled, dataset.test)
    assert len({dataset.sha256, swapped.sha256, other.sha256}) == 3


def test_digits_are_centred_in_28_pixels_and_split_the_same_way_every_time() -> None:
    one, two = load(Options(dataset="digits"), None), load(Options(dataset="digits"), None)
    assert one.sha256 == two.sha256
    assert (one.train.images.shape, one.test.images.shape) == ((1438, 28, 28), (359, 28, 28))
    assert one.train.images.dtype == np.uint8
    assert one.train.images.max() == 255
    frame = one.train.images.copy()
    frame[:, 4:24, 4:24] = 0
    assert not frame.any()
    assert set(one.test.labels.tolist()) == set(range(10))


def test_digits_hold_no_test_image_among_the_training_images() -> None:
    read = load(Options(dataset="digits"), None)
    training = {image.tobytes() for image in read.train.images}
    assert not any(image.tobytes() in training for image in read.test.images)


def test_digits_say_loudly_that_they_stand_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert load(Options(dataset="digits"), None).stand_in
    assert "STAND-IN DATA" in capsys.readouterr().out


def test_auto_falls_back_to_the_digits_when_no_mirror_gives_mnist(tmp_path: Path) -> None:
    closed = ("http://127.0.0.1:9/",)
    read = load(Options(dataset="auto", mirrors=closed, data_dir=str(tmp_path)), None)
    assert (read.name, read.stand_in) == ("digits", True)


def test_strict_mnist_never_falls_back(tmp_path: Path) -> None:
    closed = ("http://127.0.0.1:9/",)
    with pytest.raises(TrainerError, match="MNIST could not be fetched"):
        load(Options(dataset="mnist", mirrors=closed, data_dir=str(tmp_path)), None)


@pytest.mark.mnist
def test_the_real_mnist_is_what_the_table_says(mnist_dir: Path) -> None:
    read = load(Options(), str(mnist_dir))
    assert (len(read.train.labels), len(read.test.labels)) == (60_000, 10_000)
    for known in download.MNIST:
        content = (mnist_dir / known.name).read_bytes()
        assert len(content) == known.size
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == known.md5


@pytest.mark.mnist
def test_fault_73_a_damaged_file_of_the_cache_is_named_and_fetched_again_from_the_next_mirror_that_is_up(
    mnist_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(mnist_dir, cache)
    labels = cache / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(flipped(labels.read_bytes(), 9000, 1))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(mnist_dir))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as mirror:
        threading.Thread(target=mirror.serve_forever, args=(0.02,), daemon=True).start()
        mirrors = ("http://127.0.0.1:9/", f"http://127.0.0.1:{mirror.server_port}/")
        read = load(Options(dataset="mnist", mirrors=mirrors, data_dir=str(cache)), None)
        mirror.shutdown()
    said = capsys.readouterr().out
    assert f"{labels} is damaged (its size or checksum is wrong); fetching it again." in said
    assert f"Mirror {mirrors[0]}{labels.name} did not answer" in said
    assert (read.name, read.source) == ("mnist", mirrors[1])
    assert labels.read_bytes() == (mnist_dir / labels.name).read_bytes()
