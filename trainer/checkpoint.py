"""Checkpoints: one file each that holds weights, optimizer, step and settings, and carries its own SHA-256.

A file is called `checkpoint-<step>-<first 16 hex digits of its SHA-256>.npz`: there is no index that could
be lost, and `sha256sum` alone tells whether one is sound. The position in the data follows from the step.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer import files
from trainer.errors import TrainerError, UsageError
from trainer.log import say

NAME = re.compile(r"checkpoint-([0-9]{8,})-([0-9a-f]{16})\.npz")
TRACE = re.compile(r"checkpoint|model\.ckpt")
"""How the name begins of what is, or once was, a checkpoint."""


class DamageError(Exception):
    """Why a checkpoint cannot be used, as part of a sentence."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` steps; `settings` are those that shape what is trained."""

    step: int
    arrays: list[np.ndarray]
    settings: dict[str, Any]


def save(folder: str, checkpoint: Checkpoint, keep: int) -> str:
    """Write a checkpoint whole or not at all, then drop all but the last `keep`; gives its path.

    Others of its step or ahead of it go too: only damaged ones, which `newest` passed over, can be there.
    """
    buffer = io.BytesIO()
    about = json.dumps({"step": checkpoint.step, "settings": checkpoint.settings})
    np.savez(buffer, *checkpoint.arrays, about=np.array(about))
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()[:16]
    path = files.join(folder, f"checkpoint-{checkpoint.step:08d}-{digest}.npz")
    if not files.is_remote(path) and Path(path).is_dir():
        files.remove(path)  # damage that `newest` passed over: a file cannot take a folder's place
    files.write(path, content)
    found = _found(files.names_in(folder))
    kept = [path, *(files.join(folder, name) for step, name in found if step < checkpoint.step)][:keep]
    for other in (files.join(folder, name) for _, name in found):
        if other not in kept:
            files.remove(other)
    return path


def newest(folder: str, tidy: bool = True) -> Checkpoint | None:
    """Give the newest sound checkpoint, saying so for each it passes over; None in a fresh folder.

    Without `tidy` nothing in the folder is touched: it is for those who only read, beside one who writes.

    Raises TrainerError where there are checkpoints but no sound one: starting at step 0 would hide a loss.
    """
    if tidy:
        files.remove_stale_partials(folder, "checkpoint-.*")
    names = [name for name in files.names_in(folder) if ".partial-" not in name]
    traces = [name for name in names if TRACE.match(name)]
    for name in traces:
        if not NAME.fullmatch(name):
            say(f"{name} in {folder} does not have a checkpoint's name; it is passed over.")
    for step, name in _found(traces):
        try:
            return _read(folder, name, step)
        except DamageError as damage:
            say(f"Checkpoint {name} is damaged ({damage}); going back to the one before.")
    if traces:
        raise TrainerError(
            f"{folder} holds checkpoints ({traces[0]}, …) but none that is sound; "
            "give a new version tag to train from the start, or put a sound checkpoint back."
        )
    if "tensorboard" in names:
        say(f"{folder} has curves of an earlier training but no checkpoint of it: starting at step 0.")
    return None


def refuse_other_settings(checkpoint: Checkpoint, settings: dict[str, Any], folder: str) -> None:
    """Raise UsageError naming each setting that differs from the one the checkpoint was trained with."""
    before, now = checkpoint.settings, settings
    differing = [
        f"{key} was {before.get(key)!r} and is now {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if differing:
        raise UsageError(
            f"The checkpoints in {folder} come from other settings: {'; '.join(differing)}. "
            "Give a new version tag (and its own folder) to train with these."
        )


def _read(folder: str, name: str, step: int) -> Checkpoint:
    """Read one checkpoint; raises DamageError, but TrainerError where it is the way to gs:// that fails."""
    try:
        content = files.read(files.join(folder, name))
    except files.MissingError:
        raise DamageError("it is gone") from None
    except TrainerError as error:
        if files.is_remote(folder):
            raise
        raise DamageError(f"it cannot be read: {getattr(error.__cause__, 'strerror', error)}") from None
    if hashlib.sha256(content).hexdigest()[:16] != name[-20:-4]:
        raise DamageError("its checksum is wrong")
    found = _parse(content)
    if found.step != step:
        raise DamageError(f"it is that of step {found.step} under another name")
    return found


def _parse(content: bytes) -> Checkpoint:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = [archive[f"arr_{number}"] for number in range(len(archive.files) - 1)]
            about = json.loads(str(archive["about"]))
        return Checkpoint(int(about["step"]), arrays, dict(about["settings"]))
    except (ValueError, TypeError, KeyError, AttributeError, EOFError, zipfile.BadZipFile):
        raise DamageError("it is none of this trainer's") from None


def _found(names: list[str]) -> list[tuple[int, str]]:
    """List (step, name) of the checkpoints among the names, newest first."""
    matches = filter(None, map(NAME.fullmatch, names))
    return sorted(((int(match[1]), match[0]) for match in matches), reverse=True)
