"""The bucket that holds checkpoints and versions: on this machine a folder, which we mark when we make it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import write
from pipeline.settings import Settings

MARKER = ".made-by-pipeline"
"""In a bucket folder that we made; without it nothing there is ever deleted."""


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

    def read_bytes(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, text: str) -> None:
        write(self.path / name, text)

    def folders(self, name: str = "") -> list[str]:
        """The names of the folders in a folder, sorted; none if it is not there."""
        place = self.path / name
        return sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []

    def size(self, name: str) -> int:
        """Bytes in a folder's files."""
        return sum(path.stat().st_size for path in (self.path / name).rglob("*") if path.is_file())

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


def of(settings: Settings) -> Folder:
    """The environment's bucket."""
    if settings.storage.kind != "folder":
        raise PipelineError(
            f"environment {settings.environment} keeps its models in {settings.bucket}, not in a folder"
        )
    return Folder(Path(settings.bucket))
