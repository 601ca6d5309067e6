"""What runs a model: a small protocol, so that a second runtime can be added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from serving.errors import ServingError
from serving.messages import SignatureDef, TensorInfo
from serving.tensors import DTYPES, name_of


class LoadError(Exception):
    """A version that cannot be loaded or does not survive its warm-up; the message says why."""


class LoadedModel(Protocol):
    """One version in memory. Many threads call `predict` at once; `close` comes once, after them."""

    signatures: Mapping[str, SignatureDef]

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


# For inputs whose shape the signature leaves open: one image, as docs/containers.md ("The model") has it.
_IMAGE_BY_RANK = {2: (1, 784), 3: (1, 28, 28)}


def served(signatures: Mapping[str, SignatureDef]) -> dict[str, SignatureDef]:
    """The signatures that clients may ask for; LoadError when there is none, or one of a type that is not served."""
    found = _asked(signatures)
    if not found:
        raise LoadError("it has no signature to serve")
    for name, signature in found.items():
        for alias, info in [*signature.inputs.items(), *signature.outputs.items()]:
            if info.dtype not in DTYPES:
                raise LoadError(f'signature "{name}" has a tensor {alias} of a type that is not served')
    return found


def _asked(signatures: Mapping[str, SignatureDef]) -> dict[str, SignatureDef]:
    """All but TensorFlow's own, `__saved_model_init_op`."""
    return {name: one for name, one in signatures.items() if one.outputs and not name.startswith("__")}


def what_is_lost(old: Mapping[str, SignatureDef], new: Mapping[str, SignatureDef]) -> str | None:
    """None when whoever asked the old signatures may ask the new ones, else what is missing, as half a sentence."""
    for name, one in _asked(old).items():
        if name not in new:
            return f'it has no signature "{name}"'
        if (wanted := _types(one.inputs)) != (found := _types(new[name].inputs)):
            return f'its signature "{name}" takes {_words(found)}, not {_words(wanted)}'
        if not (wanted := _types(one.outputs)) <= (found := _types(new[name].outputs)):
            return f'its signature "{name}" gives {_words(found)}, not {_words(wanted)}'
    return None


def _types(infos: Mapping[str, TensorInfo]) -> set[tuple[str, str]]:
    return {(alias, name_of(info.dtype)) for alias, info in infos.items()}


def _words(types: set[tuple[str, str]]) -> str:
    return ", ".join(f"{alias} ({kind})" for alias, kind in sorted(types))


def warm_up(model: LoadedModel) -> None:
    """Run every signature once on zeros: the first client does not wait, and a broken model shows itself.

    Raises LoadError when a signature fails.
    """
    for name, signature in served(model.signatures).items():
        inputs = {alias: _zeros(info) for alias, info in signature.inputs.items()}
        try:
            outputs = model.predict(inputs, name, sorted(signature.outputs))
        except ServingError as error:
            raise LoadError(f'the warm-up predict of signature "{name}" failed: {error.message}') from error
        for alias, info in signature.outputs.items():
            if outputs[alias].dtype != DTYPES[info.dtype]:
                raise LoadError(f'signature "{name}" gives {alias} as {outputs[alias].dtype}, not as it says')


def _zeros(info: TensorInfo) -> np.ndarray:
    dtype = DTYPES[info.dtype]
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
