"""Checkpoints: whole or not there, the newest sound one is used, and a loss is never hidden."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer import checkpoint, files
from trainer.checkpoint import Checkpoint
from trainer.errors import TrainerError, UsageError

SETTINGS = {"model_type": "linear", "seed": 1, "learning_rate": 0.1}


def saved(folder: Path, *steps: int, keep: int = 3) -> list[Path]:
    """Save a checkpoint at each of the steps; gives what is in the folder, oldest first."""
    for step in steps:
        arrays = [np.full((2, 3), step, np.float32), np.array(step, np.int32)]
        checkpoint.save(str(folder), Checkpoint(step, arrays, SETTINGS), keep)
    return sorted(folder.glob("checkpoint-*"))


def newest(folder: Path) -> Checkpoint:
    found = checkpoint.newest(str(folder))
    assert found
    return found


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    found = newest(tmp_path)
    assert (found.step, found.settings) == (5, SETTINGS)
    assert [array.tolist() for array in found.arrays] == [[[5.0] * 3] * 2, 5]


def test_a_fresh_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoint.newest(str(tmp_path / "new")) is None


def test_other_files_in_the_folder_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "tensorboard").mkdir()
    assert checkpoint.newest(str(tmp_path)) is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    assert [path.name[11:19] for path in saved(tmp_path, 1, 2, 4, 30, keep=2)] == ["00000004", "00000030"]


def test_the_same_state_gives_the_same_name(tmp_path: Path) -> None:
    assert saved(tmp_path / "one", 7)[0].name == saved(tmp_path / "two", 7)[0].name


def test_fault_32_a_truncated_checkpoint_falls_back_to_the_one_before_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = saved(tmp_path, 100, 200)[-1]
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    assert newest(tmp_path).step == 100
    assert f"Checkpoint {last.name} is damaged" in capsys.readouterr().out


def test_fault_32_a_damaged_checkpoint_does_not_crowd_out_a_sound_one(tmp_path: Path) -> None:
    first, second = saved(tmp_path, 100, 200)
    second.write_bytes(b"damaged")
    saved(tmp_path, 150, keep=1)
    assert newest(tmp_path).step == 150
    assert not first.exists()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_fault_32_no_flipped_bit_is_ever_used(tmp_path: Path, position: float, bit: int) -> None:
    last = saved(tmp_path, 100, 200)[-1]
    content = bytearray(last.read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    last.write_bytes(content)
    assert newest(tmp_path).step == 100


def test_fault_32_half_a_file_under_its_temporary_name_is_removed(tmp_path: Path) -> None:
    saved(tmp_path, 100)
    half = tmp_path / f"checkpoint-00000200-0123456789abcdef.npz.partial-{os.getpid()}"
    half.write_bytes(b"PK")
    assert newest(tmp_path).step == 100
    assert not half.exists()


def test_a_kill_within_the_first_checkpoint_starts_afresh(tmp_path: Path) -> None:
    (tmp_path / f"checkpoint-00000200-0123456789abcdef.npz.partial-{os.getpid()}").write_bytes(b"PK")
    assert checkpoint.newest(str(tmp_path)) is None


def test_fault_33_checkpoints_of_which_none_is_sound_are_refused(tmp_path: Path) -> None:
    for path in saved(tmp_path, 100, 200):
        path.write_bytes(b"")
    with pytest.raises(TrainerError, match=r"none that is sound; give a new version tag"):
        checkpoint.newest(str(tmp_path))


@pytest.mark.parametrize("name", ["checkpoint-200.npz", "model.ckpt-200.index", "checkpoint"])
def test_fault_33_files_that_were_checkpoints_are_not_ignored(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(TrainerError, match="none that is sound"):
        checkpoint.newest(str(tmp_path))


def test_fault_33_no_index_is_needed(tmp_path: Path) -> None:
    _, second = saved(tmp_path, 100, 200)
    second.unlink()
    assert newest(tmp_path).step == 100


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_fault_30_an_io_error_keeps_the_last_good_one_and_leaves_nothing_half_done(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved(tmp_path, 100)

    def fail(*args: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os if call == "fsync" else Path, call, fail)
    with pytest.raises(TrainerError, match=r"Could not write .*checkpoint-00000200.*: Input/output error\."):
        saved(tmp_path, 200)
    assert sorted(tmp_path.iterdir()) == before
    assert newest(tmp_path).step == 100


def test_fault_40_other_settings_are_named_with_both_values(tmp_path: Path) -> None:
    saved(tmp_path, 100)
    now = SETTINGS | {"learning_rate": 0.2}
    with pytest.raises(UsageError) as caught:
        checkpoint.refuse_other_settings(newest(tmp_path), now, "bucket/7")
    assert str(caught.value) == (
        "The checkpoints in bucket/7 come from other settings: learning_rate was 0.1 and is now 0.2. "
        "Give a new version tag (and its own folder) to train with these."
    )


def test_a_file_that_cannot_be_written_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()  # a file cannot take the place of a folder
    with pytest.raises(TrainerError, match="Could not write"):
        files.write(str(tmp_path / "name"), b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_a_partial_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / f"checkpoint-1.partial-{os.getppid()}"
    theirs.write_bytes(b"")
    files.remove_stale_partials(str(tmp_path), "checkpoint-.*")
    assert theirs.exists()


def test_remote_folders_hold_checkpoints_too(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "ram://checkpoints/1"  # TensorFlow's file system in memory, reached as gs:// is
    for step in (1, 2, 3):
        checkpoint.save(folder, Checkpoint(step, [np.array(step)], SETTINGS), keep=2)
    assert [name[11:19] for name in files.names_in(folder)] == ["00000002", "00000003"]
    found = checkpoint.newest(folder)
    assert found
    assert found.step == 3
