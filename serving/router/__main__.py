"""`python -m serving.router -c nginx.conf`: share requests out between two model servers, until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from serving.errors import StartError
from serving.listening import leave
from serving.router import routing
from serving.router.grpc_side import GrpcSide
from serving.router.rest_side import RestSide

log = logging.getLogger("router")

DRAIN_SECONDS = 10.0
"""How long running requests may take after SIGTERM; Kubernetes waits 30 before it kills."""

LOOK_SECONDS = 0.5
"""Between two looks at the file: a new share counts without a restart."""


def main(argv: Sequence[str]) -> int:
    """Share requests out until told to stop; the exit code is 0, 1 for a port that is taken, 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m serving.router", description=__doc__, allow_abbrev=False)
    parser.add_argument("-c", dest="file", type=Path, required=True, help="the nginx.conf")
    parser.add_argument("-g", dest="directives", default="", help="taken and left aside: nginx's own")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; nginx takes the file's")
    flags = parser.parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        asyncio.run(Router(flags.file, flags.host).run())
    except StartError as error:
        print(f"router: {error}", file=sys.stderr)
        return error.exit_code
    return 0


class Router:
    """The two sides and the page that says that both are up; which way a request goes, the file says at any time."""

    def __init__(self, file: Path, host: str) -> None:
        self._file, self._host = file, host
        self._routing, self._stamp = routing.read(file), _stamp(file)

    async def run(self) -> None:
        """Open the ports, look at the file until told to stop, then answer what is running."""
        stop, ports = _stop_on_signals(), self._routing.ports
        rest, status = (_opened(self._host, ports[name]) for name in ("rest", "status"))
        grpc, http = self._grpc(ports["grpc"]), RestSide(lambda path: self._target(path, "rest"))
        await grpc.start()
        await http.start(rest)
        page = await _status_page(status)
        log.info("this is the embedded router, not nginx: %s", self._told())
        while not stop.is_set():
            self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        log.info("stopping: no new requests, %g s for the running ones", DRAIN_SECONDS)
        await leave(ports["grpc"], ports["rest"])
        await asyncio.gather(grpc.stop(DRAIN_SECONDS), http.stop(DRAIN_SECONDS))
        await page.cleanup()

    def _grpc(self, port: int) -> GrpcSide:
        try:
            return GrpcSide(self._host, port, lambda path: self._target(path, "grpc"))
        except RuntimeError as error:  # gRPC says no more than that it failed
            _opened(self._host, port).close()
            raise StartError(f"port {port} on {self._host} cannot be opened.", 1) from error

    def _target(self, path: str, kind: str) -> tuple[str, str]:
        track = self._routing.track(path, random.random())  # noqa: S311  # a share, no secret
        return track, self._routing.upstreams[f"{track}-{kind}"]

    def _look(self) -> None:
        """Take up a file that was changed; one with a mistake is told of, and what held before still holds."""
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._routing = routing.read(self._file)
            log.info("the file was changed: %s", self._told())
        except StartError as error:
            log.warning("the file was changed and is left aside: %s", error)

    def _told(self) -> str:
        places = ", ".join(f"{name} at {place}" for name, place in self._routing.upstreams.items())
        return f"{self._routing.share:.0%} of the predictions to the canary; {places}"


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino


def _opened(host: str, port: int) -> socket.socket:
    """A listening socket. Another process of ours may have the port too: it is about to leave it, or to take it."""
    try:
        return socket.create_server((host, port), backlog=1024, reuse_port=True)
    except OSError as error:
        raise StartError(f"port {port} on {host} cannot be opened: {os.strerror(error.errno)}.", 1) from error


async def _status_page(sock: socket.socket) -> web.AppRunner:
    async def up(request: web.Request) -> web.Response:
        return web.Response(text="up\n")

    app = web.Application()
    app.router.add_get("/healthz", up)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    return runner


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
