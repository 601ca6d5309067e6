"""A small gRPC server that speaks Predict with the UI's own messages: a part of a test, or a process."""

from __future__ import annotations

import sys
import time
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc

from webui import serving_api


@dataclass
class Behaviour:
    """What the server does next; a test changes it while the server runs."""

    digit: int = 7
    version: int = 1763900000
    error: tuple[grpc.StatusCode, str] | None = None
    failures: int | None = None  # of the next predictions; unless given, all
    delay_s: float = 0.0
    raw: bytes | None = None
    packed: bool = False
    versions: tuple[int, ...] = ()
    requests: list[Any] = field(default_factory=list)


def status(behaviour: Behaviour) -> bytes:
    """A GetModelStatusResponse in which `versions`, or else the one version, are AVAILABLE."""
    response = serving_api.StatusResponse()
    for number in behaviour.versions or (behaviour.version,):
        response.model_version_status.add(version=number, state=30)
    return response.SerializeToString()


def answer(behaviour: Behaviour, version: int = 0) -> bytes:
    """A PredictResponse in which the digit has 0.91 and every other class 0.01, by the version or the usual one."""
    response = serving_api.PredictResponse()
    response.model_spec.version.value = version or behaviour.version
    shares = [0.91 if digit == behaviour.digit else 0.01 for digit in range(10)]
    predictions, classes = response.outputs["predictions"], response.outputs["classes"]
    predictions.dtype, classes.dtype = serving_api.DT_FLOAT, serving_api.DT_INT64
    for size in (1, 10):
        predictions.tensor_shape.dim.add(size=size)
    classes.tensor_shape.dim.add(size=1)
    if behaviour.packed:
        predictions.tensor_content = serving_api.array("f", shares).tobytes()
        classes.tensor_content = serving_api.array("q", [behaviour.digit]).tobytes()
    else:
        predictions.float_val.extend(shares)
        classes.int64_val.append(behaviour.digit)
    return response.SerializeToString()


def serve(behaviour: Behaviour, port: int = 0, host: str = "127.0.0.1") -> tuple[grpc.Server, int]:
    """Start a server on a loopback port (0: any); return it and its port."""

    def predict(message: bytes, context: grpc.ServicerContext) -> bytes:
        request = serving_api.PredictRequest.FromString(message)
        behaviour.requests.append(request)
        time.sleep(behaviour.delay_s)
        if behaviour.error and behaviour.failures != 0:
            if behaviour.failures:
                behaviour.failures -= 1
            context.abort(*behaviour.error)
        return answer(behaviour, request.model_spec.version.value) if behaviour.raw is None else behaviour.raw

    def versions(message: bytes, context: grpc.ServicerContext) -> bytes:
        time.sleep(behaviour.delay_s)
        if behaviour.error:
            context.abort(*behaviour.error)
        return status(behaviour)

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=80), options=[("grpc.so_reuseport", 0)])
    for path, view in ((serving_api.PREDICT, predict), (serving_api.STATUS, versions)):
        service, method = path.strip("/").split("/")
        handler = {method: grpc.unary_unary_rpc_method_handler(view)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handler),))
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, bound


if __name__ == "__main__":
    running, on = serve(Behaviour(), int(sys.argv[1]))
    print(on, flush=True)
    running.wait_for_termination()
