"""The protocol over HTTP: model status, metadata, predict, and the page of metrics."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import HttpVersion11, web
from google.protobuf.json_format import MessageToDict, MessageToJson

from serving import handlers
from serving.dispatch import Dispatch
from serving.errors import HTTP_STATUS, ServingError, invalid
from serving.messages import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelSpec,
    SignatureDefMap,
)
from serving.metrics import CONTENT_TYPE, Metrics
from serving.models import Models
from serving.rest_answers import dump_predict
from serving.rest_bodies import Bodies, BodyError
from serving.rest_json import parse_examples, parse_predict

# How long a connection may be without a whole request, and a body may take to come in.
PATIENCE_SECONDS = 30.0

# How long a client may take to fetch its answer once all are computed and the server stops.
_LAST_SECONDS = 5.0

# How long a connection on which nothing happens is kept when the server stops, in seconds: a request may be on its
# way. The next answer on it says that it is the last.
_LINGER = 1.0

# tensorflow_serving/model_servers/http_rest_api_util.cc
_MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(rf"{_MODEL}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
_GET = re.compile(rf"{_MODEL}(?:/(metadata))?", re.IGNORECASE | re.ASCII)
_NO_NAME = re.compile(r"/v1/models(/metadata)?", re.IGNORECASE)


_JSON = {"Content-Type": "application/json; charset=utf-8"}

# Bodies of so many bytes, four images, and their answers are read and written where they come in: it takes 0.1 ms, as
# long as a thread's turn.
_SMALL = 16 << 10


class RestServer:
    """The HTTP side: `start` on a listening socket, `stop` when what is running has been answered."""

    def __init__(
        self,
        models: Models,
        metrics: Metrics,
        metrics_path: str | None,
        dispatch: Dispatch,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._api = _Api(models, metrics, metrics_path, dispatch, Bodies(patience))
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=_LAST_SECONDS)
        self._patience = patience
        self._running: set[web.RequestHandler] = set()
        self._answered: dict[web.RequestHandler, float] = {}
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self, sock: socket.socket) -> None:
        """Answer what comes in on this socket."""
        await self._runner.setup()
        self._site = web.SockSite(self._runner, sock)
        await self._site.start()
        self._cutting = asyncio.create_task(self._cut_idle())

    async def stop(self, grace: float) -> None:
        """Take no new connection, wait up to so many seconds for the running requests, close.

        aiohttp's own shutdown reads no more of a body that is still coming in: that request would be lost.
        """
        self._stopping.set()
        self._cutting.cancel()
        await self._site.stop()
        for _ in range(round(_LINGER / 0.02)):
            if self._runner.server.connections:
                await asyncio.sleep(0.02)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._running.add(request.protocol)
        self._idle.clear()
        try:
            response = await self._api.answer(request)
            if self._stopping.is_set():
                response.force_close()
            return response
        finally:
            self._running.discard(request.protocol)
            self._answered[request.protocol] = time.monotonic()
            if not self._running:
                self._idle.set()

    async def _cut_idle(self) -> None:
        """End connections without a request for so long: headers that never end, answers that nobody fetches."""
        since: dict[web.RequestHandler, float] = {}
        while True:
            await asyncio.sleep(self._patience / 4)
            now, open_ones = time.monotonic(), set(self._runner.server.connections)
            idle = [one for one in open_ones if one not in self._running]
            since = {one: max(since.get(one, now), self._answered.get(one, 0.0)) for one in idle}
            self._answered.clear()
            for connection, began in since.items():
                if now - began > self._patience and connection.transport is not None:
                    connection.transport.abort()


class _Api:
    def __init__(
        self, models: Models, metrics: Metrics, metrics_path: str | None, dispatch: Dispatch, bodies: Bodies
    ) -> None:
        self._models, self._metrics, self._metrics_path = models, metrics, metrics_path
        self._dispatch, self._bodies = dispatch, bodies

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """One request to one response; whatever is wrong becomes its status and `{"error": …}`."""
        if request.path == self._metrics_path:
            return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE})
        path = request.rel_url.raw_path
        if not path.lower().startswith("/v1/"):
            return _error(404, f"Not found: {path}")
        try:
            await _go_on(request)
            async with self._bodies.read(request) as body:
                text = await self._respond(request.method, path, body)
        except BodyError as error:
            return _error(error.status, str(error))
        except ServingError as error:
            return _error(HTTP_STATUS[error.code], error.message)
        return web.Response(body=text.encode(), headers=_JSON)

    async def _respond(self, method: str, path: str, body: bytes) -> str:
        """The JSON that answers (http_rest_api_handler.cc, ProcessRequest)."""
        if method == "POST" and (match := _POST.fullmatch(path)):
            return await self._post(path, _spec(match), match[4], body)
        if method == "GET" and (match := _GET.fullmatch(path)):
            told = self._metadata if match[4] == "metadata" else self._status
            return await self._dispatch.apart(told, _spec(match))  # protobuf's JSON takes a millisecond
        if method == "GET" and _NO_NAME.fullmatch(path):
            raise invalid("Missing model name in request.")
        raise invalid(f"Malformed request: {method} {path}")

    async def _post(self, path: str, spec: ModelSpec, verb: str, body: bytes) -> str:
        if verb not in ("predict", "classify", "regress"):  # the path matches in any case, the verb does not
            raise invalid(f"Malformed request: POST {path}")
        call = _here if len(body) <= _SMALL else self._dispatch.apart
        if verb != "predict":
            request = ClassificationRequest(model_spec=spec)
            await call(parse_examples, body, request.model_spec)
            raise handlers.not_predict(self._models, request, verb)
        with self._metrics.observe(spec.name, "REST"):
            request, row = await call(parse_predict, body, spec, partial(handlers.input_infos, self._models))
            answer = await self._dispatch.predict(request)
            return await call(dump_predict, answer.outputs, row)

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


async def _go_on(request: web.BaseRequest) -> None:
    """Tell who waits for a word before sending a large body, as curl does, to send it (RFC 9110, 10.1.1)."""
    expected = request.headers.get("Expect")
    if expected and request.version == HttpVersion11:
        if expected.lower() != "100-continue":
            raise BodyError(417, f"Unknown Expect: {expected}")
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # else the answer's own headers are thought to be on their way


async def _here(function: Callable, *args: object) -> Any:
    return function(*args)


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
