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
    delay_s: float = 0.0
    raw: bytes | None = None
    packed: bool = False
    requests: list[Any] = field(default_factory=list)


def answer(behaviour: Behaviour) -> bytes:
    """A PredictResponse in which the digit has 0.91 and every other class 0.01."""
    response = serving_api.PredictResponse()
    response.model_spec.version.value = behaviour.version
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
        behaviour.requests.append(serving_api.PredictRequest.FromString(message))
        time.sleep(behaviour.delay_s)
        if behaviour.error:
            context.abort(*behaviour.error)
        return answer(behaviour) if behaviour.raw is None else behaviour.raw

    service, method = serving_api.PREDICT.strip("/").split("/")
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=80), options=[("grpc.so_reuseport", 0)])
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(predict)})
    server.add_generic_rpc_handlers((handler,))
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, bound


if __name__ == "__main__":
    running, on = serve(Behaviour(), int(sys.argv[1]))
    print(on, flush=True)
    running.wait_for_termination()
