"""Serves a WSGI application with waitress: many slow clients, an end that loses no request."""

from __future__ import annotations

import resource
import socket
import time
from typing import TYPE_CHECKING

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from webui import limits
from webui.connections import Connection

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from webui.probes import Lifecycle

_TICK_S = 0.25  # between two looks at the connections, at most
_ACCEPTS_A_TURN = 64
_QUIET_S = 0.2  # a connection that was made a moment ago may still bring its request
_OTHER_FILES = 256  # descriptors for all that is no client's connection


class HttpServer(TcpWSGIServer):
    """waitress with deadlines for clients and a gentle end; `stop` may be called by a signal handler."""

    channel_class = Connection

    def __init__(
        self,
        app: WSGIApplication,
        sock: socket.socket,
        lifecycle: Lifecycle,
        request_s: float = limits.REQUEST_S,
        drain_s: float = limits.DRAIN_S,
    ) -> None:
        """`sock` listens already. `request_s`, `drain_s`: see limits.REQUEST_S and DRAIN_S."""
        self._lifecycle, self._request_s, self._drain_s = lifecycle, request_s, drain_s
        self._stop_at = self._end_at = float("inf")
        self._next_look = 0.0
        self._probe_threads = _threads(limits.PROBE_THREADS)
        where = (sock.family, sock.type, sock.proto, sock.getsockname())
        adjustments, threads = _adjustments(sock), _threads(limits.THREADS)
        super().__init__(app, {}, True, sock, threads, adjustments, where, bind_socket=False)

    @property
    def stopping(self) -> bool:
        """Whether an answer should be a connection's last."""
        return self._lifecycle.stopping

    def stop(self) -> None:
        """Begin the end: not ready, then no new connections, then only what is under way. Again: at once."""
        now = time.monotonic()
        self._stop_at = now if self.stopping else now + self._drain_s
        self._end_at = now if self.stopping else self._stop_at + limits.FINISH_S
        self._lifecycle.stopping = True
        self.pull_trigger()

    def run(self) -> None:
        """Serve until `stop` was called and what was under way is answered."""
        while self.accepting or (self.active_channels and time.monotonic() < self._end_at):
            wasyncore.loop(timeout=_TICK_S, use_poll=True, map=self._map, count=1)
            now = time.monotonic()
            if self.accepting and now >= self._stop_at:
                self.handle_accept()  # those who are connected already as far as they know
                wasyncore.dispatcher.close(self)
            if now >= self._next_look:
                self._next_look = now + _TICK_S
                self._look(now)

    def add_task(self, connection: Connection) -> None:
        """Give a connection with a whole request to a thread."""
        probe = connection.requests[0].path in limits.PROBES
        (self._probe_threads if probe else self.task_dispatcher).add_task(connection)

    def handle_accept(self) -> None:
        """Take all who wait; waitress takes one, and looks through all connections before the next."""
        for _ in range(_ACCEPTS_A_TURN):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                return

    def maintenance(self, now: float) -> None:
        """Nothing: `_look` does it, by another measure than the last byte."""

    def _look(self, now: float) -> None:
        """Cut the connections whose time is over; when stopping, also those on which nothing happens."""
        crowded = len(self.active_channels) > self.adj.connection_limit // 2
        idle_s = limits.IDLE_WHEN_CROWDED_S if crowded else limits.IDLE_S
        for connection in list(self.active_channels.values()):
            quiet = time.time() - connection.last_activity > _QUIET_S
            done = not self.accepting and connection.resting and quiet
            if done or connection.overdue(now, self._request_s, idle_s):
                connection.cut()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on host:port, `::` for IPv6 and IPv4; OSError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024, dualstack_ipv6=host == "::")


def _threads(count: int) -> ThreadedTaskDispatcher:
    threads = ThreadedTaskDispatcher()
    threads.set_thread_count(count)
    return threads


def _adjustments(sock: socket.socket) -> Adjustments:
    return Adjustments(
        sockets=[sock],
        threads=limits.THREADS,
        connection_limit=min(limits.CONNECTIONS, (_open_files() - _OTHER_FILES) // 2),
        max_request_header_size=limits.HEADER_BYTES,
        max_request_body_size=limits.BODY_BYTES,
        inbuf_overflow=16 << 10,  # of a body in memory, per connection; the rest goes to a file below TMPDIR
        clear_untrusted_proxy_headers=True,
        expose_tracebacks=False,
        log_socket_errors=False,  # people close tabs
        ident=None,
    )


def _open_files() -> int:
    """Raise this process's limit of open files to what the connections may need; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * limits.CONNECTIONS + _OTHER_FILES  # a body or a style sheet is a second file
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft
