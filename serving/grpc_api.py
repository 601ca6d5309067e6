"""The protocol over gRPC: PredictionService, ModelService and the standard health service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from serving import handlers, messages, predicting
from serving.configs import models_from_message
from serving.dispatch import Dispatch
from serving.errors import Code, ServingError, invalid
from serving.loader import Loader
from serving.messages import PredictRequest, PredictResponse, ReloadConfigRequest, ReloadConfigResponse
from serving.metrics import Metrics
from serving.models import Models

# The server as a whole, and the names that tensorflow_model_server reports (model_servers/server.cc).
_HEALTH_NAMES = ("", "ModelService", "PredictionService")

# Calls that are answered at a time, beyond which one is told RESOURCE_EXHAUSTED; what they hold in memory at most is
# as many messages. Counted here: gRPC's own `maximum_concurrent_rpcs` costs every call a tenth of its time, and would
# refuse the health checks too.
MAX_CALLS = 128

Handler = Callable[[Any], Awaitable[Message]]


@dataclass
class Running:
    """How many calls are being answered."""

    calls: int = 0


def add_services(server: grpc.aio.Server, models: Models, loader: Loader, metrics: Metrics, dispatch: Dispatch) -> None:
    """Register both services of the protocol."""
    prediction, state = Prediction(models, metrics, dispatch), ModelState(models, loader)
    services: dict[str, dict[str, Handler]] = {
        "PredictionService": {
            "Predict": prediction.predict,
            "GetModelMetadata": prediction.metadata,
            "Classify": prediction.classify,
            "Regress": prediction.regress,
            "MultiInference": prediction.multi_inference,
        },
        "ModelService": {"GetModelStatus": state.status, "HandleReloadConfigRequest": state.reload},
    }
    running = Running()
    for service, methods in services.items():
        calls = {name: unary(handler, *_MESSAGES[name], running) for name, handler in methods.items()}
        name = f"tensorflow.serving.{service}"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, calls),))


class Prediction:
    """Predict and what else clients ask of a model."""

    def __init__(self, models: Models, metrics: Metrics, dispatch: Dispatch) -> None:
        self._models, self._metrics, self._dispatch = models, metrics, dispatch

    async def predict(self, request: PredictRequest) -> PredictResponse:
        """The outputs."""
        with self._metrics.observe(request.model_spec.name, "GRPC"):
            return predicting.response(await self._dispatch.predict(request))

    async def metadata(self, request: Message) -> Message:
        """The signatures."""
        return handlers.metadata(self._models, request)

    async def classify(self, request: Message) -> Message:
        """No: the signatures that this server runs are Predict's."""
        raise handlers.not_predict(self._models, request, "classify")

    async def regress(self, request: Message) -> Message:
        """No: the signatures that this server runs are Predict's."""
        raise handlers.not_predict(self._models, request, "regress")

    async def multi_inference(self, request: Message) -> Message:
        """No."""
        raise ServingError(Code.UNIMPLEMENTED, "MultiInference is not part of the embedded server: use Predict.")


class ModelState:
    """GetModelStatus and HandleReloadConfigRequest (model_servers/model_service_impl.cc)."""

    def __init__(self, models: Models, loader: Loader) -> None:
        self._models, self._loader = models, loader

    async def status(self, request: Message) -> Message:
        """The versions and their states."""
        return handlers.status(self._models, request)

    async def reload(self, request: ReloadConfigRequest) -> ReloadConfigResponse:
        """Serve what the request says from now on; answered when that is loaded."""
        return await asyncio.to_thread(self._reload, request)

    def _reload(self, request: ReloadConfigRequest) -> ReloadConfigResponse:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        try:
            configs = models_from_message(request.config)
        except ValueError as error:
            raise invalid(str(error)) from error
        self._loader.configure(configs)
        return ReloadConfigResponse()


class Health:
    """grpc.health.v1, SERVING while every model has a version that answers."""

    def __init__(self) -> None:
        self._servicer = health.aio.HealthServicer()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the service."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set(self, ready: bool) -> None:
        """Tell and keep telling whether requests will be answered."""
        state = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in _HEALTH_NAMES:
            await self._servicer.set(name, state)

    async def stop(self) -> None:
        """Not serving from now on, whatever `set` says later."""
        await self._servicer.enter_graceful_shutdown()


_MESSAGES = {
    "Predict": (messages.PredictRequest, messages.PredictResponse),
    "GetModelMetadata": (messages.GetModelMetadataRequest, messages.GetModelMetadataResponse),
    "Classify": (messages.ClassificationRequest, messages.ClassificationResponse),
    "Regress": (messages.RegressionRequest, messages.RegressionResponse),
    "MultiInference": (messages.MultiInferenceRequest, messages.MultiInferenceResponse),
    "GetModelStatus": (messages.GetModelStatusRequest, messages.GetModelStatusResponse),
    "HandleReloadConfigRequest": (messages.ReloadConfigRequest, messages.ReloadConfigResponse),
}


def unary(handler: Handler, asked: type[Message], answered: type[Message], running: Running) -> grpc.RpcMethodHandler:
    """The handler as a gRPC method; its ServingError becomes the call's status."""

    async def call(request: Message, context: grpc.aio.ServicerContext) -> Message:
        if running.calls >= MAX_CALLS:
            await context.abort(Code.RESOURCE_EXHAUSTED, f"{MAX_CALLS} calls are being answered: try again")
        running.calls += 1
        try:
            return await handler(request)
        except ServingError as error:
            await context.abort(error.code, error.message)
            raise  # never reached: abort raises
        finally:
            running.calls -= 1

    return grpc.unary_unary_rpc_method_handler(call, asked.FromString, answered.SerializeToString)
