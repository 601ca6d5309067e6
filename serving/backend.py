"""What runs a model: a small protocol, which LiteRT and TensorFlow each fulfil."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from serving.signatures import Signature


class LoadError(Exception):
    """A version that cannot be loaded or does not survive its warm-up; the message says why."""


class LoadedModel(Protocol):
    """One version in memory. Many threads call `predict` at once; `close` comes once, after them."""

    signatures: Mapping[str, Signature]
    joins: bool  # whether the rows of several requests may be computed in one call, and that saves time

    def quick(self, rows: int) -> bool:
        """Whether so many rows take so little time that handing them to another thread would take longer."""
        ...

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """The named outputs; inputs have the signature's dtypes. ServingError when the model refuses them."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


class Backend(Protocol):
    """Loads versions."""

    def load(self, path: Path) -> LoadedModel:
        """The version in this folder, warmed up; LoadError when it cannot be loaded or does not run."""
        ...
