"""The protocol over HTTP: model status, metadata, predict, and the page of metrics."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from urllib.parse import unquote

from aiohttp import web
from google.protobuf.json_format import MessageToDict, MessageToJson

from serving import handlers
from serving.errors import HTTP_STATUS, Code, ServingError, invalid
from serving.messages import GetModelMetadataRequest, GetModelStatusRequest, ModelSpec, SignatureDefMap
from serving.metrics import CONTENT_TYPE, Metrics
from serving.models import Models
from serving.rest_json import dump_predict, parse_predict

# The largest body, in bytes: 2,000 images of 784 numbers as text. Larger ones get 413.
MAX_BODY_BYTES = 32 << 20

# How long a client may take to fetch its answer once all are computed and the server stops.
_LAST_SECONDS = 5.0

# tensorflow_serving/model_servers/http_rest_api_util.cc
_MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(rf"{_MODEL}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
_GET = re.compile(rf"{_MODEL}(?:/(metadata))?", re.IGNORECASE | re.ASCII)
_NO_NAME = re.compile(r"/v1/models(/metadata)?", re.IGNORECASE)


class RestServer:
    """The HTTP side: `start` on a listening socket, `stop` when what is running has been answered."""

    def __init__(self, models: Models, metrics: Metrics, metrics_path: str | None, workers: Executor) -> None:
        self._api = _Api(models, metrics, metrics_path, workers)
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._count])
        app.router.add_route("*", "/{path:.*}", self._api.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_SECONDS)
        self._running = 0
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self, sock: socket.socket) -> None:
        """Answer what comes in on this socket."""
        await self._runner.setup()
        self._site = web.SockSite(self._runner, sock)
        await self._site.start()

    async def stop(self, grace: float) -> None:
        """Take no new connection, wait up to so many seconds for the running requests, close.

        aiohttp's own shutdown reads no more of a body that is still coming in: that request would be lost.
        """
        self._stopping.set()
        await self._site.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)
        await self._runner.cleanup()

    @web.middleware
    async def _count(self, request: web.Request, handler: Callable) -> web.StreamResponse:
        self._running += 1
        self._idle.clear()
        try:
            response = await handler(request)
            if self._stopping.is_set():
                response.force_close()
            return response
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()


class _Api:
    def __init__(self, models: Models, metrics: Metrics, metrics_path: str | None, workers: Executor) -> None:
        self._models, self._metrics, self._metrics_path, self._workers = (
            models,
            metrics,
            metrics_path,
            workers,
        )

    async def answer(self, request: web.Request) -> web.Response:
        """One request to one response; whatever is wrong becomes its status and `{"error": …}`."""
        if request.path == self._metrics_path:
            return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE})
        path = request.rel_url.raw_path
        if not path.lower().startswith("/v1/"):
            return _error(404, f"Not found: {path}")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _error(413, f"The body is larger than the {MAX_BODY_BYTES} bytes that this server takes")
        run = asyncio.get_running_loop().run_in_executor
        try:
            text = await run(self._workers, self._respond, request.method, path, body)
        except ServingError as error:
            return _error(HTTP_STATUS[error.code], error.message)
        return web.Response(text=text, content_type="application/json")

    def _respond(self, method: str, path: str, body: bytes) -> str:
        """The JSON that answers; on a worker thread (http_rest_api_handler.cc, ProcessRequest)."""
        if method == "POST" and (match := _POST.fullmatch(path)):
            return self._post(_spec(match), match[4].lower(), body)
        if method == "GET" and (match := _GET.fullmatch(path)):
            return (self._metadata if match[4] else self._status)(_spec(match))
        if method == "GET" and _NO_NAME.fullmatch(path):
            raise invalid("Missing model name in request.")
        raise invalid(f"Malformed request: {method} {path}")

    def _post(self, spec: ModelSpec, verb: str, body: bytes) -> str:
        if verb != "predict":
            raise ServingError(Code.UNIMPLEMENTED, f"{verb} is not part of the embedded server: use predict.")
        with self._metrics.observe(spec.name, "REST"):
            request, row = parse_predict(body, spec, lambda named: handlers.input_infos(self._models, named))
            with handlers.leased(self._models, request) as servable:
                return dump_predict(handlers.predict(servable, request), row)

    def _status(self, spec: ModelSpec) -> str:
        response = handlers.status(self._models, GetModelStatusRequest(model_spec=spec))
        return MessageToJson(response, **_ALL_FIELDS) + "\n"

    def _metadata(self, spec: ModelSpec) -> str:
        request = GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        response = handlers.metadata(self._models, request)
        signatures = SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        document = {
            "model_spec": MessageToDict(response.model_spec, **_ALL_FIELDS),
            "metadata": {"signature_def": MessageToDict(signatures, **_ALL_FIELDS)},
        }
        return json.dumps(document, indent=1) + "\n"


_ALL_FIELDS = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}


def _spec(match: re.Match[str]) -> ModelSpec:
    spec = ModelSpec(name=unquote(match[1]))
    if match[2] is not None:
        if int(match[2]) >= 1 << 63:
            raise invalid(f"Failed to convert version: {match[2]} to numeric.")
        spec.version.value = int(match[2])
    if match[3] is not None:
        spec.version_label = unquote(match[3])
    return spec


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
