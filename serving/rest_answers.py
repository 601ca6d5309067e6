"""The answer of a Predict request as JSON, in row and column format (tensorflow_serving/util/json_tensor.cc)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from serving.errors import invalid

# What orjson writes: neither bytes nor numbers of two bytes.
_PLAIN = {np.dtype(kind) for kind in (np.float32, np.float64, np.int32, np.int64, np.bool_)}


def dump_predict(outputs: Mapping[str, np.ndarray], row: bool) -> str:
    """`predictions`, an item an instance, or `outputs`, a tensor a name; a lone output goes unnamed."""
    if row:
        _check_rows(outputs)
    arrays = dict(sorted(outputs.items()))
    if all(one.ndim and one.dtype in _PLAIN for one in arrays.values()):
        text = _text(arrays, row, _quickly)
        if "null" not in text:  # what orjson makes of a number that is not finite
            return text
    return _text({alias: _values(alias, one) for alias, one in arrays.items()}, row, json.dumps)


def _text(values: Mapping[str, Any], row: bool, dumps: Callable[[object], str]) -> str:
    if not row:
        whole = values if len(values) > 1 else next(iter(values.values()))
        return f'{{\n    "outputs": {dumps(whole)}\n}}'
    rows = [dict(zip(values, one, strict=True)) for one in zip(*values.values(), strict=True)]
    lines = [dumps(one if len(values) > 1 else next(iter(one.values()))) for one in rows]
    return '{\n    "predictions": [\n        ' + ",\n        ".join(lines) + "\n    ]\n}"


def _quickly(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    batch = 0
    for alias, array in sorted(outputs.items()):
        if not array.ndim:
            raise invalid(f"Tensor name: {alias} has no shape information ")
        size = len(array)
        if size < 1:
            raise invalid(f"Tensor name: {alias} has invalid batch size: {size}")
        if batch not in (0, size):
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {size} expecting: {batch}")
        batch = size


def _values(alias: str, array: np.ndarray) -> object:
    if array.dtype.kind in "OS":  # bytes: as text, or in base64 where the name says that they are bytes
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
