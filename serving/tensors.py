"""TensorProto to numpy and back, as TensorFlow's Tensor::FromProto and AsProtoField do it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ml_dtypes
import numpy as np

from serving.errors import invalid
from serving.messages import DataType, TensorProto

# A few bytes can announce a tensor of any size (a shape, and one value to be repeated): this is the most that
# a request may unfold to, in bytes.
MAX_TENSOR_BYTES = 64 << 20
_MAX_RANK = 64  # numpy's limit

# DataType → numpy dtype and the field that carries its values (tensorflow/core/framework/tensor.proto).
_KINDS = {
    DataType.DT_FLOAT: (np.dtype(np.float32), "float_val"),
    DataType.DT_DOUBLE: (np.dtype(np.float64), "double_val"),
    DataType.DT_INT32: (np.dtype(np.int32), "int_val"),
    DataType.DT_INT16: (np.dtype(np.int16), "int_val"),
    DataType.DT_INT8: (np.dtype(np.int8), "int_val"),
    DataType.DT_UINT8: (np.dtype(np.uint8), "int_val"),
    DataType.DT_UINT16: (np.dtype(np.uint16), "int_val"),
    DataType.DT_INT64: (np.dtype(np.int64), "int64_val"),
    DataType.DT_UINT32: (np.dtype(np.uint32), "uint32_val"),
    DataType.DT_UINT64: (np.dtype(np.uint64), "uint64_val"),
    DataType.DT_BOOL: (np.dtype(np.bool_), "bool_val"),
    DataType.DT_HALF: (np.dtype(np.float16), "half_val"),
    DataType.DT_BFLOAT16: (np.dtype(ml_dtypes.bfloat16), "half_val"),
    DataType.DT_STRING: (np.dtype(object), "string_val"),
}

DTYPES = {number: dtype for number, (dtype, _) in _KINDS.items()}
_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}


def name_of(number: int) -> str:
    """`float` for DT_FLOAT, as TensorFlow's DataTypeString has it."""
    return DataType.Name(number).removeprefix("DT_").lower() if number in DataType.values() else "invalid"


def to_array(alias: str, tensor: TensorProto) -> np.ndarray:
    """The tensor's values in its own dtype and shape; ServingError INVALID_ARGUMENT when it is malformed.

    As in TensorFlow a field with too few values repeats its last, and one with none is all zeros.
    """
    form, kind = tensor.tensor_shape, _KINDS.get(tensor.dtype)
    if kind is None or form.unknown_rank:
        raise _malformed(alias)
    shape, (dtype, field) = [dim.size for dim in form.dim], kind
    if min(shape, default=0) < 0 or len(shape) > _MAX_RANK:
        raise _malformed(alias)
    count = math.prod(shape)
    unfolded = count or math.prod(max(size, 1) for size in shape)
    if unfolded * dtype.itemsize > MAX_TENSOR_BYTES:
        raise _malformed(alias)
    if (content := tensor.tensor_content) and dtype.kind != "O":
        return _from_content(alias, content, dtype, count).reshape(shape)
    return _from_values(getattr(tensor, field), dtype, field, count).reshape(shape)


def to_tensor(array: np.ndarray) -> TensorProto:
    """The array as a TensorProto, as `fill` writes it."""
    tensor = TensorProto()
    fill(tensor, array)
    return tensor


def fill(tensor: TensorProto, array: np.ndarray) -> None:
    """Write the array into an empty TensorProto, its values into the typed field, where stock clients look for them."""
    array = np.asarray(array, object) if array.dtype.kind == "S" else array
    tensor.dtype = number = _NUMBERS[array.dtype]
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    field = _KINDS[number][1]
    values = array.view(np.uint16) if field == "half_val" else array
    getattr(tensor, field).extend(values.ravel().tolist())


def _from_content(alias: str, content: bytes, dtype: np.dtype, count: int) -> np.ndarray:
    if len(content) != count * dtype.itemsize:
        raise _malformed(alias)
    return np.frombuffer(content, dtype)


def _from_values(values: Sequence[object], dtype: np.dtype, field: str, count: int) -> np.ndarray:
    given = np.array(values[:count], {"half_val": np.int64, "int_val": np.int64}.get(field, dtype))
    # half_val holds bit patterns; a value that does not fit (300 in a uint8) wraps, as C++'s cast does.
    given = given.astype(np.uint16).view(dtype) if field == "half_val" else given.astype(dtype)
    if len(given) == count:
        return given
    array = np.full(count, b"" if dtype.kind == "O" else 0, dtype)
    array[: len(given)] = given
    if len(given):
        array[len(given) :] = given[-1]
    return array


def _malformed(alias: str) -> Exception:
    return invalid(f"tensor parsing error: {alias}")  # the words of tensorflow/cc/saved_model/util.cc
