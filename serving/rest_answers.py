"""The answer of a Predict request as JSON, in row and column format (tensorflow_serving/util/json_tensor.cc)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from serving.errors import invalid
from serving.messages import PredictResponse
from serving.tensors import to_array

_PLAIN = {np.dtype(kind) for kind in (np.float32, np.float64, np.int32, np.int64, np.bool_)}


def dump_predict(response: PredictResponse, row: bool) -> str:
    """`predictions`, an item an instance, or `outputs`, a tensor a name; a lone output goes unnamed."""
    outputs, dumps = _readable({alias: to_array(alias, one) for alias, one in sorted(response.outputs.items())})
    if not row:
        whole = outputs if len(outputs) > 1 else next(iter(outputs.values()))
        return f'{{\n    "outputs": {dumps(whole)}\n}}'
    _check_rows(response)
    rows = [dict(zip(outputs, one, strict=True)) for one in zip(*outputs.values(), strict=True)]
    lines = [dumps(one if len(outputs) > 1 else next(iter(one.values()))) for one in rows]
    return '{\n    "predictions": [\n        ' + ",\n        ".join(lines) + "\n    ]\n}"


def _check_rows(response: PredictResponse) -> None:
    batch = 0
    for alias, one in sorted(response.outputs.items()):
        if not one.tensor_shape.dim:
            raise invalid(f"Tensor name: {alias} has no shape information ")
        size = one.tensor_shape.dim[0].size
        if size < 1:
            raise invalid(f"Tensor name: {alias} has invalid batch size: {size}")
        if batch not in (0, size):
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {size} expecting: {batch}")
        batch = size


def _readable(arrays: dict[str, np.ndarray]) -> tuple[dict[str, Any], Callable[[object], str]]:
    """The outputs in a form that can be written, row by row or whole, and what writes them.

    orjson is quick, but has no word for what is not finite, and writes neither bytes nor numbers of two bytes.
    """
    if all(one.ndim and one.dtype in _PLAIN and np.isfinite(one).all() for one in arrays.values()):
        return arrays, _dumps
    return {alias: _values(alias, one) for alias, one in arrays.items()}, json.dumps


def _dumps(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _values(alias: str, array: np.ndarray) -> object:
    if array.dtype == object:  # bytes: as text, or in base64 where the name says that they are bytes
        as_bytes = alias.endswith("_bytes")
        texts = [
            {"b64": base64.b64encode(v).decode()} if as_bytes else v.decode(errors="replace") for v in array.ravel()
        ]
        return _nest(texts, list(array.shape))
    if array.dtype == np.float32:  # 0.1 rather than 0.10000000149011612: the shortest text that gives the same float32
        return _nest([float(str(value)) for value in array.ravel()], list(array.shape))
    return array.tolist()


def _nest(flat: list, shape: list[int]) -> object:
    """The flat values as nested lists of this shape."""
    for size in reversed(shape[1:]):
        flat = [flat[i : i + size] for i in range(0, len(flat), size)] if size else [[]] * shape[0]
    return flat if shape else flat[0]
