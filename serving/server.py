"""One process: the ports, the loader and the signals, from the start to the last answered request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import signal
import socket

import grpc

from serving import configs, grpc_api
from serving.config_file import ConfigFile
from serving.dispatch import Dispatch
from serving.errors import StartError
from serving.flags import Flags
from serving.listening import ALONE, SHARED, leave
from serving.loader import Loader
from serving.metrics import Metrics
from serving.models import Models
from serving.runtimes import Runtimes

log = logging.getLogger("serving")

# The largest gRPC message in bytes, either way: 5,000 images. A larger request gets RESOURCE_EXHAUSTED, as
# tensorflow_model_server answers above 2 GiB.
MAX_MESSAGE_BYTES = 16 << 20

# Between "not ready" and the first refusal, in seconds: who asks whether the server is ready hears it first.
LINGER_SECONDS = 0.5

# How long running requests may take after SIGTERM, in seconds; Kubernetes waits 30 before it kills.
DRAIN_SECONDS = 10.0


async def serve(flags: Flags) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is running and return; StartError when it cannot begin.

    asyncio rather than a thread a call: slow clients cost a socket and no thread, gRPC and HTTP share one loop, and
    a model that is not quick computes on a small pool, as many threads as there are cores. Ports are taken before
    models are loaded: a mistake shows at once, and early clients wait instead of being refused. Ports that are shared
    are taken afterwards: until then whoever has them answers.
    """
    stop, ports = _stop_on_signals(), _Ports(flags)
    if not flags.share_ports:
        ports.open()
    await _Running(flags, ports).run(stop)


class _Running:
    def __init__(self, flags: Flags, ports: _Ports) -> None:
        self._flags, self._ports, self._rest = flags, ports, None
        self._grpc = server = ports.grpc
        self._models = Models()
        self._loader = Loader(self._models, Runtimes(), flags.allow_version_labels_for_unavailable_models)
        self._config = ConfigFile(flags, self._loader)
        self._metrics = Metrics(self._loader.names)
        self._metrics_path = configs.metrics_path(flags)
        self._dispatch = Dispatch(self._models)
        self._health = grpc_api.Health()
        if server is not None:
            grpc_api.add_services(server, self._models, self._loader, self._metrics, self._dispatch)
        if server is not None and flags.enable_grpc_healthcheck_service:
            self._health.add_to(server)

    async def run(self, stop: asyncio.Event) -> None:
        """Load, open both APIs, look at folders and configuration until told to stop, then drain."""
        await self._health.set(False)
        await asyncio.to_thread(self._loader.poll)
        await self._health.set(self._loader.ready())
        await self._open()
        tasks = [asyncio.create_task(one) for one in (stop.wait(), self._watch_folders(), self._watch_config())]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # but for `stop` none is meant to end: its error ends the process, for a supervisor to see
        for task in tasks:
            task.cancel()
        await self._close()

    async def _open(self) -> None:
        if self._flags.share_ports:
            self._ports.open()
        if self._grpc is not None:
            await self._grpc.start()
        if self._ports.rest is not None:
            rest_api = await asyncio.to_thread(importlib.import_module, "serving.rest_api")  # aiohttp: 0.2 s
            self._rest = rest_api.RestServer(self._models, self._metrics, self._metrics_path, self._dispatch)
            await self._rest.start(self._ports.rest)
        gc.freeze()  # what is there now stays: no collection need look at it again, which would hold up all clients

    async def _watch_folders(self) -> None:
        while True:
            await asyncio.sleep(self._flags.file_system_poll_wait_seconds or 1)
            if self._flags.file_system_poll_wait_seconds:
                await asyncio.to_thread(self._loader.poll)
            await self._health.set(self._loader.ready())

    async def _watch_config(self) -> None:
        seconds = self._flags.model_config_file and self._flags.model_config_file_poll_wait_seconds
        while True:
            await asyncio.sleep(seconds or 3600)
            if seconds:
                await asyncio.to_thread(self._config.look)

    async def _close(self) -> None:
        """Say that it is not ready, go on for a moment, then answer what is running and nothing new."""
        await self._health.stop()
        log.info("no longer ready; what comes in within %g s is answered still", LINGER_SECONDS)
        await asyncio.sleep(LINGER_SECONDS)
        if self._flags.share_ports:
            await leave(self._flags.port, self._flags.rest_api_port)
        log.info("stopping: no new requests, %g s for the running ones", DRAIN_SECONDS)
        both = [one for one in (self._grpc, self._rest) if one is not None]
        await asyncio.gather(*(one.stop(DRAIN_SECONDS) for one in both))
        self._dispatch.close()
        log.info("stopped")


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def options(patience: float = 10.0, share_ports: bool = False) -> tuple[tuple[str, int], ...]:
    """gRPC's: `patience` is how long, in seconds, a connection may say nothing at its start."""
    return (
        *(SHARED if share_ports else ALONE),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_concurrent_streams", grpc_api.MAX_CALLS),
        ("grpc.server_handshake_timeout_ms", int(patience * 1000)),
        ("grpc.keepalive_time_ms", 60_000),  # a client that went without a word is noticed
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
    )


class _Ports:
    """Where the server listens: gRPC's server, whose port `open` takes, and REST's socket from then on."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self.rest: socket.socket | None = None
        self.grpc: grpc.aio.Server | None = None
        if flags.port:
            self.grpc = grpc.aio.server(options=options(share_ports=flags.share_ports))

    def open(self) -> None:
        """Take the ports; StartError where one cannot be had."""
        if self.grpc is not None and not self._taken(self.grpc):
            # gRPC logs why and raises no more than "failed": ask the socket for the reason.
            port, host = self._flags.port, self._flags.host
            self._socket(port, "--port").close()
            raise StartError(f"Port {port} (--port) on {host} cannot be opened.", exit_code=1)
        if self._flags.rest_api_port:
            self.rest = self._socket(self._flags.rest_api_port, "--rest_api_port")

    def _taken(self, server: grpc.aio.Server) -> bool:
        with contextlib.suppress(RuntimeError):
            return bool(server.add_insecure_port(_address(self._flags.host, self._flags.port)))
        return False

    def _socket(self, port: int, flag: str) -> socket.socket:
        host, shared = self._flags.host, self._flags.share_ports
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, port), family=family, backlog=1024, reuse_port=shared)
        except OSError as error:
            words = f"Port {port} ({flag}) on {host} cannot be opened: {os.strerror(error.errno)}."
            raise StartError(words, 1) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
