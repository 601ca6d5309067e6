"""The embedded router's gRPC side, towards a model server whose machine is busy."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from conftest import free_ports
from routers import PREDICT  # type: ignore[import-not-found]
from serving.router.grpc_side import GrpcSide

SLOW = 0.6
"""Seconds until the server greets a connection."""


class Echo(grpc.GenericRpcHandler):
    """Answers with what it was asked."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def late(listener: socket.socket, port: int) -> None:
    """Leave one connection without a word for a while, then pass it on to a port of this machine, until it ends."""
    client, _ = listener.accept()
    time.sleep(SLOW)
    with client, socket.create_connection(("127.0.0.1", port)) as server, ThreadPoolExecutor(2) as pool:
        pool.map(copy, (client, server), (server, client))


def copy(source: socket.socket, target: socket.socket) -> None:
    while chunk := source.recv(65536):
        target.sendall(chunk)
    target.shutdown(socket.SHUT_WR)


async def passed_on(address: str, message: bytes) -> bytes:
    """What a call gets through a router that knows one server."""
    (port,) = free_ports(1)
    side = GrpcSide("127.0.0.1", port, lambda _: ("stable", address))
    await side.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            return await channel.unary_unary(PREDICT)(message, timeout=20)
    finally:
        await side.stop(0)


def test_a_server_that_is_slow_to_greet_gets_its_call_all_the_same() -> None:
    server = grpc.server(ThreadPoolExecutor(1), handlers=(Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with ThreadPoolExecutor(1) as pool, socket.create_server(("127.0.0.1", 0)) as listener:
        passing = pool.submit(late, listener, port)
        assert asyncio.run(passed_on(f"127.0.0.1:{listener.getsockname()[1]}", b"digits")) == b"digits"
        server.stop(None).wait()
        passing.result()
