"""A run's checkpoints, damaged in every way and in every file: the newest sound one is used, and that is said."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.errors import TrainerError

STEPS = (100, 200, 300)


def save(folder: Path, step: int, keep: int = 3) -> Path:
    """Save the state that a training has at a step, as it always comes out."""
    state = Checkpoint(step, [np.full((20, 30), step, np.float32), np.array(step)], {"seed": 1})
    return Path(checkpoint.save(str(folder), state, keep))


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "more").write_text("x")


def put_link(to: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        path.symlink_to(to)

    return damage


def put_under_its_own_digest(content: bytes) -> Callable[[Path], None]:
    """Other content whose checksum is right: it was never damaged, it is no checkpoint of this trainer."""

    def damage(path: Path) -> None:
        path.unlink()
        digest = hashlib.sha256(content).hexdigest()[:16]
        path.with_name(f"{path.name[:20]}{digest}.npz").write_bytes(content)

    return damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x10
    path.write_bytes(content)


def claim_another_step(path: Path) -> None:
    """The very content of an earlier step, which its digest confirms, under the name of this step."""
    earlier = save(path.parent / "earlier", 50)
    path.unlink()
    earlier.rename(path.with_name(f"{path.name[:20]}{earlier.name[20:]}"))
    earlier.parent.rmdir()


def npz(**arrays: np.ndarray) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    return packed.getvalue()


KINDS: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:700]),
    "a byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "a flipped bit": flip,
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a folder": put_folder,
    "a link to nothing": put_link("nowhere"),
    "a link to itself": lambda path: put_link(path.name)(path),
    "an I/O error": put_link("/proc/self/mem"),
    "another step's": claim_another_step,
    "text": put_under_its_own_digest(b"weights"),
    "an archive of others": put_under_its_own_digest(npz(weights=np.zeros(3))),
    "settings that are none": put_under_its_own_digest(npz(arr_0=np.zeros(3), about=np.array('{"step": 9}'))),
    "a wrong name": lambda path: path.rename(path.with_name(f"{path.name}.bak")),
    "no digest in its name": lambda path: path.rename(path.with_name(f"{path.name[:19]}.npz")),
    "the name of TensorFlow's": lambda path: path.rename(path.with_name(f"model.ckpt-{path.name[11:19]}.index")),
}
SETS = [one for size in (1, 2, 3) for one in itertools.combinations(STEPS, size)]


@pytest.mark.parametrize("damaged", SETS, ids=lambda steps: "+".join(map(str, steps)))
@pytest.mark.parametrize("kind", KINDS)
def test_fault_32_whatever_is_damaged_the_newest_sound_checkpoint_is_used_and_that_is_said(
    kind: str, damaged: tuple[int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {step: save(tmp_path, step) for step in STEPS}
    for step in damaged:
        KINDS[kind](paths[step])
    if len(damaged) == len(STEPS):
        with pytest.raises(TrainerError, match=r"holds checkpoints .* but none that is sound; give a new version tag"):
            checkpoint.newest(str(tmp_path))
        return
    found = checkpoint.newest(str(tmp_path))
    assert found
    assert (found.step, found.arrays[0][0, 0]) == (max(set(STEPS) - set(damaged)),) * 2
    said = capsys.readouterr().out
    assert all(f"{step:08d}" in said for step in damaged if step > found.step), said
    for step in range(found.step + 100, 400, 100):  # the training goes on as it did
        save(tmp_path, step)
    assert checkpoint.newest(str(tmp_path)).step == 300  # type: ignore[union-attr]
    assert capsys.readouterr().out.count("damaged") == 0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into, which nothing below pytest's own is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_fault_32_a_checkpoint_that_may_not_be_read_is_passed_over(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in STEPS:
        path = save(open_folder, step)
        path.chmod(0o644)
    path.chmod(stat.S_IWUSR)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)  # root may read everything
    try:
        found = checkpoint.newest(str(open_folder))
    finally:
        if is_root:
            os.seteuid(0)
    assert found
    assert found.step == 200
    assert f"{path.name} is damaged (it cannot be read: Permission denied); going back" in capsys.readouterr().out


def test_fault_33_a_removed_checkpoint_leaves_the_one_before(tmp_path: Path) -> None:
    for path in [save(tmp_path, step) for step in STEPS][1:]:
        path.unlink()
    assert checkpoint.newest(str(tmp_path)).step == 100  # type: ignore[union-attr]


def test_fault_33_a_training_without_any_of_its_checkpoints_says_that_it_starts_at_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tensorboard").mkdir()
    assert checkpoint.newest(str(tmp_path)) is None
    assert "has curves of an earlier training but no checkpoint of it: starting at step 0" in capsys.readouterr().out


def test_a_fresh_folder_is_begun_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checkpoint.newest(str(tmp_path / "new")) is None
    assert capsys.readouterr().out == ""
