"""How a server is asked about an image and its answer is read: over gRPC as TensorFlow Serving has it, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.client import FLOAT, PREDICT, messages
from pipeline.records import PIXELS

MODEL = "mnist"
"""What every server calls the model."""

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Way:
    """A protocol: gRPC's method or HTTP's path, the body that asks about pixels [784], what is read in an answer."""

    over: str
    target: str
    body: Callable[[Pixels], bytes]
    seen: Callable[[bytes], object]


@dataclass(frozen=True)
class Question:
    """A request's body, and what the server has to see."""

    body: bytes
    expected: object


def questions(way: Way, served: Path) -> list[Question]:
    """A question for each test image in `served.npz`; the digits are those that the trained version sees in them."""
    with np.load(served) as found:
        images, digits = found["images"].astype(np.float32) / np.float32(255), found["predictions"].argmax(1)
    asked = [way.body(one) for one in images]
    expected = asked if way is WAYS["echo"] else digits.tolist()
    return [Question(body, seen) for body, seen in zip(asked, expected, strict=True)]


def request(pixels: Pixels) -> bytes:
    """A PredictRequest with its values as bytes, as `tf.make_tensor_proto` writes them."""
    made = messages()[0]()
    made.model_spec.name, made.model_spec.signature_name = MODEL, "serving_default"
    tensor = made.inputs["x"]
    tensor.dtype, tensor.tensor_content = FLOAT, pixels.tobytes()
    for size in (1, PIXELS):
        tensor.tensor_shape.dim.add(size=size)
    return bytes(made.SerializeToString())


def digit(answer: bytes) -> int:
    """The digit in a PredictResponse about one image."""
    outputs = messages()[1].FromString(answer).outputs["classes"]
    found = outputs.int64_val or np.frombuffer(outputs.tensor_content, np.int64)
    return int(found[0])


def instances(pixels: Pixels) -> bytes:
    """The V1 protocol's body, which TensorFlow Serving's REST API has too."""
    return json.dumps({"instances": [values(pixels)]}).encode()


def inputs(pixels: Pixels) -> bytes:
    """The V2 protocol's body (Open Inference Protocol)."""
    tensor = {"name": "x", "shape": [1, PIXELS], "datatype": "FP32", "data": values(pixels)}
    return json.dumps({"inputs": [tensor]}).encode()


def values(pixels: Pixels) -> list[float]:
    """The pixels with no more decimals than float32 has: 0.003921569, not 0.003921568859368563."""
    return [float(str(value)) for value in pixels]


def largest(path: Sequence[str | int], answer: bytes) -> int:
    """The place of the largest of the numbers that stand at a path in a JSON answer."""
    found = json.loads(answer)
    for step in path:
        found = found[step]
    return int(found.index(max(found)))


def same(answer: bytes) -> bytes:
    return answer


first = partial(largest, ("predictions", 0))

WAYS = {
    "echo": Way("gRPC", "/bench.Echo/Echo", request, same),
    "grpc": Way("gRPC", PREDICT, request, digit),
    "rest": Way("JSON", f"/v1/models/{MODEL}:predict", instances, partial(largest, ("predictions", 0, "predictions"))),
    "v1": Way("JSON", f"/v1/models/{MODEL}:predict", instances, first),
    "v2": Way("JSON", f"/v2/models/{MODEL}/infer", inputs, partial(largest, ("outputs", 0, "data"))),
    "predict": Way("JSON", "/predict", instances, first),
}
"""By name: a plan is a file, and names a way."""
