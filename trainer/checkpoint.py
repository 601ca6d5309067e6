"""Checkpoints: one file each that holds weights, optimizer, step and settings, and carries its own SHA-256.

A file is called `checkpoint-<step>-<first 16 hex digits of its SHA-256>.npz`: there is no index that could
be lost, and `sha256sum` alone tells whether one is sound. The position in the data follows from the step.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer import files
from trainer.errors import TrainerError, UsageError
from trainer.log import say

NAME = re.compile(r"checkpoint-([0-9]{8,})-([0-9a-f]{16})\.npz")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` steps; `settings` are those that shape what is trained."""

    step: int
    arrays: list[np.ndarray]
    settings: dict[str, Any]


def save(folder: str, checkpoint: Checkpoint, keep: int) -> str:
    """Write a checkpoint whole or not at all, then drop all but the last `keep`; gives its path.

    What is ahead of it goes too: only damaged ones, which `newest` passed over, can be there.
    """
    buffer = io.BytesIO()
    np.savez(buffer, *checkpoint.arrays, settings=np.array(json.dumps(checkpoint.settings)))
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()[:16]
    path = files.join(folder, f"checkpoint-{checkpoint.step:08d}-{digest}.npz")
    files.write(path, content)
    found = _found(folder)
    kept = [name for step, name in found if step <= checkpoint.step][:keep]
    for _, name in found:
        if name not in kept:
            files.remove(files.join(folder, name))
    return path


def newest(folder: str) -> Checkpoint | None:
    """Give the newest sound checkpoint, saying so for each it passes over; None in a fresh folder.

    Raises TrainerError where there are checkpoints but no sound one: starting at step 0 would hide a loss.
    """
    files.remove_stale_partials(folder, "checkpoint-.*")
    found = _found(folder)
    for step, name in found:
        content = files.read(files.join(folder, name))
        if hashlib.sha256(content).hexdigest()[:16] == name[-20:-4]:
            return _parse(content, step)
        say(f"Checkpoint {name} is damaged (its checksum is wrong); going back to the one before.")
    others = [
        name for name in files.names_in(folder) if re.match(r"checkpoint|model\.ckpt", name) and ".partial-" not in name
    ]
    if others:
        raise TrainerError(
            f"{folder} holds checkpoints ({others[0]}, …) but none that is sound; "
            "give a new version tag to train from the start, or put a sound checkpoint back."
        )
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


def _parse(content: bytes, step: int) -> Checkpoint:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = [archive[f"arr_{number}"] for number in range(len(archive.files) - 1)]
        return Checkpoint(step, arrays, json.loads(str(archive["settings"])))


def _found(folder: str) -> list[tuple[int, str]]:
    """List (step, name) of the checkpoints in a folder, newest first."""
    matches = filter(None, map(NAME.fullmatch, files.names_in(folder)))
    return sorted(((int(match[1]), match[0]) for match in matches), reverse=True)
