"""A bare gRPC server that sends back the bytes it is sent: what no server over gRPC in Python can be quicker than."""

from __future__ import annotations

import asyncio
import signal
import sys

import grpc


async def echo(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    """Give the same bytes."""
    return request


async def main(port: str) -> None:
    """Serve until told to stop."""
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Echo": method}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.ensure_future, server.stop(0))
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
