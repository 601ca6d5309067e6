"""The record of a version, read when it is not what was agreed: it is no version, in bounded time and memory."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from damage import HOSTILE, damaged, records
from pipeline import client, models, storage, versions
from pipeline.aliases import Aliases
from pipeline.config import load
from pipeline.errors import RunFailed
from pipeline.records import LIMIT, PACKED
from pipeline.settings import Settings

CARD: dict[str, Any] = {
    "tag": "100", "created": "2026-11-23T12:13:20Z", "model": "fast", "steps": 60, "resumed_from": 0, "parent": None,
    "dataset": {"name": "mnist", "stand_in": False, "test_examples": 10_000},
    "metrics": {"test_accuracy": 0.99, "test_loss": 0.02, "test_examples": 10_000},
    "durations": {"train_s": 6.0, "total_s": 9.5},
}  # fmt: skip


def sums(**contents: bytes) -> dict[str, Any]:
    files = {name.replace("__", "."): content for name, content in contents.items()}
    return {
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in files.items()
        }
    }


class Place:
    """A bucket with one version in it, whose records can be written anew."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = load("local", [f"storage.bucket={folder / 'bucket'}"]).settings
        self.run, self.version = folder / "bucket/100", folder / "bucket/export/100"
        for made in (self.run, self.version):
            made.mkdir(parents=True)
        (self.version / "saved_model.pb").write_bytes(b"graph")
        self.put_card(json.dumps(CARD).encode())

    def put_card(self, card: bytes) -> None:
        """Write a card, and checksums that agree with it."""
        (self.version / "model_card.json").write_bytes(card)
        listed = sums(saved_model__pb=b"graph", model_card__json=card)
        (self.version / "checksums.json").write_text(json.dumps(listed))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One for all examples of a property; each writes what it needs."""
    return Place(tmp_path_factory.mktemp("records"))


def test_a_record_as_the_trainer_writes_it_is_a_version(place: Place) -> None:
    (found,) = versions.listed(place.settings)
    assert (found.tag, found.card) == ("100", CARD)
    assert versions.damage(place.settings, "100") == ""


@limits(max_examples=150)
@given(card=records(CARD))
def test_whatever_a_card_holds_it_can_be_shown_or_it_is_damage(shared: Place, card: bytes) -> None:
    shared.put_card(card)
    found = versions.look(shared.settings, "100")
    if isinstance(found, versions.Version):
        assert all(isinstance(cell, str) for cell in models.row(found, Aliases(), {}))
        assert found.card["dataset"]["stand_in"] in (True, False)
    else:
        assert found == "model_card.json"


@limits(max_examples=150)
@given(text=records(sums(saved_model__pb=b"graph", model_card__json=json.dumps(CARD).encode())))
def test_whatever_checksums_hold_the_version_is_whole_or_a_file_is_named(shared: Place, text: bytes) -> None:
    shared.put_card(json.dumps(CARD).encode())
    (shared.version / "checksums.json").write_bytes(text)
    found = versions.look(shared.settings, "100")
    assert isinstance(found, versions.Version | str)
    assert found


@pytest.mark.parametrize(
    "name",
    [
        "../../../secret",
        "/dev/zero",
        "../../../../../../../../dev/zero",
        "",
        ".",
        "variables",
        "a" * 300,
        "a/b/" * 900,
        "\0",
    ],
)
def test_a_file_that_leads_elsewhere_or_is_none_is_damage(name: str, place: Place) -> None:
    listed = json.loads((place.version / "checksums.json").read_text())
    listed["files"][name] = {"sha256": "0" * 64, "size": 0}
    (place.version / "variables").mkdir()
    (place.version / "checksums.json").write_text(json.dumps(listed))
    assert versions.damage(place.settings, "100") in ("checksums.json", name)
    assert versions.listed(place.settings) == []


@limits(max_examples=100)
@given(text=records({"tag": "100", "started": "2026", "inputs": {"trainer code": "abc", "training.steps": "60"}}))
def test_whatever_a_runs_record_holds_it_is_read_or_not_there(shared: Place, text: bytes) -> None:
    (shared.run / "run.json").write_bytes(text)
    found = versions.recorded(shared.settings, "100")
    assert found is None or all(isinstance(word, str) for pair in found.items() for word in pair)
    assert isinstance(versions.changes(found or {}, {"trainer code": "other"}), str)


@pytest.mark.parametrize("name", ["²", "١٢", "007", "1e3", "9" * 200, "-3"])
def test_a_folder_with_a_number_that_is_none_is_no_version(name: str, place: Place) -> None:
    for folder in (place.run.parent / name, place.version.parent / name):
        folder.mkdir()
    assert versions.tags(place.settings) == ["100"]
    assert [one.tag for one in versions.listed(place.settings)] == ["100"]


def within(megabytes: float, seconds: float, work: Callable[[], object]) -> object:
    """Do some work; fails where it takes more memory or time."""
    tracemalloc.start()
    began = time.process_time()
    try:
        done = work()
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
        assert time.process_time() - began < seconds
    finally:
        tracemalloc.stop()
    return done


@pytest.mark.parametrize("record", ["checksums.json", "model_card.json", "run.json"])
def test_a_record_that_is_too_large_is_not_read_to_its_end(record: str, place: Place) -> None:
    path = (place.run if record == "run.json" else place.version) / record
    with path.open("wb") as file:
        file.truncate(2_000_000_000)
    if record == "run.json":
        assert within(8, 1, lambda: versions.recorded(place.settings, "100")) is None
    else:
        assert within(8, 5, lambda: versions.damage(place.settings, "100")) == record


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_record_costs_neither_memory_nor_time(text: bytes, place: Place) -> None:
    (place.version / "checksums.json").write_bytes(text)
    assert within(30, 1, lambda: versions.damage(place.settings, "100")) == "checksums.json"


def packed(pixels: bytes, labels: bytes, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as archive:
        archive.writestr("images.idx", pixels)
        archive.writestr("labels.idx", labels)
    return made.getvalue()


PIXELS = struct.pack(">IIII", 2051, 3, 28, 28) + bytes(range(256)) * 9 + bytes(48)
LABELS = struct.pack(">II", 2049, 3) + bytes((7, 2, 1))
SOUND = packed(PIXELS, LABELS)


def test_test_images_are_read_with_their_digits() -> None:
    assert [(len(pixels), digit) for pixels, digit in client.images(SOUND, 2)] == [(784, 7), (784, 2)]


@limits(max_examples=200)
@given(archive=damaged(SOUND), count=st.integers(1, 500))
def test_damaged_test_images_are_read_or_refused_in_one_sentence(archive: bytes, count: int) -> None:
    try:
        found = client.images(archive, count)
    except RunFailed as error:
        assert str(error.message).startswith("the version's test images cannot be read: ")
        assert "\n" not in str(error.message)
    else:
        assert [len(pixels) for pixels, _ in found] == [784] * min(count, 3)


WRONG = {
    "empty": b"",
    "wrong magic": packed(b"\0\0\x08\x01" + PIXELS[4:], LABELS),
    "wrong magic of labels": packed(PIXELS, b"\0\0\x08\x03" + LABELS[4:]),
    "wrong count": packed(PIXELS[:4] + struct.pack(">I", 4) + PIXELS[8:], LABELS),
    "more labels than there are": packed(PIXELS, struct.pack(">II", 2049, 4) + LABELS[8:]),
    "huge count": packed(PIXELS, struct.pack(">II", 2049, 2**32 - 1) + LABELS[8:]),
    "no labels": packed(PIXELS, struct.pack(">II", 2049, 0)),
    "other size of image": packed(struct.pack(">IIII", 2051, 3, 14, 56) + PIXELS[16:], LABELS),
    "missing bytes": packed(PIXELS[:-1], LABELS),
    "extra bytes": packed(PIXELS + b"x", LABELS),
    "extra labels": packed(PIXELS, LABELS + b"\1"),
    "another way of packing": packed(PIXELS, LABELS, zipfile.ZIP_LZMA),
    "a bomb": packed(PIXELS[:16] + bytes(300_000_000), LABELS),
    "a bomb of labels": packed(PIXELS, LABELS + bytes(300_000_000)),
}


@pytest.mark.parametrize("kind", WRONG)
def test_fault_74_wrong_test_images_are_refused_in_bounded_memory_and_time(kind: str) -> None:
    def refused() -> str:
        with pytest.raises(RunFailed) as caught:
            client.images(WRONG[kind], 500)
        return str(caught.value.message)

    said = within(60, 2, refused)
    assert str(said).startswith("the version's test images cannot be read: ")
    assert "\n" not in str(said)


def test_no_more_of_the_test_images_is_read_than_they_may_be(place: Place) -> None:
    with (place.version / "images.zip").open("wb") as file:
        file.truncate(2_000_000_000)
    read = storage.of(place.settings).read_bytes("export/100/images.zip", PACKED)
    assert (len(read or b""), LIMIT < PACKED) == (PACKED, True)
