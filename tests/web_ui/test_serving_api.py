"""The messages without TensorFlow: the same schema and the same bytes as the official package has."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web_ui.conftest import WEB_UI
from tests.web_ui.model_server import Behaviour, answer
from webui import serving_api

# Runs beside the tests, because it imports TensorFlow: what the official package makes of the same images.
OFFICIAL = """
import json, sys, numpy, tensorflow as tf
from tensorflow_serving.apis import predict_pb2
sys.path.insert(0, sys.argv[1])
from make_serving_api import serving_api
def request(model, image):
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = model, "serving_default"
    values = numpy.array(image, numpy.float64) / 255
    message.inputs["x"].CopyFrom(tf.make_tensor_proto(values.astype(numpy.float32), shape=[1, 784]))
    return message.SerializeToString().hex()
def answer(packed):
    response = predict_pb2.PredictResponse()
    response.model_spec.version.value = 12
    values = {"predictions": numpy.full([1, 10], 0.1, numpy.float32), "classes": numpy.array([4])}
    for name, value in values.items():
        tensor = tf.make_tensor_proto(value)
        if not packed and name == "predictions":
            tensor.tensor_content = b""
            tensor.float_val.append(0.1)
        response.outputs[name].CopyFrom(tensor)
    return response.SerializeToString().hex()
images = json.load(sys.stdin)
print(json.dumps({"schema": serving_api().hex(), "requests": [request(*image) for image in images],
                  "answers": [answer(True), answer(False)]}))
"""

RANDOM = random.Random(1)
IMAGES = [["mnist", [RANDOM.randrange(256) for _ in range(784)]] for _ in range(5)] + [["größer", [0] * 784]]


@pytest.fixture(scope="module")
def official() -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", OFFICIAL, str(WEB_UI)],
        input=json.dumps(IMAGES),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_data_file_is_what_the_installed_package_gives(official: dict[str, str]) -> None:
    kept = (WEB_UI / "webui" / "serving_api.binpb").read_bytes()
    assert kept.hex() == official["schema"], "run: python web-ui/make_serving_api.py"


def test_requests_are_the_official_clients_byte_for_byte(official: dict[str, list[str]]) -> None:
    ours = [serving_api.request(model, bytes(image)).SerializeToString().hex() for model, image in IMAGES]
    assert ours == official["requests"]


@pytest.mark.parametrize("kind", [0, 1], ids=["packed", "repeated tail listed once"])
def test_answers_are_read_in_each_form_tensorflow_writes(official: dict[str, list[str]], kind: int) -> None:
    read = serving_api.prediction(bytes.fromhex(official["answers"][kind]), 1.5)
    assert (read.digit, read.version, read.latency_ms) == (4, 12, 1.5)
    assert read.probabilities == pytest.approx([0.1] * 10)


@pytest.mark.parametrize("packed", [True, False])
def test_the_digit_the_shares_and_the_version_are_the_servers_own(packed: bool) -> None:
    read = serving_api.prediction(answer(Behaviour(digit=3, version=1763900001, packed=packed)), 0.5)
    assert (read.digit, read.version) == (3, 1763900001)
    assert read.probabilities == pytest.approx([0.91 if digit == 3 else 0.01 for digit in range(10)])


def test_floats_and_the_bytes_they_come_from_make_the_same_request() -> None:
    pixels = bytes(range(256)) * 3 + bytes(16)
    floats = array("f", (pixel / 255 for pixel in pixels)).tolist()
    assert serving_api.request("mnist", floats) == serving_api.request("mnist", pixels)


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="an image has 784 values, not 783"):
        serving_api.request("mnist", bytes(783))


def response(**changes: object) -> bytes:
    """A good answer with one thing changed in one output: `predictions__float_val=[...]`."""
    message = serving_api.PredictResponse.FromString(answer(Behaviour()))
    for path, value in changes.items():
        output, _, name = path.partition("__")
        if value is None:
            del message.outputs[output]
        elif isinstance(value, list):
            getattr(message.outputs[output], name)[:] = value
        else:
            setattr(message.outputs[output], name, value)
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"predictions": None}, "'predictions' is missing"),
        ({"classes": None}, "'classes' is missing"),
        ({"predictions__dtype": 2}, "of another type"),
        ({"predictions__float_val": [0.1] * 11}, "not 10 values"),
        ({"predictions__float_val": []}, "not 10 values"),
        ({"predictions__tensor_content": b"123"}, "not 10 values"),
        ({"predictions__float_val": [float("nan")] * 10}, "something else than probabilities"),
        ({"predictions__float_val": [30.0, -4.0] * 5}, "something else than probabilities"),
        ({"classes__int64_val": [10]}, "'classes' is 10, not a digit"),
        ({"classes__int64_val": [1, 2]}, "not 1 values"),
    ],
    ids=str,
)
def test_an_answer_that_is_no_digit_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        serving_api.prediction(response(**wrong), 1.0)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_answer_are_a_value_error_and_nothing_else(noise: bytes) -> None:
    with pytest.raises(ValueError, match=r"no PredictResponse|missing"):
        serving_api.prediction(noise, 1.0)


def test_nothing_else_in_the_repository_is_needed_to_read_the_file() -> None:
    assert Path(serving_api.__file__).with_name("serving_api.binpb").stat().st_size < 10_000
