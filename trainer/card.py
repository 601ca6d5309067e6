"""The model card: what a version was made from, how good it is, how long it took."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.data import Dataset
from trainer.evaluate import Metrics
from trainer.model import PARAMETERS
from trainer.options import Options


@dataclass(frozen=True)
class Facts:
    """What a run knows when it has evaluated; `data` is from `describe`, `members` counts who trained by role."""

    options: Options
    data: dict[str, Any]
    precision: str
    resumed_from: int
    metrics: Metrics
    members: dict[str, int]


def describe(dataset: Dataset) -> dict[str, Any]:
    """Give the card's entry for a data set."""
    return {
        "name": dataset.name,
        "stand_in": dataset.stand_in,
        "train_examples": len(dataset.train.labels),
        "test_examples": len(dataset.test.labels),
        "sha256": dataset.sha256,
        "source": dataset.source,
    }


def make_card(facts: Facts, tag: int, parent: int | None, durations: dict[str, float]) -> dict[str, Any]:
    """Lay out the card as docs/containers.md has it."""
    options = facts.options
    return {
        "tag": str(tag),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "model": options.model_type,
        "parameters": PARAMETERS[options.model_type],
        "dataset": facts.data,
        "settings": asdict(options) | {"precision_used": facts.precision, "members": facts.members},
        "seed": options.seed,
        "steps": options.train_steps,
        "resumed_from": facts.resumed_from,
        "parent": None if parent is None else str(parent),
        "code_hash": code_hash(),
        "metrics": asdict(facts.metrics),
        "durations": {name: round(seconds, 3) for name, seconds in durations.items()},
        "versions": {"python": platform.python_version()} | {one.__name__: one.__version__ for one in (tf, keras, np)},
    }


def code_hash() -> str:
    """Give one SHA-256 over the trainer's own sources, names and contents."""
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
