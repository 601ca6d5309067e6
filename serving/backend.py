"""What runs a model: a small protocol, so that a second runtime can be added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from serving.errors import ServingError
from serving.messages import SignatureDef, TensorInfo


class LoadError(Exception):
    """A version that cannot be loaded or does not survive its warm-up; the message says why."""


class LoadedModel(Protocol):
    """One version in memory. Many threads call `predict` at once; `close` comes once, after them."""

    signatures: Mapping[str, SignatureDef]

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
        """The version in this folder; LoadError when it cannot be loaded."""
        ...


# For inputs whose shape the signature leaves open: one image, as docs/containers.md ("The model") has it.
_IMAGE_BY_RANK = {2: (1, 784), 3: (1, 28, 28)}


def warm_up(model: LoadedModel, dtypes: Mapping[int, np.dtype]) -> None:
    """Run every signature once on zeros: the first client does not wait, and a broken model shows itself.

    Raises LoadError when a signature fails.
    """
    served = {name: one for name, one in model.signatures.items() if one.outputs and not name.startswith("__")}
    if not served:
        raise LoadError("it has no signature to serve")
    for name, signature in served.items():
        for alias, info in [*signature.inputs.items(), *signature.outputs.items()]:
            if info.dtype not in dtypes:
                raise LoadError(f'signature "{name}" has a tensor {alias} of a type that is not served')
        inputs = {alias: _zeros(info, dtypes[info.dtype]) for alias, info in signature.inputs.items()}
        try:
            model.predict(inputs, name, sorted(signature.outputs))
        except ServingError as error:
            raise LoadError(f'the warm-up predict of signature "{name}" failed: {error.message}') from error


def _zeros(info: TensorInfo, dtype: np.dtype) -> np.ndarray:
    return np.full(_shape(info), b"" if dtype.kind == "O" else 0, dtype)


def _shape(info: TensorInfo) -> tuple[int, ...]:
    """Batch 1 of the declared shape; where only the rank or nothing is declared, one image."""
    shape = info.tensor_shape
    sizes = [dim.size for dim in shape.dim]
    if shape.unknown_rank:
        return _IMAGE_BY_RANK[3]
    if len(sizes) in _IMAGE_BY_RANK and all(size < 0 for size in sizes):
        return _IMAGE_BY_RANK[len(sizes)]
    return tuple(1 if size < 0 else size for size in sizes)
