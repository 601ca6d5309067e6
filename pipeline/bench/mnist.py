"""Where MNIST's four files lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.settings import Settings

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
"""MNIST's files, with or without .gz."""


def mnist_of(settings: Settings) -> Path:
    """The folder with MNIST's four files: MNIST_DIR or the trainer's cache; PipelineError where there is none."""
    named = os.environ.get("MNIST_DIR")
    place = Path(named or settings.data_directory).absolute()
    if all((place / name).is_file() or (place / f"{name}.gz").is_file() for name in FILES):
        return place
    where = f"MNIST_DIR={named}" if named else f"MNIST_DIR is not set, and the cache {place}"
    remedy = "set MNIST_DIR to a folder with them; no other data will do"
    raise PipelineError(f"{where} has not MNIST's four files: {remedy}")
