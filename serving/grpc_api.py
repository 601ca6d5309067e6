"""The protocol over gRPC: PredictionService, ModelService and the standard health service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis.model_service_pb2_grpc import (
    ModelServiceServicer,
    add_ModelServiceServicer_to_server,
)
from tensorflow_serving.apis.prediction_service_pb2_grpc import (
    PredictionServiceServicer,
    add_PredictionServiceServicer_to_server,
)

from serving import handlers
from serving.configs import models_from_message
from serving.errors import ServingError, invalid
from serving.loader import Loader
from serving.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from serving.metrics import Metrics
from serving.models import Models

# The server as a whole, and the names that tensorflow_model_server reports (model_servers/server.cc).
_HEALTH_NAMES = ("", "ModelService", "PredictionService")


class Prediction(PredictionServiceServicer):
    """Predict and GetModelMetadata; the model computes on a worker thread, so the loop stays free."""

    def __init__(self, models: Models, metrics: Metrics, workers: Executor) -> None:
        self._models, self._metrics, self._workers = models, metrics, workers

    async def Predict(self, request: PredictRequest, context: grpc.aio.ServicerContext) -> PredictResponse:  # noqa: N802
        return await _answer(context, self._workers, self._predict, request)

    async def GetModelMetadata(  # noqa: N802
        self, request: GetModelMetadataRequest, context: grpc.aio.ServicerContext
    ) -> GetModelMetadataResponse:
        return await _answer(context, self._workers, handlers.metadata, self._models, request)

    async def Classify(self, request: Message, context: grpc.aio.ServicerContext) -> None:  # noqa: N802
        await _unimplemented(context, "Classify")

    async def Regress(self, request: Message, context: grpc.aio.ServicerContext) -> None:  # noqa: N802
        await _unimplemented(context, "Regress")

    async def MultiInference(self, request: Message, context: grpc.aio.ServicerContext) -> None:  # noqa: N802
        await _unimplemented(context, "MultiInference")

    def _predict(self, request: PredictRequest) -> PredictResponse:
        with self._metrics.observe(request.model_spec.name, "GRPC"):
            return handlers.predict(self._models, request)


class ModelState(ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest (model_servers/model_service_impl.cc)."""

    def __init__(self, models: Models, loader: Loader) -> None:
        self._models, self._loader = models, loader

    async def GetModelStatus(  # noqa: N802
        self, request: GetModelStatusRequest, context: grpc.aio.ServicerContext
    ) -> GetModelStatusResponse:
        return await _answer(context, None, handlers.status, self._models, request)

    async def HandleReloadConfigRequest(  # noqa: N802
        self, request: ReloadConfigRequest, context: grpc.aio.ServicerContext
    ) -> ReloadConfigResponse:
        return await _answer(context, None, self._reload, request)

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


def add_services(server: grpc.aio.Server, models: Models, loader: Loader, metrics: Metrics, workers: Executor) -> None:
    """Register both services of the protocol."""
    add_PredictionServiceServicer_to_server(Prediction(models, metrics, workers), server)
    add_ModelServiceServicer_to_server(ModelState(models, loader), server)


async def _answer(
    context: grpc.aio.ServicerContext,
    threads: Executor | None,
    handler: Callable[..., Message],
    *args: object,
) -> Message:
    """Call a handler on a thread and turn its ServingError into the call's status."""
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, handler, *args)
    except ServingError as error:
        await context.abort(error.code, error.message)
        raise  # never reached: abort raises


async def _unimplemented(context: grpc.aio.ServicerContext, method: str) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not part of the embedded server: use Predict.")
