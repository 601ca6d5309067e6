"""The bucket that holds checkpoints and versions: a folder, which we mark when we make it, or Cloud Storage."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from pipeline.cloudstorage import CloudBucket, overtaken
from pipeline.errors import RunFailed
from pipeline.files import write
from pipeline.settings import Settings

MARKER = ".made-by-pipeline"
"""In a bucket folder that we made; without it nothing there is ever deleted."""


class Bucket(Protocol):
    """What is asked of a bucket of either kind; names are relative to it, with slashes."""

    def ours(self) -> bool:
        """Whether we made it, or it is not there at all."""

    def create(self) -> None:
        """Make it and mark it as ours."""

    def read(self, name: str) -> str | None:
        """A file's text, None if it is not there."""

    def read_bytes(self, name: str, limit: int | None = None) -> bytes | None:
        """A file's content, of a larger one the first `limit` bytes; None if it is not there."""

    def write(self, name: str, text: str, generation: int | None = None) -> None:
        """Write a file whole or not at all; with `generation` only over that very one (0: only where there is none).

        Raises RunFailed where somebody else was quicker.
        """

    def generation(self, name: str) -> int:
        """A number for a file's present content, 0 where there is none: what `write` compares with."""

    def folders(self, name: str = "") -> list[str]:
        """The names of the folders in a folder, sorted; none if it is not there."""

    def sizes(self, name: str) -> dict[str, int]:
        """Bytes of each file below a folder, by its name there."""

    def damaged(self, name: str, files: Mapping[str, Any]) -> str:
        """The first of a folder's files that is not as its checksums have it; empty where all are."""

    def delete(self) -> Iterator[str]:
        """Delete it if we made it; says in lines what was done or left alone."""


class Folder:
    """A bucket on this machine's disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ours(self) -> bool:
        """Whether we made the folder, or it is not there at all."""
        return not self.path.exists() or (self.path / MARKER).exists()

    def create(self) -> None:
        """Make the folder and mark it as ours; one that was there before is used, but not marked."""
        if not self.path.exists():
            self.path.mkdir(parents=True)
            (self.path / MARKER).touch()

    def read(self, name: str) -> str | None:
        """A file's text, None if it is not there."""
        try:
            return (self.path / name).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_bytes(self, name: str, limit: int | None = None) -> bytes | None:
        try:
            with (self.path / name).open("rb") as file:
                return file.read(-1 if limit is None else limit)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, text: str, generation: int | None = None) -> None:
        if generation is None:
            write(self.path / name, text)
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / f".{name.replace('/', '-')}.lock"):  # a rename alone compares with nothing
            if self.generation(name) != generation:
                raise RunFailed(overtaken(str(self.path / name)))
            write(self.path / name, text)

    def generation(self, name: str) -> int:
        content = self.read_bytes(name)
        return 0 if content is None else int.from_bytes(hashlib.sha256(content).digest()[:8]) | 1

    def folders(self, name: str = "") -> list[str]:
        """The names of the folders in a folder, sorted; none if it is not there."""
        place = self.path / name
        return sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []

    def sizes(self, name: str) -> dict[str, int]:
        place = self.path / name
        return {path.relative_to(place).as_posix(): path.stat().st_size for path in place.rglob("*") if path.is_file()}

    def damaged(self, name: str, files: Mapping[str, Any]) -> str:
        return next((file for file, entry in files.items() if not same(self.path / name / file, entry)), "")

    def delete(self) -> Iterator[str]:
        """Delete the folder if we made it; says in lines what was done or left alone."""
        if not self.path.exists():
            yield f"{self.path} is not there"
        elif self.ours():
            versions = len([name for name in self.folders("export") if name.isdigit()])
            shutil.rmtree(self.path)
            yield f"{self.path} deleted, with {versions} versions"
        else:
            yield f"{self.path} left alone: it was there before us"


def same(path: Path, entry: Mapping[str, Any]) -> bool:
    """Whether a file is there with the size and the SHA-256 that it should have."""
    try:
        if not path.is_file() or path.stat().st_size != entry["size"]:
            return False
        with path.open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"])
    except OSError:
        return False


@lru_cache
def of(settings: Settings) -> Bucket:
    """The environment's bucket."""
    return Folder(Path(settings.bucket)) if settings.storage.kind == "folder" else CloudBucket(settings)


def folder(settings: Settings) -> Folder:
    """The environment's bucket where it is a folder on this machine."""
    return Folder(Path(settings.bucket))
