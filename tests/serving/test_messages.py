"""The messages without TensorFlow: the schema of the package that clients use."""

from __future__ import annotations

from tensorflow_serving.apis import predict_pb2

from make_serving_api import SERVER, serving_api
from serving import messages


def test_the_data_file_is_what_the_installed_package_gives() -> None:
    assert SERVER.read_bytes() == serving_api(SERVER), "run: python web-ui/make_serving_api.py"


def test_a_stock_clients_request_is_read_and_written_byte_for_byte() -> None:
    stock = predict_pb2.PredictRequest()
    stock.model_spec.name, stock.model_spec.version.value = "größer", 7
    stock.inputs["x"].float_val.extend([0.25, 1.5])
    sent = stock.SerializeToString(deterministic=True)
    ours = messages.PredictRequest.FromString(sent)
    assert ours.SerializeToString(deterministic=True) == sent
    assert (ours.model_spec.name, ours.model_spec.version.value) == ("größer", 7)
