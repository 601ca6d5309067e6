"""Every row of conformance.yaml, asked of a version that LiteRT runs and of one that TensorFlow runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from .conftest import Server, running

Row = dict[str, Any]
ROWS = yaml.safe_load((Path(__file__).parent / "conformance.yaml").read_text())
REQUESTS = {
    "Predict": predict_pb2.PredictRequest,
    "Classify": classification_pb2.ClassificationRequest,
    "Regress": regression_pb2.RegressionRequest,
    "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}
CONFIG = """model_config_list {{ config {{ name: "mnist" base_path: "{0}" model_platform: "tensorflow"
                                       version_labels {{ key: "stable" value: 7 }} }} }}"""


@pytest.fixture(scope="module", params=["litert", "tensorflow"])
def asked(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    publish: Callable[..., Path],
    exported: Path,
    without_copy: Path,
) -> Iterator[Server]:
    base = tmp_path_factory.mktemp(request.param)
    publish(base, 7, exported if request.param == "litert" else without_copy)
    (base / "models.config").write_text(CONFIG.format(base))
    arguments = (f"--model_config_file={base / 'models.config'}", "--allow_version_labels_for_unavailable_models")
    with running(base / "log", *arguments) as server:
        server.base = base
        yield server.wait_for_version(7)


@pytest.mark.parametrize("row", ROWS["grpc"], ids=lambda row: row["name"])
def test_grpc_answers_as_tensorflow_model_server(asked: Server, row: Row) -> None:
    try:
        answer = call(asked, row)
    except grpc.RpcError as error:
        assert error.code().name == row["status"]
        check_words(row, error.details())
    else:
        assert row["status"] == "OK"
        if "version" in row:
            assert answer.model_spec.version.value == row["version"]
        if "states" in row:
            found = {one.version: one.State.Name(one.state) for one in answer.model_version_status}
            assert found == row["states"]
        if row["ask"] == "Predict":
            assert set(answer.outputs) == set(row.get("outputs", ["classes", "predictions"]))
            rows = {tensor.tensor_shape.dim[0].size for tensor in answer.outputs.values()}
            assert rows == {row["inputs"]["x"][0] if isinstance(row["inputs"]["x"], list) else 1}


@pytest.mark.parametrize("row", ROWS["rest"], ids=lambda row: row["name"])
def test_rest_answers_as_tensorflow_model_server(asked: Server, row: Row) -> None:
    if row.get("only", asked.base.name.rstrip("0")) != asked.base.name.rstrip("0"):
        pytest.skip("JSON of ten megabytes takes seconds, whoever computes: once is enough")
    status, answer = asked.http(row.get("get") or row["post"], body(row))
    assert status == row["status"]
    if status != 200:
        check_words(row, answer["error"])
    if "answer" in row:
        assert answer == row["answer"]
    if status == 200 and "images" in row:
        assert len(answer["predictions"]) == row["images"]


def test_every_row_says_where_its_answer_stands() -> None:
    for row in [*ROWS["grpc"], *ROWS["rest"]]:
        assert row["source"], row["name"]
        assert row["status"] in ("OK", 200) or ("message" in row) != ("begins" in row), row["name"]


def check_words(row: Row, said: str) -> None:
    if "begins" in row:
        assert said.startswith(row["begins"])
    elif row.get("echoes"):
        assert "".join(said.split()) == "".join(row["message"].split())
    else:
        assert said == row["message"]


def call(server: Server, row: Row) -> Any:
    message = REQUESTS[row["ask"]]()
    if row["ask"] == "HandleReloadConfigRequest":
        text_format.Parse(row["config"].replace("BASE", str(server.base)), message.config)
    elif (spec := row.get("spec", {})) is not None:
        message.model_spec.name = spec.get("name", "mnist")
        message.model_spec.signature_name = spec.get("signature", "")
        if "version" in spec:
            message.model_spec.version.value = spec["version"]
        if "label" in spec:
            message.model_spec.version_label = spec["label"]
    for alias, form in row.get("inputs", {}).items():
        message.inputs[alias].CopyFrom(tensor(form if isinstance(form, dict) else {"shape": form}))
    if "outputs" in row:
        message.output_filter.extend(row["outputs"])
    if "fields" in row:
        message.metadata_field.extend(row["fields"])
    model = row["ask"] in ("GetModelStatus", "HandleReloadConfigRequest")
    stubs = (prediction_service_pb2_grpc.PredictionServiceStub, model_service_pb2_grpc.ModelServiceStub)
    return getattr(stubs[model](server.channel), row["ask"])(message, timeout=20)


def tensor(form: Row) -> Any:
    values = np.full(form["shape"], form.get("value", 0.5), form.get("dtype", "float32"))
    made = tf.make_tensor_proto(values.astype(object) if values.dtype.kind == "U" else values)
    if "content" in form:
        made.tensor_content = form["content"].encode()
    return made


def body(row: Row) -> object:
    if "get" in row:
        return None
    if "images" in row:
        return b'{"instances": [' + b",".join([b"[" + b",".join([b"0.5"] * 784) + b"]"] * row["images"]) + b"]}"
    if "blanks" in row:
        return b" " * row["blanks"]
    return row["text"].encode() if "text" in row else json.dumps(row["body"]).encode()
