"""Published versions: `<base>/<tag>` appears when it is whole and is never written twice."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer import files
from trainer.errors import TrainerError

DAY = 24 * 3600
CHECKSUMS = "checksums.json"
GRAPH = "saved_model.pb"


class TakenError(TrainerError):
    """There is such a version already."""


def versions(base: str, half_written: bool = False) -> list[int]:
    """List the versions in a base folder, oldest first; with those being written now if asked."""
    heads = (name.partition(".partial-")[0] if half_written else name for name in files.names_in(base))
    return sorted({int(head) for head in heads if re.fullmatch("[1-9][0-9]*", head)})


def next_tag(base: str, now: int) -> int:
    """Give max(now, newest + 1): versions go up also when the clock went back.

    Raises TrainerError when the newest version is more than a day ahead of the clock.
    """
    newest = max(versions(base, half_written=True), default=0)
    refuse_far_future(newest, now, f"{base} has version {newest}")
    return max(now, newest + 1)


def refuse_far_future(tag: int, now: int, what: str) -> None:
    """Raise TrainerError for a tag more than a day ahead: every later version would have to outbid it."""
    if tag > now + DAY:
        raise TrainerError(
            f"{what}, {(tag - now) / DAY:.0f} days ahead of this machine's clock ({time.ctime(now)}); "
            "set the clock right, or use a version that is not in the future."
        )


def is_published(base: str, tag: int) -> bool:
    """Tell whether a version is there and whole; raises TrainerError where it is there and damaged.

    On gs:// a version without `saved_model.pb` is one whose upload broke off: it may be written again.
    """
    target = files.join(base, str(tag))
    names = files.names_in(target)
    if not names or (files.is_remote(base) and GRAPH not in names):
        return False
    if not is_whole(target):
        raise TrainerError(
            f"{target} exists but does not match its {CHECKSUMS}; it is never overwritten: "
            "remove it, or give a new version tag."
        )
    return True


def is_whole(folder: str) -> bool:
    """Tell whether a version has all its files as its checksums say (on gs://: with the right sizes).

    Raises TrainerError where a file is there and cannot be read: that is no damage to be cleared away.
    """
    try:
        listed = json.loads(files.read(files.join(folder, CHECKSUMS)))["files"]
        return GRAPH in listed and all(
            ".." not in name.split("/") and _matches(files.join(folder, name), entry) for name, entry in listed.items()
        )
    except (files.MissingError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def publish(base: str, tag: int, fill: Callable[[Path, int, int | None], None]) -> str:
    """Write a version beside its place and give it its name when every byte is on the disk; gives its path.

    `fill` takes (folder, tag, parent) and writes everything but the checksums; the parent is the newest
    version there is. Raises TakenError when somebody else has published the tag.
    """
    target = files.join(base, str(tag))
    parent = max((version for version in versions(base) if version != tag), default=None)
    files.remove_stale_partials(base, str(tag))
    if files.is_remote(base):
        with files.saying("use a temporary folder"), tempfile.TemporaryDirectory() as scratch:
            _fill(Path(scratch), lambda folder: fill(folder, tag, parent))
            _upload(Path(scratch), target)
        return target
    partial = Path(base, f"{tag}.partial-{os.getpid()}")
    try:
        _fill(partial, lambda folder: fill(folder, tag, parent))
        _rename(partial, Path(target))
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def publish_next(base: str, tag: int, fill: Callable[[Path, int, int | None], None]) -> str:
    """Publish under `tag`, or under the next free one where another trainer was quicker."""
    while True:
        try:
            return publish(base, tag, fill)
        except TakenError:
            tag = next_tag(base, int(time.time()))


def _fill(folder: Path, fill: Callable[[Path], None]) -> None:
    with files.saying(f"write the export {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        fill(folder)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        listed = {
            str(path.relative_to(folder)): {"sha256": files.digest(path), "size": path.stat().st_size} for path in paths
        }
        (folder / CHECKSUMS).write_text(json.dumps({"files": listed}, indent=1) + "\n")
        files.sync_tree(folder)


def _rename(partial: Path, target: Path) -> None:
    """Give the version its name; a folder that holds anything is never replaced (rename(2))."""
    with files.saying(f"publish {target}"):
        try:
            partial.rename(target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise TakenError(
                    f"{target} has been published meanwhile and is never overwritten; give a new tag."
                ) from None
            raise
        files.sync_folder(target.parent)


def _upload(scratch: Path, target: str) -> None:
    """Copy a version to gs://, where no folder can be renamed: `saved_model.pb` last, servers look for it."""
    if GRAPH in files.names_in(target):
        raise TakenError(f"{target} has been published meanwhile and is never overwritten; give a new tag.")
    files.remove(target)  # what an upload that broke off may have left
    names = sorted(str(path.relative_to(scratch)) for path in scratch.rglob("*") if path.is_file())
    for name in sorted(names, key=lambda name: (name == GRAPH, name == CHECKSUMS)):
        files.write(files.join(target, name), (scratch / name).read_bytes())


def _matches(path: str, entry: dict[str, Any]) -> bool:
    if files.is_remote(path):
        return len(files.read(path)) == entry["size"]
    local = Path(path)
    return local.stat().st_size == entry["size"] and files.digest(local) == entry["sha256"]
