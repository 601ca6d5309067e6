"""The load generator's connections: gRPC by grpc.aio, HTTP by aiohttp, both with bodies that are bytes already."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import grpc

from pipeline.bench.wire import Way

TIMEOUT = 20.0
"""Seconds for one answer."""

Ask = Callable[[bytes], Awaitable[bytes]]


class Refused(Exception):
    """An HTTP answer that is no 200."""


NO_ANSWER = (grpc.aio.AioRpcError, aiohttp.ClientError, TimeoutError, Refused)
"""What asking may raise."""


def talk(way: Way, port: int) -> AbstractAsyncContextManager[Ask]:
    """Inside, a way to ask: all clients over one connection of HTTP/2, or each over one of HTTP/1.1 that is kept."""
    return over_grpc(way, port) if way.over == "gRPC" else over_http(way, port)


@asynccontextmanager
async def over_grpc(way: Way, port: int) -> AsyncIterator[Ask]:
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        call = channel.unary_unary(way.target)  # bytes in, bytes out
        yield lambda body: call(body, timeout=TIMEOUT)


@asynccontextmanager
async def over_http(way: Way, port: int) -> AsyncIterator[Ask]:
    url, sent = f"http://127.0.0.1:{port}{way.target}", {"Content-Type": "application/json"}
    connections, patience = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(TIMEOUT)
    async with aiohttp.ClientSession(headers=sent, connector=connections, timeout=patience) as session:

        async def ask(body: bytes) -> bytes:
            async with session.post(url, data=body) as reply:
                answer = await reply.read()
            if reply.status != 200:
                raise Refused(f"{reply.status}, {answer[:200].decode(errors='replace')}")
            return answer

        yield ask


def listens(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def said(error: Exception) -> str:
    """What NO_ANSWER says, in a line."""
    words = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else str(error)
    return words or type(error).__name__
