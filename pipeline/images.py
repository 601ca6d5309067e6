"""The images we build: which folder each is made of, and a tag that is a hash of that folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import ROOT, Settings


@dataclass(frozen=True)
class Image:
    """An image's build context, and the folder that is its working folder where it runs as a process."""

    context: str
    workdir: str


IMAGES = {"train": Image("trainer", "."), "web-ui": Image("web-ui", "web-ui")}


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's files, caches apart; hex, 64 digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def tag(name: str) -> str:
    """The image's tag: twelve digits of the hash of what it is built from."""
    return content_hash(ROOT / IMAGES[name].context)[:12]


def reference(settings: Settings, name: str) -> str:
    """The image as a manifest names it: `<registry>/<name>:<tag>`."""
    return f"{settings.registry}/{name}:{tag(name)}"


def workdir(reference: str) -> Path:
    """Where on this machine a container of this image has its working folder; the checkout if not ours."""
    name = reference.rsplit("/", 1)[-1].split(":")[0]
    return (ROOT / IMAGES[name].workdir).resolve() if name in IMAGES else ROOT
