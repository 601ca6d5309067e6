"""A small real version of the trainer's, and real server processes on free loopback ports."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from trainer import litert
from trainer.servable import Servable

REPO = Path(__file__).parents[2]
WEIGHTS = np.random.default_rng(7).normal(size=(784, 10)).astype(np.float32)
START_SECONDS = 60


def expected(images: np.ndarray) -> np.ndarray:
    """The model's answer, computed without TensorFlow: [N, 10]."""
    logits = images.reshape(-1, 784).astype(np.float64) @ WEIGHTS
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def write_checksums(folder: Path) -> None:
    files = {
        str(path.relative_to(folder)): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size": path.stat().st_size,
        }
        for path in folder.rglob("*")
        if path.is_file() and path.name != "checksums.json"
    }
    (folder / "checksums.json").write_text(json.dumps({"files": files}))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole version as the trainer writes it, with its LiteRT copy, not yet in any base folder."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    model = Servable("linear", [WEIGHTS, np.zeros(10, np.float32)])
    model.save(str(folder))
    (folder / "assets.extra").mkdir()
    litert.Copy(litert.convert(model), max_difference=0.0, test_examples=0).write(folder / "assets.extra")
    write_checksums(folder)
    return folder


@pytest.fixture(scope="session")
def without_copy(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same version with nothing for LiteRT: TensorFlow has to run it."""
    folder = shutil.copytree(exported, tmp_path_factory.mktemp("without") / "model")
    shutil.rmtree(folder / "assets.extra")
    write_checksums(folder)
    return folder


@pytest.fixture(scope="session")
def publish(exported: Path) -> Callable[[Path, int], Path]:
    """Puts a whole version into a base folder as the trainer does: under a partial name, then renamed."""

    def put(base: Path, version: int, source: Path = exported) -> Path:
        partial = base / f"{version}.partial-1"
        shutil.copytree(source, partial)
        return partial.rename(base / str(version))

    return put


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in socks]


@dataclass
class Server:
    """A server process, its two ports and its log."""

    folder: Path  # of its log
    arguments: tuple[str, ...]
    base: Path | None = None  # of the versions it serves
    port: int = 0
    rest_port: int = 0
    process: subprocess.Popen[bytes] | None = None
    channel: grpc.Channel | None = None

    def start(self) -> Server:
        if not self.port:
            self.port, self.rest_port = free_ports(2)
        argv = [sys.executable, "-m", "serving", f"--port={self.port}", f"--rest_api_port={self.rest_port}"]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen([*argv, *self.arguments], cwd=REPO, stdout=log, stderr=log)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        return self

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.channel.close()
        self.process.send_signal(number)
        return self.process.wait(30)

    def wait(self, what: Callable[[], Any], seconds: float = START_SECONDS) -> Any:
        """The first true answer of `what`; the log when there is none in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(OSError, grpc.RpcError):
                if answer := what():
                    return answer
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s; the log:\n{self.log()}")

    def wait_for_log(self, text: str) -> None:
        self.wait(lambda: text in self.log())

    def wait_for_version(self, version: int) -> Server:
        self.wait(lambda: self.predict(np.zeros((1, 784), np.float32)).model_spec.version.value == version)
        return self

    def predict(self, images: np.ndarray, **spec: Any) -> predict_pb2.PredictResponse:
        return self.call(request_for(images, **spec))

    def call(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel).Predict(request, timeout=20)

    @property
    def model_service(self) -> model_service_pb2_grpc.ModelServiceStub:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    def http(self, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer, parsed where it is JSON; a POST when there is a body."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest_port}{path}", data)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, _parsed(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error)


def request_for(
    images: np.ndarray,
    *,
    name: str = "mnist",
    alias: str = "x",
    version: int | None = None,
    label: str = "",
    signature: str = "serving_default",
) -> predict_pb2.PredictRequest:
    """What a stock client sends: tensorflow-serving-api's messages, TensorFlow's make_tensor_proto."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(images))
    return request


def _parsed(response: Any) -> Any:
    text = response.read().decode()
    return json.loads(text) if "json" in response.headers["Content-Type"] else text


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Server]:
    """A started server; whatever happens, no process is left."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder, arguments)
    try:
        yield server.start()
    finally:
        server.channel.close()
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait(30)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, publish: Callable[[Path, int], Path]) -> Iterator[Server]:
    """A server with version 7 of `mnist`, metrics and health; tests leave its folder alone."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "monitoring").write_text('prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }')
    publish(folder, 7)
    arguments = (
        "--model_name=mnist",
        f"--model_base_path={folder}",
        f"--monitoring_config_file={folder / 'monitoring'}",
        "--enable_grpc_healthcheck_service",
    )
    with running(folder / "log", *arguments) as started:
        yield started.wait_for_version(7)
        assert started.stop() == os.EX_OK
