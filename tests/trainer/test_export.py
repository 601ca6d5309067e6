"""Publishing: whole or not at all, never over another version, versions that only go up."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import export, files
from trainer.errors import TrainerError

from .conftest import ROOT

NOW = 1_700_000_000


def fill(folder: Path, tag: int, parent: int | None) -> None:
    """Write what looks like a SavedModel."""
    (folder / "variables").mkdir(exist_ok=True)
    (folder / "variables" / "variables.data").write_bytes(b"weights" * 1000)
    (folder / "saved_model.pb").write_bytes(f"graph {tag} after {parent}".encode())


def names(base: Path) -> list[str]:
    return sorted(path.name for path in base.iterdir())


def test_a_version_lists_every_file_with_its_checksum(tmp_path: Path) -> None:
    target = Path(export.publish(str(tmp_path), 5, fill))
    assert target == tmp_path / "5"
    graph = (target / "saved_model.pb").read_bytes()
    listed = json.loads((target / "checksums.json").read_text())["files"]
    assert set(listed) == {"saved_model.pb", "variables/variables.data"}
    assert listed["saved_model.pb"] == {"sha256": hashlib.sha256(graph).hexdigest(), "size": len(graph)}
    assert export.is_published(str(tmp_path), 5)


def test_fault_34_a_version_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def watching(folder: Path, tag: int, parent: int | None) -> None:
        fill(folder, tag, parent)
        seen.append(names(tmp_path))

    export.publish(str(tmp_path), 5, watching)
    assert seen == [[f"5.partial-{os.getpid()}"]]
    assert names(tmp_path) == ["5"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_fault_34_a_version_that_fails_half_way_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def failing(folder: Path, tag: int, parent: int | None) -> None:
        fill(folder, tag, parent)
        raise error

    with pytest.raises((TrainerError, KeyboardInterrupt)):
        export.publish(str(tmp_path), 5, failing)
    assert names(tmp_path) == []


def test_fault_34_on_gs_the_graph_is_published_last(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = files.write
    monkeypatch.setattr(files, "write", lambda path, content: (written.append(path), write(path, content)))
    export.publish("ram://last/export", 5, fill)
    assert [path.rpartition("/")[2] for path in written] == [
        "variables.data",
        "checksums.json",
        "saved_model.pb",
    ]
    assert export.is_published("ram://last/export", 5)


def test_fault_34_an_upload_that_broke_off_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    base, write = "ram://broken/export", files.write

    def cut_off(path: str, content: bytes) -> None:
        if path.endswith("saved_model.pb"):
            raise TrainerError("Could not write: the connection is gone.")
        write(path, content)

    monkeypatch.setattr(files, "write", cut_off)
    with pytest.raises(TrainerError):
        export.publish(base, 5, fill)
    assert not export.is_published(base, 5)
    monkeypatch.undo()
    export.publish(base, 5, fill)
    assert export.is_published(base, 5)


@pytest.mark.parametrize("base", ["local", "ram://twice/export"])
def test_a_version_is_never_written_twice(base: str, tmp_path: Path) -> None:
    base = base if files.is_remote(base) else str(tmp_path)
    export.publish(base, 5, fill)
    before = files.read(files.join(base, "5", "saved_model.pb"))
    with pytest.raises(export.TakenError, match="is never overwritten"):
        export.publish(base, 5, lambda folder, tag, parent: fill(folder, 99, parent))
    assert files.read(files.join(base, "5", "saved_model.pb")) == before


def test_a_damaged_version_is_refused_and_kept(tmp_path: Path) -> None:
    export.publish(str(tmp_path), 5, fill)
    (tmp_path / "5" / "saved_model.pb").write_bytes(b"other")
    with pytest.raises(TrainerError, match=r"exists but does not match its checksums.json"):
        export.is_published(str(tmp_path), 5)
    assert (tmp_path / "5" / "saved_model.pb").read_bytes() == b"other"


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_fault_30_an_io_error_publishes_nothing(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os if call == "fsync" else Path, call, fail)
    with pytest.raises(TrainerError, match=r"Could not (write|publish) .*: Input/output error\."):
        export.publish(str(tmp_path), 5, fill)
    assert names(tmp_path) == []


def test_what_a_namesake_left_half_written_is_removed(tmp_path: Path) -> None:
    """In a container every trainer is process 1."""
    half = tmp_path / f"5.partial-{os.getpid()}"
    half.mkdir()
    (half / "rubbish").write_bytes(b"x")
    target = export.publish(str(tmp_path), 5, fill)
    assert names(tmp_path) == ["5"]
    assert not Path(target, "rubbish").exists()


def test_what_another_version_is_writing_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / f"55.partial-{os.getpid()}"
    theirs.mkdir()
    export.publish(str(tmp_path), 5, fill)
    assert names(tmp_path) == ["5", theirs.name]


def test_the_parent_is_the_newest_version_there_is(tmp_path: Path) -> None:
    for tag in (5, 9, 7):
        export.publish(str(tmp_path), tag, fill)
    graphs = [(tmp_path / str(tag) / "saved_model.pb").read_text() for tag in (5, 9, 7)]
    assert graphs == ["graph 5 after None", "graph 9 after 5", "graph 7 after 9"]


@given(st.sets(st.integers(1, NOW + 80_000), max_size=5), st.integers(1, NOW))
def test_fault_35_a_new_version_is_above_all_others_whatever_the_clock_says(
    tmp_path_factory: pytest.TempPathFactory, tags: set[int], now: int
) -> None:
    base = tmp_path_factory.mktemp("export")
    for tag in tags:
        (base / str(tag)).mkdir()
    if max(tags, default=0) > now + export.DAY:
        with pytest.raises(TrainerError):
            export.next_tag(str(base), now)
    else:
        assert export.next_tag(str(base), now) == max({now} | {tag + 1 for tag in tags})


def test_fault_35_a_version_from_the_far_future_is_named(tmp_path: Path) -> None:
    (tmp_path / str(NOW + 10 * export.DAY)).mkdir()
    with pytest.raises(TrainerError, match=r"has version 1700864000, 10 days ahead of this machine's clock"):
        export.next_tag(str(tmp_path), NOW)


def test_fault_36_two_exports_in_one_second_get_two_versions(tmp_path: Path) -> None:
    code = f"""
from trainer import export
def fill(folder, tag, parent):
    (folder / "saved_model.pb").write_bytes(b"x")
export.publish_next({str(tmp_path)!r}, {NOW}, fill)
"""
    clock = int(time.time())
    trainers = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(3)]
    assert [one.wait(timeout=60) for one in trainers] == [0, 0, 0]
    versions = export.versions(str(tmp_path))
    assert len(versions) == 3
    assert versions[0] == NOW
    assert all(NOW < version <= max(NOW + 3, clock + 60) for version in versions[1:])
    assert all(export.is_published(str(tmp_path), version) for version in versions)


def test_only_numbers_are_versions(tmp_path: Path) -> None:
    for name in ("7", "12", "007", "latest", "13.partial-1", "-3", "١٢"):
        (tmp_path / name).mkdir()
    assert export.versions(str(tmp_path)) == [7, 12]
    assert export.versions(str(tmp_path), half_written=True) == [7, 12, 13]
