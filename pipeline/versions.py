"""The versions in a bucket: which are there, what each was made from, and what the next training would be."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline import images, records, storage
from pipeline.errors import PipelineError
from pipeline.settings import Settings

SHAPING = (
    "model",
    "steps",
    "batch_size",
    "learning_rate",
    "optimizer",
    "schedule",
    "augment_pixels",
    "precision",
    "seed",
    "global_batch",
)
"""The training settings that shape the weights; the others only say how often to save and how much to use."""

LAYOUT = ("workers", "parameter_servers")
"""Who trains: another layout makes another version, but may go on with a run that was begun in this one."""

FAR_FUTURE = 24 * 3600
"""Seconds by which a version may be ahead of this machine's clock before one of the two must be wrong."""


@dataclass(frozen=True)
class Version:
    """An exported version: its tag, its model card, and the bytes that it takes."""

    tag: str
    card: dict[str, Any]
    size: int


@dataclass(frozen=True)
class Run:
    """What `train` would do: make a new version, go on with an unfinished one, or nothing; and why."""

    tag: str
    state: Literal["new", "resume", "done"]
    why: str


UNKNOWN = Run("<tag>", "new", "what is in the bucket is not known yet")


def listed(settings: Settings) -> list[Version]:
    """Every whole version in the bucket, the newest first; what is damaged is no version, and no server takes it."""
    exported = storage.of(settings).folders("export")
    looks = [look(settings, tag) for tag in exported if is_tag(tag)]
    found = [one for one in looks if isinstance(one, Version)]
    return sorted(found, key=lambda version: int(version.tag), reverse=True)


def damage(settings: Settings, tag: str) -> str:
    """Which file of an exported version is damaged; empty for a whole one."""
    found = look(settings, tag)
    return "" if isinstance(found, Version) else found


def look(settings: Settings, tag: str) -> Version | str:
    """An exported version, or which of its files is not as `checksums.json` has it, or is no record at all."""
    bucket, folder = storage.of(settings), f"export/{tag}"
    try:
        files = records.checksums(bucket.read_bytes(f"{folder}/checksums.json", records.LIMIT + 1))
    except (ValueError, OSError):
        return "checksums.json"
    if not {"saved_model.pb", "model_card.json"} <= files.keys():
        return "checksums.json"
    broken = bucket.damaged(folder, files)
    if broken:
        return broken
    try:
        card = records.card(bucket.read_bytes(f"{folder}/model_card.json", records.LIMIT + 1))
    except (ValueError, OSError):
        return "model_card.json"
    return Version(tag, card, sum(bucket.sizes(folder).values()))


def is_tag(name: str) -> bool:
    """Whether a folder's name is a version's: a whole number, as the servers read it."""
    return re.fullmatch(records.TAG, name) is not None


def newest(settings: Settings) -> Version | None:
    return next(iter(listed(settings)), None)


def inputs(settings: Settings) -> dict[str, str]:
    """All that a version follows from, by name: equal inputs make an equal version."""
    shaping = {f"training.{name}": str(getattr(settings.training, name)) for name in (*SHAPING, *LAYOUT)}
    given = {"trainer code": images.tag(settings, "train"), "data.dataset": settings.data.dataset, **shaping}
    place = os.environ.get("MNIST_DIR")
    if place and settings.cluster.kind == "local" and settings.data.dataset != "digits":
        given["MNIST_DIR"] = data_hash(Path(place))
    return given


def data_hash(place: Path) -> str:
    """Twelve digits of a hash over the MNIST files in a folder, or over an archive of them."""
    files = [place] if place.is_file() else sorted(place.glob("*-ubyte*"))
    if not files:
        raise PipelineError(f"MNIST_DIR={place} has no MNIST files: name a folder that holds the four, or leave it out")
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def changes(before: dict[str, str], after: dict[str, str], unnamed: bool = True) -> str:
    """Which inputs differ, each with both values, in one line.

    With `unnamed`, an MNIST_DIR that is no longer named is no change: a finished version has had its data.
    """
    before = {name: value for name, value in before.items() if name != "MNIST_DIR" or name in after or not unnamed}
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return ", ".join(f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}" for name in names)


def without_layout(made_from: dict[str, str]) -> dict[str, str]:
    """The inputs that an unfinished run must keep; its checkpoints are the same whoever trains."""
    return {name: value for name, value in made_from.items() if name.removeprefix("training.") not in LAYOUT}


def recorded(settings: Settings, tag: str) -> dict[str, str] | None:
    """The inputs that a run was started from; None where no record of it can be read."""
    try:
        return records.inputs(storage.of(settings).read_bytes(f"{tag}/run.json", records.LIMIT + 1))
    except (ValueError, OSError):
        return None


def record(settings: Settings, run: Run) -> None:
    """Write down what a run starts from, or goes on with, beside its checkpoints; makes a folder without `deploy`."""
    if run.state == "done":
        return
    made_from = inputs(settings)
    if recorded(settings, run.tag) == made_from:
        return
    if settings.storage.kind == "folder":  # a bucket made here would be one that no workload may enter
        storage.of(settings).create()
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    by = {"tuned_by": settings.training.tuned_by} if settings.training.tuned_by else {}
    text = json.dumps({"tag": run.tag, "started": started, "inputs": made_from, **by}, indent=1)
    storage.of(settings).write(f"{run.tag}/run.json", text)


def choose(settings: Settings, tag: str | None = None, force: bool = False, now: float | None = None) -> Run:
    """What the next training is; raises PipelineError for a tag that cannot be used."""
    wanted, whole = inputs(settings), [version.tag for version in listed(settings)]
    if tag is not None:
        return named(settings, tag, wanted, whole)
    if whole and not force:
        difference = changes(recorded(settings, whole[0]) or {}, wanted)
        if not difference:
            return Run(whole[0], "done", f"version {whole[0]} was made from the same code, settings and data")
    begun = None if force else unfinished(settings, wanted, int(whole[0]) if whole else 0)
    if begun:
        return Run(begun, "resume", f"run {begun} was begun from the same inputs and not finished")
    why = "there is no version yet"
    if whole:
        why = changes(recorded(settings, whole[0]) or {}, wanted) or "--force was given"
    return Run(next_tag(settings, time.time() if now is None else now), "new", why)


def unfinished(settings: Settings, wanted: dict[str, str], after: int) -> str | None:
    """The newest run after a tag that was begun from these inputs and never exported, not even to be damaged since."""
    exported = storage.of(settings).folders("export")
    for tag in reversed(tags(settings)):
        before = recorded(settings, tag)
        same = before is not None and without_layout(before) == without_layout(wanted)
        if int(tag) > after and tag not in exported and same:
            return tag
    return None


def named(settings: Settings, tag: str, wanted: dict[str, str], whole: list[str]) -> Run:
    """The run with this very tag: finished, to be resumed, or new; never one with other inputs."""
    if not tag.isdigit() or len(tag) > 12 or tag.startswith("0"):
        raise PipelineError(f"--tag={tag}: a tag is a Unix time such as {int(time.time())}")
    before = recorded(settings, tag)
    kept = (lambda made_from: made_from) if tag in whole else without_layout
    difference = changes(kept(before), kept(wanted), unnamed=tag in whole) if before is not None else ""
    if difference:
        raise PipelineError(
            f"--tag={tag}: that run was begun with other inputs ({difference}): set them back, or leave "
            f"--tag out and a new version is made"
        )
    if int(tag) > time.time() + FAR_FUTURE:
        raise PipelineError(f"--tag={tag} is more than a day ahead of this machine's clock: a tag is a Unix time")
    if tag in whole:
        return Run(tag, "done", f"version {tag} is finished")
    return Run(tag, "new" if before is None else "resume", "its tag was given")


def tags(settings: Settings) -> list[str]:
    """Every tag in use, by a run or by a version, in ascending order."""
    bucket = storage.of(settings)
    used = {name for name in (*bucket.folders(), *bucket.folders("export")) if is_tag(name)}
    return sorted(used, key=int)


def next_tag(settings: Settings, now: float) -> str:
    """The Unix time, or last + 1 where the clock went back; refuses to follow a tag from the far future."""
    last = int(tags(settings)[-1]) if tags(settings) else 0
    if last > now + FAR_FUTURE:
        raise PipelineError(
            f"version {last} in {settings.bucket} is {(last - now) / 86400:.0f} days ahead of this machine's clock: "
            f"set the clock right, or remove that version"
        )
    return str(max(int(now), last + 1))
