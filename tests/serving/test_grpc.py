"""A stock gRPC client, written against tensorflow-serving-api, and what it is told when it is wrong."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from trainer.servable import REFUSAL

from .conftest import Server, expected, request_for

IMAGES = np.random.default_rng(1).random((5, 28, 28), np.float32)


def refusal(call: object, *arguments: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize("shape", [(5, 28, 28), (5, 784)])
@pytest.mark.parametrize("signature", ["serving_default", "classes", ""])
def test_a_stock_client_gets_right_answers(server: Server, shape: tuple[int, ...], signature: str) -> None:
    response = server.predict(IMAGES.reshape(shape), signature=signature)
    predictions = tf.make_ndarray(response.outputs["predictions"])
    np.testing.assert_allclose(predictions, expected(IMAGES), rtol=1e-4, atol=1e-6)
    assert predictions.dtype == np.float32
    assert list(response.outputs["classes"].int64_val) == list(expected(IMAGES).argmax(axis=1))


def test_the_answer_says_which_version_and_signature_gave_it(server: Server) -> None:
    spec = server.predict(IMAGES, signature="").model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("mnist", 7, "serving_default")


def test_a_client_can_ask_for_a_version(server: Server) -> None:
    assert server.predict(IMAGES, version=7).model_spec.version.value == 7


def test_values_in_the_typed_field_count_as_those_in_tensor_content(server: Server) -> None:
    request = request_for(IMAGES)
    tensor = request.inputs["x"]
    tensor.ClearField("tensor_content")
    tensor.float_val.extend(IMAGES.ravel().tolist())
    assert server.call(request).outputs == server.predict(IMAGES).outputs


def test_only_the_outputs_asked_for_come_back(server: Server) -> None:
    request = request_for(IMAGES)
    request.output_filter.append("classes")
    assert list(server.call(request).outputs) == ["classes"]


# Words: core/basic_manager.cc, model_servers/server_core.cc, servables/tensorflow/predict_util.cc of
# tensorflow/serving; cc/saved_model/util.cc and core/framework/function.cc of tensorflow/tensorflow.
REFUSED = {
    "model": ({"name": "nope"}, "NOT_FOUND", "Servable not found for request: Latest(nope)"),
    "version": ({"version": 8}, "NOT_FOUND", "Servable not found for request: Specific(mnist, 8)"),
    "label": ({"label": "stable"}, "INVALID_ARGUMENT", "Unrecognized servable version label: stable"),
    "no name": ({"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "signature": (
        {"signature": "nope"},
        "FAILED_PRECONDITION",
        'Serving signature key "nope" not found.',
    ),
    "input": (
        {"alias": "y"},
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {y}, or default input alias set: ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_fault_57_a_wrong_name_is_refused_in_tensorflow_servings_words(server: Server, case: str) -> None:
    spec, code, message = REFUSED[case]
    assert refusal(server.call, request_for(IMAGES, **spec)) == (grpc.StatusCode[code], message)


MISSHAPEN = {
    "785 numbers": (np.zeros((1, 785), np.float32), f"assertion failed: [{REFUSAL}] [1 785]"),
    "a scalar": (np.zeros((), np.float32), f"assertion failed: [{REFUSAL}] []"),
    "another rank": (np.zeros((1, 1, 784), np.float32), f"assertion failed: [{REFUSAL}] [1 1 784]"),
    "no image": (np.zeros((0, 784), np.float32), f"assertion failed: [{REFUSAL}] [0 784]"),
    "doubles": (np.zeros((1, 784)), "Expects arg[0] to be float but double is provided"),
    "bytes": (np.zeros((1, 784), np.uint8), "Expects arg[0] to be float but uint8 is provided"),
    "text": (np.array([[b"7"]]), "Expects arg[0] to be float but string is provided"),
}


@pytest.mark.parametrize("case", MISSHAPEN)
def test_fault_54_a_wrong_shape_or_dtype_is_an_invalid_argument(server: Server, case: str) -> None:
    images, message = MISSHAPEN[case]
    code, details = refusal(server.predict, images)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(message)
    assert server.predict(IMAGES).model_spec.version.value == 7


def test_fault_54_an_input_too_many_is_named(server: Server) -> None:
    request = request_for(IMAGES)
    request.inputs["y"].CopyFrom(request.inputs["x"])
    assert refusal(server.call, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "input size does not match signature: 2!=1 len({x,y}) != len({x}). Sent extra: {y}. Missing but required: {}.",
    )


def test_an_unknown_output_is_named(server: Server) -> None:
    request = request_for(IMAGES)
    request.output_filter.append("logits")
    assert refusal(server.call, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "output tensor alias not found in signature: logits Outputs expected to be in the set {classes,predictions}.",
    )


def test_a_request_without_a_model_spec_is_refused(server: Server) -> None:
    assert refusal(server.call, predict_pb2.PredictRequest()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Missing ModelSpec",
    )


def test_fault_56_a_message_over_the_limit_is_refused_and_the_server_lives(server: Server) -> None:
    code, _ = refusal(server.predict, np.zeros((5400, 784), np.float32))  # 16.9 MB
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.predict(np.zeros((5300, 784), np.float32)).outputs["classes"].tensor_shape.dim[0].size == 5300


def test_fault_56_a_few_bytes_that_announce_a_huge_tensor_are_refused(server: Server) -> None:
    request = request_for(np.zeros(1, np.float32))
    del request.inputs["x"].tensor_shape.dim[:]
    for size in (1 << 30, 784):
        request.inputs["x"].tensor_shape.dim.add().size = size
    assert refusal(server.call, request) == (grpc.StatusCode.INVALID_ARGUMENT, "tensor parsing error: x")


def test_metadata_describes_the_signatures(server: Server) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "mnist"
    response = prediction_service_pb2_grpc.PredictionServiceStub(server.channel).GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    assert response.model_spec.version.value == 7
    assert {"serving_default", "classes"} <= set(signatures.signature_def)
    assert set(signatures.signature_def["classes"].outputs) == {"predictions", "classes"}


def test_status_lists_the_versions(server: Server) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "mnist"
    (one,) = server.model_service.GetModelStatus(request).model_version_status
    assert (one.version, one.state, one.status.error_code) == (7, one.State.AVAILABLE, 0)


def test_fault_57_status_of_an_unknown_version_is_not_found(server: Server) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "mnist"
    request.model_spec.version.value = 9
    assert refusal(server.model_service.GetModelStatus, request) == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find version 9 of model mnist",
    )


def test_what_only_tensorflow_model_server_does_is_said_to_be_missing(server: Server) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
    assert refusal(stub.MultiInference, inference_pb2.MultiInferenceRequest()) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "MultiInference is not part of the embedded server: use Predict.",
    )


@pytest.mark.parametrize("service", ["", "PredictionService"])
def test_health_is_serving_once_a_version_answers(server: Server, service: str) -> None:
    health = health_pb2_grpc.HealthStub(server.channel)
    server.wait(lambda: health.Check(health_pb2.HealthCheckRequest(service=service)).status == 1, seconds=5)


def test_the_log_says_that_this_is_the_embedded_server_and_nothing_of_tensorflow(server: Server) -> None:
    first = server.log().splitlines()[0]
    assert "this is the embedded model server (python -m serving), not tensorflow_model_server" in first
    assert "oneDNN" not in server.log()
