"""The same over HTTP, with urllib and with plain curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trainer.servable import REFUSAL

from .conftest import Server, expected

IMAGES = np.random.default_rng(2).random((3, 784), np.float32)
PREDICT = "/v1/models/mnist:predict"


def test_rows_give_one_prediction_each(server: Server) -> None:
    status, answer = server.http(PREDICT, {"instances": IMAGES.tolist()})
    assert status == 200
    np.testing.assert_allclose([row["predictions"] for row in answer["predictions"]], expected(IMAGES), 1e-4, 1e-6)
    assert [row["classes"] for row in answer["predictions"]] == expected(IMAGES).argmax(axis=1).tolist()


@pytest.mark.parametrize("inputs", [IMAGES.tolist(), {"x": IMAGES.reshape(3, 28, 28).tolist()}])
def test_columns_give_one_tensor_a_name(server: Server, inputs: object) -> None:
    status, answer = server.http(PREDICT, {"signature_name": "classes", "inputs": inputs})
    assert status == 200
    np.testing.assert_allclose(answer["outputs"]["predictions"], expected(IMAGES), 1e-4, 1e-6)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_plain_curl_gets_a_right_prediction(server: Server, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps({"instances": [{"x": row} for row in IMAGES.tolist()]}))
    url = f"http://127.0.0.1:{server.rest_port}/v1/models/mnist/versions/7:predict"
    done = subprocess.run(
        ["curl", "--silent", "--fail", "-d", f"@{tmp_path / 'body.json'}", url],
        capture_output=True,
        check=True,
    )
    answers = json.loads(done.stdout)["predictions"]
    assert [one["classes"] for one in answers] == expected(IMAGES).argmax(axis=1).tolist()


def test_status_has_tensorflow_servings_form(server: Server) -> None:
    one = {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert server.http("/v1/models/mnist") == (200, {"model_version_status": [one]})
    assert server.http("/v1/models/mnist/versions/7") == (200, {"model_version_status": [one]})


def test_metadata_has_tensorflow_servings_form(server: Server) -> None:
    status, answer = server.http("/v1/models/mnist/metadata")
    assert (status, answer["model_spec"]["version"]) == (200, "7")
    x = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["x"]
    assert (x["dtype"], x["tensor_shape"]["unknown_rank"]) == ("DT_FLOAT", True)


# model_servers/http_rest_api_handler.cc, http_rest_api_util.cc and util/json_tensor.cc of tensorflow/serving
REFUSED = {
    "model": (
        "/v1/models/nope:predict",
        {"instances": [1.0]},
        404,
        "Servable not found for request: Latest(nope)",
    ),
    "version": (
        "/v1/models/mnist/versions/8:predict",
        {"instances": [1.0]},
        404,
        "Servable not found for request: Specific(mnist, 8)",
    ),
    "label": (
        "/v1/models/mnist/labels/stable:predict",
        {"instances": [1.0]},
        400,
        "Unrecognized servable version label: stable",
    ),
    "status of a model": ("/v1/models/nope", None, 404, "Could not find any versions of model nope"),
    "status of a version": (
        "/v1/models/mnist/versions/8",
        None,
        404,
        "Could not find version 8 of model mnist",
    ),
    "no model": ("/v1/models", None, 400, "Missing model name in request."),
    "path": ("/v1/modells/mnist", None, 400, "Malformed request: GET /v1/modells/mnist"),
    "method": ("/v1/models/mnist", {}, 400, "Malformed request: POST /v1/models/mnist"),
    "huge version": (
        f"/v1/models/mnist/versions/{1 << 64}",
        None,
        400,
        f"Failed to convert version: {1 << 64} to numeric.",
    ),
    "elsewhere": ("/favicon.ico", None, 404, "Not found: /favicon.ico"),
    "empty body": (PREDICT, b"", 400, "JSON Parse error: The document is empty"),
    "no object": (PREDICT, [1], 400, "JSON Value: [1] Is not object"),
    "no key": (PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
    "no rows": (
        PREDICT,
        {"instances": []},
        400,
        "JSON Value: {\"instances\": []} No values in 'instances' array",
    ),
    "signature": (
        PREDICT,
        {"signature_name": "nope", "instances": [1.0]},
        400,
        'Serving signature name: "nope" not found in signature def',
    ),
    "input": (PREDICT, {"inputs": {"y": [1.0]}}, 400, "Missing named input: x in 'inputs' object."),
    "type": (
        PREDICT,
        {"inputs": ["seven"]},
        400,
        'JSON Value: "seven" Type: String is not of expected type: float',
    ),
    "ragged": (
        PREDICT,
        {"instances": [[1.0, 2.0], [1.0]]},
        400,
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
        "Expecting tensor size: 2 but got: 1",
    ),
    "ragged column": (
        PREDICT,
        {"inputs": [[1.0, 2.0], [1.0]]},
        400,
        "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    "too exact": (
        PREDICT,
        {"inputs": [16777217]},
        400,
        "Cannot convert JSON value: 16777217 to float without loss of precision.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_fault_54_a_wrong_request_gets_tensorflow_servings_status_and_words(server: Server, case: str) -> None:
    path, body, status, message = REFUSED[case]
    assert server.http(path, body) == (status, {"error": message})


@pytest.mark.parametrize(
    "body", [b"{", b'{"instances": [1,]}', b"\xff\xfe", b"[" * 5000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_text_that_is_no_json_is_a_bad_request(server: Server, body: bytes) -> None:
    status, answer = server.http(PREDICT, body)
    assert status == 400
    assert answer["error"].startswith("JSON Parse error: ")


def test_fault_54_a_wrong_shape_is_told_in_tensorflows_words(server: Server) -> None:
    status, answer = server.http(PREDICT, {"instances": [[0.5] * 785]})
    assert status == 400
    assert answer["error"].startswith(f"assertion failed: [{REFUSAL}] [1 785]")


def test_fault_56_a_body_over_the_limit_is_refused_and_the_server_lives(server: Server) -> None:
    status, answer = server.http(PREDICT, b" " * ((32 << 20) + 1))
    assert (status, answer) == (
        413,
        {"error": "The body is larger than the 33554432 bytes that this server takes"},
    )
    assert server.http("/v1/models/mnist")[0] == 200


def test_metrics_count_requests_under_tensorflow_servings_names(server: Server) -> None:
    def count(status: str) -> float:
        page = server.http("/monitoring/prometheus/metrics")[1]
        name = f':tensorflow:serving:request_count{{model_name="mnist",status="{status}"}} '
        return next((float(line.removeprefix(name)) for line in page.splitlines() if line.startswith(name)), 0.0)

    before = count("OK"), count("INVALID_ARGUMENT")
    server.predict(IMAGES)
    server.http(PREDICT, {"instances": IMAGES.tolist()})
    server.http(PREDICT, {"instances": [[1.0]]})
    assert (count("OK"), count("INVALID_ARGUMENT")) == (before[0] + 2, before[1] + 1)


def test_metrics_have_no_series_for_names_that_nobody_serves(server: Server) -> None:
    server.http("/v1/models/wild-name:predict", {"instances": [1.0]})
    assert "wild-name" not in server.http("/monitoring/prometheus/metrics")[1]
