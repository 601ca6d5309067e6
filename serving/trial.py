"""What a version must do before it counts as loaded: have signatures, run, and answer what the last one answered."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serving.backend import LoadedModel, LoadError
from serving.errors import ServingError
from serving.messages import TensorInfo
from serving.signatures import Signature
from serving.tensors import DTYPES, name_of

# For inputs whose shape the signature leaves open: one image, as docs/containers.md ("The model") has it.
_IMAGE_BY_RANK = {2: (1, 784), 3: (1, 28, 28)}


def served(signatures: Mapping[str, Signature]) -> dict[str, Signature]:
    """The signatures that clients may ask for; LoadError when there is none, or one of a type that is not served."""
    found = _asked(signatures)
    if not found:
        raise LoadError("it has no signature to serve")
    for name, signature in found.items():
        for alias, info in [*signature.inputs.items(), *signature.outputs.items()]:
            if info.dtype not in DTYPES:
                raise LoadError(f'signature "{name}" has a tensor {alias} of a type that is not served')
    return found


def _asked(signatures: Mapping[str, Signature]) -> dict[str, Signature]:
    """All but TensorFlow's own, `__saved_model_init_op`."""
    return {name: one for name, one in signatures.items() if one.outputs and not name.startswith("__")}


def what_is_lost(old: Mapping[str, Signature], new: Mapping[str, Signature]) -> str | None:
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
            outputs = model.predict(inputs, name, list(signature.outputs))
        except ServingError as error:
            raise LoadError(f'the warm-up predict of signature "{name}" failed: {error.message}') from error
        for alias, info in signature.outputs.items():
            found, said = np.asarray(outputs[alias]).dtype, DTYPES[info.dtype]
            if found != said and said.kind != "O":  # text comes as whatever numpy makes of it
                raise LoadError(f'signature "{name}" gives {alias} as {found}, not as it says')


def rows_are_apart(model: LoadedModel) -> bool:
    """Whether two rows together get the answers that each gets alone, in every signature: only then may they be joined.

    A model that normalizes over the batch, say, answers otherwise.
    """
    return all(_apart(model, name, one) for name, one in served(model.signatures).items())


def _apart(model: LoadedModel, name: str, signature: Signature) -> bool:
    dtypes = {alias: DTYPES[info.dtype] for alias, info in signature.inputs.items()}
    if not signature.inputs or any(dtype.kind not in "fiu" for dtype in dtypes.values()):
        return False
    row = {alias: _zeros(info) for alias, info in signature.inputs.items()}
    if any(array.shape[:1] != (1,) for array in row.values()):
        return False
    rows = [row, {alias: array + dtypes[alias].type(1) for alias, array in row.items()}]
    both = {alias: np.concatenate([row[alias] for row in rows]) for alias in dtypes}
    outputs = list(signature.outputs)
    try:
        whole, parts = model.predict(both, name, outputs), [model.predict(row, name, outputs) for row in rows]
    except ServingError:  # one row is all that it takes
        return False
    return all(_joined_equal(whole[alias], [part[alias] for part in parts]) for alias in outputs)


def _joined_equal(whole: np.ndarray, parts: list[np.ndarray]) -> bool:
    if any(part.shape[:1] != (1,) for part in parts) or whole.shape[:1] != (2,) or whole.dtype.kind not in "fiu":
        return False
    return np.allclose(whole, np.concatenate(parts), rtol=0, atol=1e-5)


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
