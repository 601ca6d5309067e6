"""Published versions: `<base>/<tag>` appears when it is whole and is never written twice."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trainer import files, idx
from trainer.data import Dataset
from trainer.errors import TrainerError

DAY = 24 * 3600
TEST_IMAGES = 500
CHECKSUMS = "checksums.json"
GRAPH = "saved_model.pb"


def versions(base: str) -> list[int]:
    """List the versions in a base folder, oldest first, also those being written now."""
    heads = (name.partition(".partial-")[0] for name in files.names_in(base))
    return sorted({int(head) for head in heads if head.isdecimal() and not head.startswith("0")})


def next_tag(base: str, now: int) -> int:
    """Give max(now, newest + 1): versions go up also when the clock went back.

    Raises TrainerError when the newest version is more than a day ahead of the clock.
    """
    newest = max(versions(base), default=0)
    refuse_far_future(newest, now, f"{base} has version {newest}")
    return max(now, newest + 1)


def refuse_far_future(tag: int, now: int, what: str) -> None:
    """Raise TrainerError for a tag more than a day ahead: every later version would have to outbid it."""
    if tag > now + DAY:
        raise TrainerError(
            f"{what}, {(tag - now) / DAY:.0f} days ahead of this machine's clock ({time.ctime(now)}); "
            "set the clock right, or remove that version."
        )


def is_whole(folder: str) -> bool:
    """Tell whether a version has all its files as its checksums say; a local one is read in full."""
    try:
        listed = json.loads(files.read(files.join(folder, CHECKSUMS)))["files"]
        return GRAPH in listed and all(_matches(files.join(folder, name), entry) for name, entry in listed.items())
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return False


def publish(base: str, tag: int, save: Callable[[str], None], dataset: Dataset, card: Callable[[], dict[str, Any]]) -> str:
    """Write a version beside its place and give it its name when every byte is on the disk; gives its path.

    `save` writes the SavedModel into a folder; `card` is asked last, when all durations but its own are known.
    Raises FileExistsError when there is such a version already.
    """
    target = files.join(base, str(tag))
    if files.is_remote(base):
        with tempfile.TemporaryDirectory() as scratch:
            _write(Path(scratch), save, dataset, card)
            _upload(Path(scratch), target)
        return target
    partial = Path(base, f"{tag}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        _write(partial, save, dataset, card)
        _sync(partial)
        _rename(partial, Path(target))
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _write(folder: Path, save: Callable[[str], None], dataset: Dataset, card: Callable[[], dict[str, Any]]) -> None:
    with files.saying(f"write the export {folder}"):
        save(str(folder))
        extra = folder / "assets.extra"
        extra.mkdir(exist_ok=True)
        _write_test_images(extra / "test_images.zip", dataset)
        (folder / "model_card.json").write_text(json.dumps(card(), indent=1) + "\n")
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        listed = {
            str(path.relative_to(folder)): {"sha256": files.digest(path), "size": path.stat().st_size} for path in paths
        }
        (folder / CHECKSUMS).write_text(json.dumps({"files": listed}, indent=1) + "\n")


def _write_test_images(path: Path, dataset: Dataset) -> None:
    """Keep the first 500 test images as idx files, for the web UI and `invoke predict`."""
    images, labels = dataset.test.images[:TEST_IMAGES], dataset.test.labels[:TEST_IMAGES]
    source = {"dataset": dataset.name, "stand_in": dataset.stand_in}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.idx", idx.encode(np.asarray(images)))
        archive.writestr("labels.idx", idx.encode(np.asarray(labels)))
        archive.writestr("source.json", json.dumps(source))


def _sync(folder: Path) -> None:
    with files.saying(f"sync the export {folder}"):
        for path in [*folder.rglob("*"), folder]:
            if path.is_dir():
                files.sync_folder(path)
            else:
                with path.open("rb") as file:
                    os.fsync(file.fileno())


def _rename(partial: Path, target: Path) -> None:
    """Give the version its name; a folder that holds anything is never replaced (rename(2))."""
    try:
        partial.rename(target)
        files.sync_folder(target.parent)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, "exists already", str(target)) from None
        raise TrainerError(f"Could not publish {target}: {error.strerror}.") from error


def _upload(scratch: Path, target: str) -> None:
    """Copy a version to gs://, where a folder cannot be renamed: `saved_model.pb` last, for servers look for it."""
    if GRAPH in files.names_in(target):
        raise FileExistsError(errno.EEXIST, "exists already", target)
    names = sorted(str(path.relative_to(scratch)) for path in scratch.rglob("*") if path.is_file())
    for name in sorted(names, key=lambda name: (name == GRAPH, name == CHECKSUMS)):
        files.write(files.join(target, name), (scratch / name).read_bytes())


def _matches(path: str, entry: dict[str, Any]) -> bool:
    if files.is_remote(path):
        return len(files.read(path)) == entry["size"]
    local = Path(path)
    return local.stat().st_size == entry["size"] and files.digest(local) == entry["sha256"]
