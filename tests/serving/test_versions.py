"""Which folders are versions, and which of them are whole."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from damage import HOSTILE, VALUES, damaged
from serving.versions import fingerprint, list_versions, why_not_whole


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "7")


def test_only_folders_named_by_a_plain_number_are_versions(tmp_path: Path) -> None:
    for name in ("2", "10", "0", "007", "1.partial-4", "-3", "1e3", "²", "9223372036854775808", "v1"):
        (tmp_path / name).mkdir()
    (tmp_path / "11").write_text("a file")
    assert list(list_versions(tmp_path)) == [10, 2, 0]


def test_what_the_trainer_publishes_is_whole(folder: Path) -> None:
    assert why_not_whole(folder) is None


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def rewrite(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text)


def cut(folder: Path) -> None:
    with (folder / "variables/variables.data-00000-of-00001").open("r+b") as file:
        file.truncate(100)


def leave_out(folder: Path) -> None:
    manifest = json.loads((folder / "checksums.json").read_text())
    del manifest["files"]["variables/variables.index"]
    (folder / "checksums.json").write_text(json.dumps(manifest))


FORM = 'checksums.json is of no use: not of the form {"files": {"<path>": {"sha256": "…", "size": 123}}}'
BROKEN = {
    "no graph": (remove("saved_model.pb"), "saved_model.pb is not there"),
    "no checksums": (remove("checksums.json"), "checksums.json is not there"),
    "no variables": (remove("variables/variables.index"), "variables/variables.index is not there"),
    "cut variables": (
        cut,
        "variables/variables.data-00000-of-00001 has 100 bytes",
    ),
    "not listed": (leave_out, "variables/variables.index is not in checksums.json"),
    "one file more": (rewrite("variables/more", ""), "variables/more is not in checksums.json"),
    "a list": (rewrite("checksums.json", "[]"), FORM),
    "sizes only": (rewrite("checksums.json", '{"files": {"saved_model.pb": 3}}'), FORM),
    "outside": (
        rewrite("checksums.json", '{"files": {"../7/saved_model.pb": {"sha256": "", "size": 1}}}'),
        "checksums.json is of no use: ../7/saved_model.pb lies outside the version's folder",
    ),
    "huge": (
        rewrite("checksums.json", " " * (1 << 20) + "{}"),
        "checksums.json is of no use: larger than 1048576 bytes",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_fault_34_a_version_that_is_not_whole_says_why(folder: Path, case: str) -> None:
    damage, reason = BROKEN[case]
    damage(folder)
    assert why_not_whole(folder).startswith(reason)


def test_half_a_manifest_is_of_no_use(folder: Path) -> None:
    text = (folder / "checksums.json").read_text()
    (folder / "checksums.json").write_text(text[: len(text) // 2])
    assert why_not_whole(folder).startswith("checksums.json is of no use: ")


def test_fault_58_no_flipped_bit_goes_unseen(folder: Path) -> None:
    chance = random.Random(1)
    names = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
    for _ in range(60):
        path = folder / chance.choice(names)
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        assert why_not_whole(folder) is not None
        path.write_bytes(whole)
    assert why_not_whole(folder) is None


def test_a_fingerprint_changes_with_every_touch(folder: Path) -> None:
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    (folder / "saved_model.pb").write_bytes((folder / "saved_model.pb").read_bytes())
    assert fingerprint(folder) != before


SUMS = json.dumps({"files": {"saved_model.pb": {"sha256": "0" * 64, "size": 5}}}).encode()


@limits(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=damaged(SUMS) | st.sampled_from(HOSTILE) | VALUES.map(lambda value: json.dumps(value).encode()))
@example(text=b'{"files": {"saved_model.pb": {"sha256": "0", "size": Infinity}}}')
@example(text=b'{"files": {"saved_model.pb": {"sha256": "0", "size": NaN}}}')
@example(text=b'{"files": {"saved_model\\u0000.pb": {"sha256": "0", "size": 1}}}')
def test_whatever_the_checksums_hold_half_a_sentence_says_why_a_version_is_not_whole(
    tmp_path: Path, text: bytes
) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "checksums.json").write_bytes(text)
    why = why_not_whole(tmp_path)
    assert why
    assert len(why.splitlines()) == 1
    assert len(why) < 1000
