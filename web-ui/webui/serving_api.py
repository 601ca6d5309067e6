"""TensorFlow Serving's messages without TensorFlow: what is one digit, and which versions are there."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
SIGNATURE = "serving_default"
PIXELS, CLASSES = 784, 10
DT_FLOAT, DT_INT64 = 1, 9  # tensorflow/core/framework/types.proto

_pool = DescriptorPool()  # our own: the default pool may hold another copy of these files
for _file in FileDescriptorSet.FromString(
    (Path(__file__).parent / "serving_api.binpb").read_bytes()  # made by make_serving_api.py
).file:
    _pool.Add(_file)

PredictRequest: Any = GetMessageClass(_pool.FindMessageTypeByName("tensorflow.serving.PredictRequest"))
PredictResponse: Any = GetMessageClass(_pool.FindMessageTypeByName("tensorflow.serving.PredictResponse"))
StatusRequest: Any = GetMessageClass(_pool.FindMessageTypeByName("tensorflow.serving.GetModelStatusRequest"))
StatusResponse: Any = GetMessageClass(_pool.FindMessageTypeByName("tensorflow.serving.GetModelStatusResponse"))


@dataclass(frozen=True)
class Prediction:
    """A digit, ten probabilities (index = digit), the version that answered, and the milliseconds it took."""

    digit: int
    probabilities: tuple[float, ...]
    version: int
    latency_ms: float


@dataclass(frozen=True)
class Version:
    """A version as the server sees it: START, LOADING, AVAILABLE, UNLOADING or END, and why it failed, if it did."""

    number: int
    state: str
    error: str = ""


def request(model: str, image: bytes | Sequence[float], version: int | None = None) -> Any:
    """Return a PredictRequest for one image: 784 grey bytes 0 to 255, or 784 floats 0 to 1.

    The same bytes as `tf.make_tensor_proto` gives for a float32 array [1, 784]. Without a version the server
    chooses. ValueError for another size.
    """
    if len(image) != PIXELS:
        raise ValueError(f"an image has {PIXELS} values, not {len(image)}")
    values = array("f", (pixel / 255 for pixel in image) if isinstance(image, bytes) else image)
    if sys.byteorder == "big":
        values.byteswap()
    message = PredictRequest()
    message.model_spec.name = model
    message.model_spec.signature_name = SIGNATURE
    if version is not None:
        message.model_spec.version.value = version
    tensor = message.inputs["x"]
    tensor.dtype = DT_FLOAT
    for size in (1, PIXELS):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = values.tobytes()
    return message


def prediction(answer: bytes, latency_ms: float) -> Prediction:
    """Read a serialized PredictResponse for one image; ValueError unless it holds a digit and ten shares."""
    try:
        response = PredictResponse.FromString(answer)
    except DecodeError as error:
        raise ValueError("the answer is no PredictResponse") from error
    probabilities = _values(response.outputs, "predictions", DT_FLOAT, CLASSES)
    if not all(math.isfinite(value) and -1e-3 <= value <= 1.001 for value in probabilities):
        raise ValueError("the output 'predictions' holds something else than probabilities")
    (digit,) = _values(response.outputs, "classes", DT_INT64, 1)
    if not 0 <= digit < CLASSES:
        raise ValueError(f"the output 'classes' is {digit}, not a digit")
    return Prediction(digit, tuple(probabilities), response.model_spec.version.value, latency_ms)


def status_request(model: str) -> Any:
    """Return a GetModelStatusRequest for every version of a model."""
    message = StatusRequest()
    message.model_spec.name = model
    return message


def versions(answer: bytes) -> tuple[Version, ...]:
    """Read a serialized GetModelStatusResponse, the highest version first; ValueError when it is none."""
    try:
        statuses = StatusResponse.FromString(answer).model_version_status
    except DecodeError as error:
        raise ValueError("the answer is no GetModelStatusResponse") from error
    found = (Version(one.version, _state(one), one.status.error_message) for one in statuses)
    return tuple(sorted(found, key=lambda version: version.number, reverse=True))


def _state(status: Any) -> str:
    """The state's name; a number that this copy of the messages does not know is UNKNOWN."""
    named = status.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number.get(status.state)
    return str(named.name) if named else "UNKNOWN"


def _values(outputs: Any, name: str, dtype: int, count: int) -> list[Any]:
    """The `count` values of one output: packed as bytes, or listed (a repeated tail may be listed once)."""
    if name not in outputs or outputs[name].dtype != dtype:
        raise ValueError(f"the output {name!r} is missing or of another type")
    tensor = outputs[name]
    values = array("f" if dtype == DT_FLOAT else "q")
    if len(tensor.tensor_content) == count * values.itemsize:
        values.frombytes(tensor.tensor_content)
        if sys.byteorder == "big":
            values.byteswap()
    elif not tensor.tensor_content:
        values.extend(tensor.float_val if dtype == DT_FLOAT else tensor.int64_val)
        values.extend(values[-1:] * (count - len(values)))
    if math.prod(dim.size for dim in tensor.tensor_shape.dim) != count or len(values) != count:
        raise ValueError(f"the output {name!r} holds not {count} values")
    return list(values)
