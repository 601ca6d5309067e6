"""The objects applied to the local cluster, one JSON file each: what an API server would remember."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.files import write
from pipeline.settings import Settings


def store(settings: Settings) -> Objects:
    """The environment's objects."""
    return Objects(settings.build / "objects")


class Objects:
    """A folder of manifests, found by kind and name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, kind: str, name: str) -> Path:
        return self.folder / f"{kind}.{name}.json"

    def put(self, manifest: dict[str, Any]) -> bool:
        """Remember a manifest; whether it differs from what was there."""
        path = self.path(manifest["kind"], manifest["metadata"]["name"])
        return write(path, json.dumps(manifest, indent=1))

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        return read(self.path(kind, name))

    def all(self, kind: str) -> list[dict[str, Any]]:
        found = [read(path) for path in sorted(self.folder.glob(f"{kind}.*.json"))]
        return [manifest for manifest in found if manifest is not None]

    def remove(self, kind: str, name: str) -> None:
        self.path(kind, name).unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any] | None:
    """A manifest; None where there is none or it is damaged, so that the next `apply` writes it anew."""
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and {"kind", "metadata"} <= manifest.keys() else None
