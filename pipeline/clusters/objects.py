"""The objects applied to the local cluster, one JSON file each: what an API server would remember."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.execution import write


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
        path = self.path(kind, name)
        return json.loads(path.read_text()) if path.exists() else None

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob(f"{kind}.*.json"))]
