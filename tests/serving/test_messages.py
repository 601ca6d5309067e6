"""The messages without TensorFlow: the schema of the package that clients use."""

from __future__ import annotations

import json
import subprocess
import sys

from tensorflow_serving.apis import predict_pb2

from serving import messages

from .conftest import REPO


def test_the_data_file_is_what_the_installed_package_gives() -> None:
    program = (
        "import sys; sys.path.insert(0, 'web-ui'); import make_serving_api as made;"
        "print(made.serving_api(made.SERVER).hex())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=True)
    kept = (REPO / "serving" / "serving_api.binpb").read_bytes()
    assert kept.hex() == done.stdout.strip(), "run: python web-ui/make_serving_api.py"


def test_a_stock_clients_request_is_read_and_written_byte_for_byte() -> None:
    stock = predict_pb2.PredictRequest()
    stock.model_spec.name, stock.model_spec.version.value = "größer", 7
    stock.inputs["x"].float_val.extend([0.25, 1.5])
    sent = stock.SerializeToString(deterministic=True)
    ours = messages.PredictRequest.FromString(sent)
    assert ours.SerializeToString(deterministic=True) == sent
    assert (ours.model_spec.name, ours.model_spec.version.value) == ("größer", 7)


def test_importing_the_messages_imports_no_tensorflow() -> None:
    program = "import sys, json, serving.grpc_api, serving.rest_api; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=True)
    assert not [name for name in json.loads(done.stdout) if name.startswith(("tensorflow", "keras"))]
