"""Asks a running model server: which versions it has (REST), and what it sees in images (gRPC)."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline import records
from pipeline.errors import RunFailed
from pipeline.records import PIXELS
from pipeline.settings import ROOT

MESSAGES = ROOT / "web-ui" / "webui" / "serving_api.binpb"
"""TensorFlow Serving's messages as descriptors: the official package would import all of TensorFlow, 3 s."""

PREDICT = "/tensorflow.serving.PredictionService/Predict"
FLOAT = 1  # DT_FLOAT, tensorflow/core/framework/types.proto


@dataclass(frozen=True)
class Answers:
    """What the server said of some images: a digit and its probability for each, its version, milliseconds."""

    digits: list[int]
    probabilities: list[float]
    version: int
    milliseconds: float


Ask = Callable[[list[bytes]], Answers]
"""Sends images, of 784 grey bytes each, in one request."""


def statuses(rest: str, model: str) -> list[dict[str, Any]]:
    """The server's `model_version_status` list as GetModelStatus gives it; RunFailed where it does not answer."""
    url = f"http://{rest}/v1/models/{model}"
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:  # an address of our own making
            return list(json.load(reply)["model_version_status"])
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise RunFailed(f"the model server does not answer at {url}: {error}") from None


def versions(rest: str, model: str) -> dict[str, str]:
    """The server's versions and their states: AVAILABLE, LOADING, END, …"""
    return {status["version"]: status["state"] for status in statuses(rest, model)}


class NotServed(RunFailed):
    """The server refuses a version, or has not loaded it in time."""


def until_served(rest: str, model: str, tag: str, limit: float = 60.0, look: float = 0.0) -> None:
    """Wait until a version is AVAILABLE; NotServed as soon as the server refuses it, or after `limit` seconds.

    A server that has loaded nothing yet knows no such model: that passes too. One that refused the version earlier goes
    on saying so until it has tried again: what it says at first counts only after `look` seconds.
    """
    began, before = time.monotonic(), refusal(there(rest, model), tag)
    while True:
        known, waited = there(rest, model), time.monotonic() - began
        if known.get(tag, {}).get("state") == "AVAILABLE":
            return
        refused = refusal(known, tag)
        if refused and (refused != before or waited >= look):
            remedy = "`invoke train --force serve` makes another version"
            raise NotServed(f"the model server refuses version {tag}: {refused}\n  {remedy}")
        if waited > limit:
            has = ", ".join(f"{version} {one['state']}" for version, one in known.items()) or "none"
            raise NotServed(
                f"version {tag} is not served after {limit:g} s; there is: {has}; see `invoke logs serving`"
            )
        time.sleep(0.1)


def there(rest: str, model: str) -> dict[str, dict[str, Any]]:
    """The server's statuses by version; none where it does not answer, or knows no such model yet."""
    try:
        return {one["version"]: one for one in statuses(rest, model)}
    except RunFailed:
        return {}


def refusal(known: dict[str, dict[str, Any]], tag: str) -> str:
    """Why the server did not load a version, in its own words; empty where it says nothing of that."""
    return str(known.get(tag, {}).get("status", {}).get("error_message", ""))


def images(packed: bytes, count: int) -> list[tuple[bytes, int]]:
    """The first `count` of a test_images.zip: 784 grey bytes each, and the digit; RunFailed if it is damaged."""
    try:
        return records.images(packed, count)
    except ValueError as error:
        raise RunFailed(f"the version's test images cannot be read: {error}") from None


def predict(grpc_address: str, model: str, given: list[bytes], label: str = "", deadline: float = 10.0) -> Answers:
    """Send images (784 grey bytes each) in one Predict call; RunFailed with the server's status and words.

    `label` names a version by its label; without, the server takes the newest that it has loaded.
    """
    with calling(grpc_address, model, label, deadline) as call:
        return call(given)


@contextlib.contextmanager
def calling(grpc_address: str, model: str, label: str = "", deadline: float = 10.0) -> Iterator[Ask]:
    """Inside, a function that sends images as `predict` does, each time over the same connection."""
    import grpc

    with grpc.insecure_channel(grpc_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary(PREDICT, bytes, messages()[1].FromString)

        def ask(given: list[bytes]) -> Answers:
            request = request_of(model, given, label).SerializeToString()
            began = time.perf_counter()
            try:
                answer = call(request, timeout=deadline)
            except grpc.RpcError as error:
                raise RunFailed(f"{model} at {grpc_address} answered {error.code().name}: {error.details()}") from None
            return read(answer, (time.perf_counter() - began) * 1000)

        yield ask


def request_of(model: str, given: list[bytes], label: str) -> Any:
    """A PredictRequest for images."""
    request = messages()[0]()
    request.model_spec.name, request.model_spec.signature_name = model, "serving_default"
    if label:
        request.model_spec.version_label = label
    tensor = request.inputs["x"]
    tensor.dtype = FLOAT
    for size in (len(given), PIXELS):
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.extend(byte / 255 for byte in b"".join(given))
    return request


def healthy(grpc_address: str) -> None:
    """Ask the server's gRPC health service; RunFailed where it is not SERVING.

    The protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
    """
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(grpc_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.RpcError as error:
            raise RunFailed(f"{grpc_address} answered {error.code().name}: {error.details()}") from None
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        state = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
        raise RunFailed(f"the model server at {grpc_address} says that it is {state}")


@cache
def messages() -> tuple[Any, Any]:
    """The classes PredictRequest and PredictResponse."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(MESSAGES.read_bytes()).file:
        pool.Add(file)
    request, response = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
        for name in ("PredictRequest", "PredictResponse")
    )
    return request, response


def read(answer: Any, milliseconds: float) -> Answers:
    """The digits, the probability of each, and the version in a PredictResponse."""
    shares, classes = answer.outputs["predictions"], answer.outputs["classes"]
    probabilities = array("f", shares.tensor_content) if shares.tensor_content else shares.float_val
    digits = array("q", classes.tensor_content) if classes.tensor_content else classes.int64_val
    sure = [float(probabilities[10 * at + digit]) for at, digit in enumerate(digits)]
    return Answers(list(digits), sure, answer.model_spec.version.value, milliseconds)
