"""Asks model servers for digits over gRPC: at checked addresses only, every call with a deadline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import grpc

from webui import limits, problems, serving_api
from webui.addresses import Addresses
from webui.channels import Channels
from webui.servers import Server
from webui.serving_api import Prediction, Version

log = logging.getLogger("webui.client")

_BURST_S = 0.2  # a call takes milliseconds: of more than may be made at once, the others' turn comes soon


class Predictor:
    """Asks for predictions, from any thread. A channel opens at the first call to its server."""

    def __init__(
        self,
        deadline_s: float = 5.0,
        most_at_once: int = limits.PREDICTIONS_AT_ONCE,
        addresses: Addresses | None = None,
    ) -> None:
        """`deadline_s`: seconds for one call, looking its server up included. `most_at_once`: calls in flight;
        more are refused after a moment, so that a server that hangs cannot take every thread of this process.
        `addresses`: says which servers may be called and where they are; any may be unless given."""
        self._deadline_s = deadline_s
        self._slots = threading.BoundedSemaphore(most_at_once)
        self._addresses = addresses or Addresses()
        self._channels = Channels()

    def predict(
        self, server: Server, model: str, image: bytes | Sequence[float], version: int | None = None
    ) -> Prediction:
        """Ask `server` what digit `image` is (784 bytes 0–255, or floats 0–1); or raise a Problem.

        Without a version the server chooses: the newest that it has, or what a router in front of it draws.
        """
        message = serving_api.request(model, image, version).SerializeToString()
        if not self._slots.acquire(timeout=_BURST_S):
            raise problems.NotReady("Too many predictions are waiting already; try again shortly.")
        try:
            started = time.perf_counter()
            answer = self._call(server, serving_api.PREDICT)(message, timeout=self._deadline_s)
            latency_ms = (time.perf_counter() - started) * 1000
        except grpc.RpcError as error:
            raise self._problem(error, server, model, version) from error
        finally:
            self._slots.release()
        try:
            return serving_api.prediction(answer, latency_ms)
        except ValueError as error:
            raise problems.BadAnswer(f"The model at {server} answered, but {error}.") from error

    def versions(self, server: Server, model: str, timeout_s: float = 1.0) -> tuple[Version, ...]:
        """The versions that `server` has or had, the highest first; none where it does not say.

        It is a help beside a prediction, which says better what fails. Raises Refused for a server that may not be
        asked.
        """
        message = serving_api.status_request(model).SerializeToString()
        try:
            return serving_api.versions(self._call(server, serving_api.STATUS)(message, timeout=timeout_s))
        except problems.Refused:
            raise
        except (grpc.RpcError, problems.Problem, ValueError) as error:
            code = error.code().name if isinstance(error, grpc.RpcError) else error
            log.info("versions of model %r at %s: %s", model, server, code)
            return ()

    def close(self) -> None:
        """Close every channel; a later call opens a new one."""
        self._channels.close()

    def _call(self, server: Server, method: str) -> Callable[..., bytes]:
        """What calls `method` of `server`: bytes in, bytes out, for gRPC logs a traceback when a deserializer of
        its own fails. It raises what `Addresses.of` does, or grpc.RpcError."""
        return partial(self._called, server, method)

    def _called(self, server: Server, method: str, message: bytes, timeout: float) -> bytes:
        began = time.monotonic()
        addresses = self._addresses.of(server, timeout)
        left = timeout - (time.monotonic() - began)
        with self._channels.to(server, addresses) as channel:
            return bytes(channel.unary_unary(method)(message, timeout=left))

    def _problem(self, error: grpc.RpcError, server: Server, model: str, version: int | None) -> problems.Problem:
        """The sentence for a failed call; the server's own words go to the log, on one line."""
        code, details = error.code(), " ".join((error.details() or "").split())
        log.warning("predict at %s, model %r: %s: %.300s", server, model, code.name, details)
        match code:
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:  # the second: it is just stopping
                return problems.ServerDown(
                    f"No model server answers at {server}. Once one does, this page finds it by itself."
                )
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return problems.TooSlow(
                    f"The model server at {server} gave no answer within {self._deadline_s:g} seconds."
                )
            case grpc.StatusCode.NOT_FOUND:
                if version is not None:
                    return problems.UnknownModel(f"The server at {server} has no version {version} of “{model}”.")
                return problems.UnknownModel(f"The server at {server} serves no model “{model}”, or not yet.", "name")
            case grpc.StatusCode.INVALID_ARGUMENT:
                return problems.BadAnswer(
                    f"The model “{model}” at {server} does not take a 28×28 image of a digit as its input x."
                )
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                return problems.NotReady(f"The model server at {server} is too busy; try again shortly.")
            case grpc.StatusCode.UNIMPLEMENTED:
                return problems.BadAnswer(f"What answers at {server} is no TensorFlow model server.")
        return problems.BadAnswer(f"The model server at {server} failed ({code.name}); its log says why.")
