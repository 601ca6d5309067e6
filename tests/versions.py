"""Versions for tests of what is done with them: small ones that no server loads, and copies of one that it does."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any


def card(tag: str, accuracy: float = 0.99, dataset: str = "mnist") -> dict[str, Any]:
    """A model card as far as the pipeline reads it."""
    return {
        "tag": tag, "created": "2026-11-25T12:00:00Z", "model": "fast", "steps": 2814, "parent": None,
        "dataset": {"name": dataset, "stand_in": dataset == "digits"},
        "metrics": {"test_accuracy": accuracy, "test_examples": 10_000}, "durations": {"total_s": 9.5},
        "settings": {"batch_size": 64, "learning_rate": 0.08, "optimizer": "nesterov"},
    }  # fmt: skip


def put(bucket: Path, tag: str, accuracy: float = 0.99, dataset: str = "mnist") -> Path:
    """A version with no model in it: a card, a graph that is none, and checksums that agree with both."""
    folder = bucket / "export" / tag
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "model_card.json").write_text(json.dumps(card(tag, accuracy, dataset)))
    sealed(folder)
    return folder


def copied_version(version: Path, bucket: Path, tag: str, **metrics: float) -> Path:
    """A copy of a version under another tag, whose card says what is given."""
    folder = Path(shutil.copytree(version, bucket / "export" / tag))
    known = json.loads((folder / "model_card.json").read_text())
    known["metrics"] |= metrics
    (folder / "model_card.json").write_text(json.dumps({**known, "tag": tag}))
    sealed(folder)
    return folder


def sealed(folder: Path) -> None:
    """Write checksums that agree with all that is in the folder."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "checksums.json"
    }  # fmt: skip
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in files.items()
    }
    (folder / "checksums.json").write_text(json.dumps({"files": listed}))
