"""Passes gRPC calls on as bytes: headers, deadline, status and trailers as they are; no message is looked into."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import grpc

from serving.listening import SHARED

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # the model server says itself what is too large
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # in gRPC's C core the limit of one attempt to connect, and no pause
    ("grpc.max_reconnect_backoff_ms", 1000),
)

# All others may be streams, which are passed on message by message: one message is a stream too.
_UNARY = re.compile(r"/tensorflow\.serving\.(PredictionService/(?!PredictStreamed)|ModelService/).*")

# gRPC's own, which each of the two connections has for itself.
_OWN = re.compile(r":.*|grpc-.*|te|content-type|user-agent|host", re.IGNORECASE)

_NO_CONNECTION = ("failed to connect", "connections to all backends failing")


class GrpcSide(grpc.GenericRpcHandler):
    """A server on one port, and a channel to each address that `target` has named so far.

    `target` gives the track (`stable`, `canary`) and the address for a call's path, anew for each call.
    """

    def __init__(self, host: str, port: int, target: Callable[[str], tuple[str, str]]) -> None:
        self._target = target
        self._channels = dict[str, grpc.aio.Channel]()
        self._server = grpc.aio.server(options=(*_OPTIONS, *SHARED))
        self._server.add_generic_rpc_handlers((self,))
        self._server.add_insecure_port(f"{host}:{port}")

    async def start(self) -> None:
        """Take calls."""
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Take no new connection, give running calls so many seconds, close."""
        await self._server.stop(grace)
        for channel in self._channels.values():
            await channel.close()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of one call, already bound to the server that it goes to."""
        track, address = self._target(details.method)
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, options=_OPTIONS)
        call = Call(self._channels[address], details.method, f"the {track} model server at {address}")
        if _UNARY.fullmatch(details.method):
            return grpc.unary_unary_rpc_method_handler(call.unary)
        return grpc.stream_stream_rpc_method_handler(call.stream)


class Call:
    """One call to a model server; `place` says in words where that is."""

    def __init__(self, channel: grpc.aio.Channel, method: str, place: str) -> None:
        self._channel, self._method, self._place = channel, method, place

    async def unary(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        """One message there, one back."""
        call = self._channel.unary_unary(self._method)(request, **_given(context))
        try:
            answer = await call
            await _begin(await call.initial_metadata(), context)
            context.set_trailing_metadata(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            await self._fail(error, context)
            raise  # never reached: abort raises
        return answer

    async def stream(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        """Any number of messages each way."""
        call = self._channel.stream_stream(self._method)(requests, **_given(context))
        try:
            await _begin(await call.initial_metadata(), context)
            async for answer in call:
                yield answer
            context.set_trailing_metadata(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            await self._fail(error, context)
        finally:
            call.cancel()

    async def _fail(self, error: grpc.aio.AioRpcError, context: grpc.aio.ServicerContext) -> None:
        words = error.details() or ""
        await _begin(error.initial_metadata(), context)
        if error.code() is grpc.StatusCode.UNAVAILABLE and any(one in words for one in _NO_CONNECTION):
            words = f"{self._place} does not answer: {words}"
        await context.abort(error.code(), words, tuple(error.trailing_metadata() or ()))


def _given(context: grpc.aio.ServicerContext) -> dict[str, object]:
    """The caller's metadata and what is left of its deadline, seconds."""
    metadata = tuple(pair for pair in context.invocation_metadata() or () if not _OWN.fullmatch(pair[0]))
    return {"metadata": metadata, "timeout": context.time_remaining()}


async def _begin(metadata: grpc.aio.Metadata | None, context: grpc.aio.ServicerContext) -> None:
    """Send the server's headers on, if it sent any."""
    if metadata:
        await context.send_initial_metadata(tuple(metadata))
