"""Test images: reading the trainer's zip, refusing a wrong one, and following the newest version."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from damage import damaged, records
from tests.web_ui.conftest import images_zip, publish
from webui.problems import NotReady
from webui.samples import PATH, Gallery, Samples, unpack
from webui.storage import Folder

SMALL = images_zip(2)


def test_images_and_labels_are_read_in_order() -> None:
    samples = unpack(images_zip(12, "digits", stand_in=True))
    assert (len(samples), samples.dataset, samples.stand_in) == (12, "digits", True)
    assert samples.labels == bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    assert samples.images[784:812] == bytes([1] * 28)  # image 1 begins with a row of ones


def test_every_image_is_shown_some_time_with_its_own_truth() -> None:
    samples = unpack(images_zip(12))
    shown = {(sample.index, sample.truth, sample.pixels[0]) for sample in (samples.pick() for _ in range(600))}
    assert shown == {(i, i % 10, i) for i in range(12)}


def test_another_image_is_never_the_same_one() -> None:
    samples = unpack(images_zip(3))
    assert {samples.pick(after=1).index for _ in range(200)} == {0, 2}


def test_a_set_of_one_image_shows_it_again() -> None:
    assert unpack(images_zip(1)).pick(after=0).index == 0


@given(st.integers(-(10**6), 10**6))
def test_any_after_gives_an_image_of_the_set(after: int) -> None:
    assert 0 <= unpack(SMALL).pick(after).index < 2


def rezip(**members: bytes | None) -> bytes:
    """The small archive with members replaced, or left out (None)."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(SMALL)) as good,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in good.namelist():
            content = members.get(name.partition(".")[0], good.read(name))
            if content is not None:
                archive.writestr(name, content)
    return packed.getvalue()


LABELS = struct.pack(">II", 2049, 2) + bytes([0, 1])


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"", "no zip"),
        (SMALL[:-30], "no zip"),
        (rezip(labels=None), "no zip with images.idx, labels.idx"),
        (rezip(images=b""), "does not hold 2 images"),
        (rezip(images=struct.pack(">IIII", 2051, 2, 28, 28) + bytes(783)), "does not hold 2 images"),
        (rezip(images=struct.pack(">IIII", 2050, 2, 28, 28) + bytes(1568)), "does not hold 2 images"),
        (rezip(images=struct.pack(">IIII", 2051, 2, 14, 56) + bytes(1568)), "does not hold 2 images"),
        (rezip(labels=struct.pack(">II", 2051, 2) + bytes(2)), "labels.idx has a wrong header"),
        (rezip(labels=struct.pack(">II", 2049, 3) + bytes(2)), "labels.idx has a wrong header"),
        (rezip(labels=struct.pack(">II", 2049, 0)), "labels.idx has a wrong header"),
        (rezip(labels=LABELS[:-1] + b"\x0a"), "something else than digits"),
        (rezip(source=b"{"), "source.json is no JSON"),
        (rezip(source=b"[]"), "does not name a dataset"),
        (rezip(source=b"\xff"), "source.json is no JSON"),
    ],
)
def test_fault_72_a_wrong_archive_is_refused_in_one_sentence(packed: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        unpack(packed)


def test_fault_74_a_member_that_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images\.idx is larger than"):
        unpack(rezip(images=bytes(20_000_000)))


def test_fault_74_a_member_packed_in_a_way_that_may_want_gigabytes_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("images.idx", b"x")
    with pytest.raises(ValueError, match=r"images\.idx is packed in another way"):
        unpack(packed.getvalue())


@limits(max_examples=200)
@given(damaged(SMALL))
def test_fault_72_a_damaged_archive_gives_the_images_or_a_value_error(broken: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(unpack(broken), Samples)


@limits(max_examples=150)
@given(records({"dataset": "mnist", "stand_in": False}))
def test_whatever_the_source_says_it_names_a_dataset_or_is_refused(source: bytes) -> None:
    try:
        assert isinstance(unpack(rezip(source=source)).title, str)
    except ValueError as error:
        assert "source.json" in str(error)


def test_without_a_trained_model_the_gallery_says_train_first(tmp_path: Path) -> None:
    for versions in (None, Folder(tmp_path / "never-made"), Folder(tmp_path)):
        with pytest.raises(NotReady, match="no test images yet: train a model first"):
            Gallery(versions).samples()


def test_the_newest_version_is_shown_as_soon_as_it_is_there(tmp_path: Path) -> None:
    publish(tmp_path, 9, count=3)
    gallery = Gallery(Folder(tmp_path))
    assert len(gallery.samples()) == 3
    publish(tmp_path, 10, count=4)
    publish(tmp_path, "11.partial-77", count=5)
    assert len(gallery.samples()) == 4


def test_a_version_is_read_once(tmp_path: Path) -> None:
    publish(tmp_path, 9)
    gallery = Gallery(Folder(tmp_path))
    first = gallery.samples()
    (tmp_path / "9" / PATH).write_bytes(b"no longer a zip")
    assert gallery.samples() is first


def baked(folder: Path, count: int = 7) -> Path:
    """A zip as the image has it: MNIST's."""
    (folder / "baked.zip").write_bytes(images_zip(count))
    return folder / "baked.zip"


def test_the_images_own_file_is_shown_while_the_newest_version_learned_the_same_data(tmp_path: Path) -> None:
    publish(tmp_path, 9, count=3)
    assert len(Gallery(Folder(tmp_path), baked(tmp_path)).samples()) == 7


def test_the_images_own_file_is_shown_before_any_version_is_there(tmp_path: Path) -> None:
    for versions in (None, Folder(tmp_path / "never-made")):
        assert len(Gallery(versions, baked(tmp_path)).samples()) == 7


@pytest.mark.parametrize("card", [None, b"{", b"[]", b"{}", b'{"dataset": {"name": 7, "stand_in": true}}'])
def test_a_version_that_does_not_say_what_it_learned_is_shown_the_images_own_file(
    tmp_path: Path, card: bytes | None
) -> None:
    publish(tmp_path, 9, stand_in=True, count=3)
    (tmp_path / "9" / "model_card.json").unlink()
    if card is not None:
        (tmp_path / "9" / "model_card.json").write_bytes(card)
    assert len(Gallery(Folder(tmp_path), baked(tmp_path)).samples()) == 7


def test_a_stand_in_model_is_shown_its_own_images(tmp_path: Path) -> None:
    publish(tmp_path, 9, stand_in=True, count=3)
    samples = Gallery(Folder(tmp_path), baked(tmp_path)).samples()
    assert (len(samples), samples.dataset, samples.stand_in) == (3, "digits", True)


def test_the_version_that_answered_counts_more_than_the_newest(tmp_path: Path) -> None:
    publish(tmp_path, 5, stand_in=True, count=3)
    publish(tmp_path, 6, count=4)
    gallery = Gallery(Folder(tmp_path), baked(tmp_path))
    assert len(gallery.samples()) == 7
    gallery.answered(5)
    assert len(gallery.samples()) == 3
    gallery.answered(6)
    assert len(gallery.samples()) == 7


def test_without_a_file_the_version_that_answered_shows_its_own(tmp_path: Path) -> None:
    publish(tmp_path, 5, count=3)
    publish(tmp_path, 6, count=4)
    gallery = Gallery(Folder(tmp_path))
    gallery.answered(5)
    assert len(gallery.samples()) == 3


@pytest.mark.parametrize("version", [4, 0, -1, 2**63 - 1])
def test_an_answer_from_a_version_that_is_not_there_changes_nothing(tmp_path: Path, version: int) -> None:
    publish(tmp_path, 6, count=4)
    for gallery, count in ((Gallery(Folder(tmp_path)), 4), (Gallery(Folder(tmp_path), baked(tmp_path)), 7)):
        gallery.answered(version)
        assert len(gallery.samples()) == count


@pytest.mark.parametrize("content", [None, b"noise"], ids=["missing", "no zip"])
def test_a_stand_in_model_without_images_of_its_own_is_shown_those_that_are_there(
    tmp_path: Path, content: bytes | None
) -> None:
    publish(tmp_path, 9, stand_in=True)
    (tmp_path / "9" / PATH).unlink()
    if content is not None:
        (tmp_path / "9" / PATH).write_bytes(content)
    gallery = Gallery(Folder(tmp_path), baked(tmp_path))
    gallery.answered(9)
    assert len(gallery.samples()) == 7


class Counting(Folder):
    """A folder that counts how often it is read."""

    reads = 0

    def read(self, version: str, path: str, limit: int) -> bytes | None:
        self.reads += 1
        return super().read(version, path, limit)


def test_what_cannot_be_read_is_not_read_again_at_the_next_page(tmp_path: Path) -> None:
    publish(tmp_path, 9)
    (tmp_path / "9" / PATH).write_bytes(b"noise")
    versions = Counting(tmp_path)
    gallery = Gallery(versions)
    for _ in range(5):
        with pytest.raises(NotReady, match="cannot be read"):
            gallery.samples()
    assert versions.reads == 1


def test_two_versions_that_answer_in_turns_are_read_once_each(tmp_path: Path) -> None:
    for version in (5, 6):
        publish(tmp_path, version, stand_in=True)
    versions = Counting(tmp_path)
    gallery = Gallery(versions, baked(tmp_path))
    for version in (5, 6) * 5:
        gallery.answered(version)
        gallery.samples()
    assert versions.reads == 4  # a card and a zip for each


@pytest.mark.parametrize("content", [None, b"noise"], ids=["missing", "no zip"])
def test_a_baked_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "baked.zip").write_bytes(content)
    with pytest.raises(NotReady, match="cannot be read"):
        Gallery(None, tmp_path / "baked.zip").samples()


def test_a_baked_file_that_cannot_be_read_costs_nothing_where_a_version_has_images(tmp_path: Path) -> None:
    publish(tmp_path, 9, count=3)
    assert len(Gallery(Folder(tmp_path), tmp_path / "missing.zip").samples()) == 3
