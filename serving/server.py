"""One process: the ports, the loader and the signals, from the start to the last answered request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import grpc

from serving import configs, grpc_api
from serving.errors import StartError
from serving.flags import Flags
from serving.loader import Loader
from serving.metrics import Metrics
from serving.models import Models
from serving.runtimes import Runtimes

log = logging.getLogger("serving")

# The largest gRPC request in bytes, gRPC's own default: 1,300 images. Larger ones get RESOURCE_EXHAUSTED.
MAX_MESSAGE_BYTES = 4 << 20

# How long running requests may take after SIGTERM, in seconds; Kubernetes waits 30 before it kills.
DRAIN_SECONDS = 10.0

# SO_REUSEPORT is gRPC's default: with it a second server would take the port of the first, silently.
_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES))


async def serve(flags: Flags) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is running and return; StartError when it cannot begin.

    asyncio rather than a thread a call: slow clients cost a socket and no thread, gRPC and HTTP share one
    loop, and models compute on a small pool, as many threads as there are cores. Ports are taken before
    TensorFlow is imported (2.5 s): a mistake shows at once, and early clients wait instead of being refused.
    """
    stop = _stop_on_signals()
    server, sock = _open_grpc(flags), _open_rest(flags)
    await _Running(flags, server, sock).run(stop)


class _Running:
    def __init__(self, flags: Flags, server: grpc.aio.Server | None, sock: socket.socket | None) -> None:
        self._poll_seconds = flags.file_system_poll_wait_seconds
        self._models = Models()
        self._loader = Loader(self._models, Runtimes(), configs.models_from_flags(flags))
        self._metrics = Metrics(self._loader.names)
        self._metrics_path = configs.metrics_path(flags)
        self._workers = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="predict")
        self._grpc, self._socket, self._rest = server, sock, None
        self._health = grpc_api.Health()
        if server is not None:
            grpc_api.add_services(server, self._models, self._loader, self._metrics, self._workers)
        if server is not None and flags.enable_grpc_healthcheck_service:
            self._health.add_to(server)

    async def run(self, stop: asyncio.Event) -> None:
        """Open both APIs, look at the folders until told to stop, then drain."""
        await self._health.set(False)
        await self._start()
        polling = asyncio.create_task(self._poll_forever())
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if polling in done:
            polling.result()  # it is not meant to end: its error ends the process, for a supervisor to see
        log.info("stopping: no new requests, %g s for the running ones", DRAIN_SECONDS)
        polling.cancel()
        await self._drain()
        log.info("stopped")

    async def _start(self) -> None:
        if self._grpc is not None:
            await self._grpc.start()
        if self._socket is not None:
            from serving.rest_api import RestServer

            self._rest = RestServer(self._models, self._metrics, self._metrics_path, self._workers)
            await self._rest.start(self._socket)

    async def _poll_forever(self) -> None:
        await asyncio.to_thread(self._loader.poll)
        while True:
            await self._health.set(self._loader.ready())
            await asyncio.sleep(self._poll_seconds or 1)
            if self._poll_seconds:
                await asyncio.to_thread(self._loader.poll)

    async def _drain(self) -> None:
        await self._health.stop()
        both = [one for one in (self._grpc, self._rest) if one is not None]
        await asyncio.gather(*(one.stop(DRAIN_SECONDS) for one in both))
        self._workers.shutdown(wait=False, cancel_futures=True)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _open_grpc(flags: Flags) -> grpc.aio.Server | None:
    if not flags.port:
        return None
    server = grpc.aio.server(options=_OPTIONS)
    with contextlib.suppress(RuntimeError):
        if server.add_insecure_port(_address(flags.host, flags.port)):
            return server
    # gRPC logs why and raises no more than "failed": ask the socket for the reason.
    _open(flags.host, flags.port, "--port").close()
    raise StartError(f"Port {flags.port} (--port) on {flags.host} cannot be opened.", exit_code=1)


def _open_rest(flags: Flags) -> socket.socket | None:
    return _open(flags.host, flags.rest_api_port, "--rest_api_port") if flags.rest_api_port else None


def _open(host: str, port: int, flag: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise StartError(f"Port {port} ({flag}) on {host} cannot be opened: {os.strerror(error.errno)}.", 1) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
