"""Port-forwards: a connection's streams, each led to a real port, for as long as the pod is there."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import backends, spdy
from fakes.kubernetes.spdy import Frame, Frames

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]


class Forward:
    """One upgraded connection. One thread serves it: OpenSSL allows no reading beside writing."""

    def __init__(self, cluster: Cluster, pod: Object, connection: ssl.SSLSocket) -> None:
        self.cluster, self.pod, self.connection = cluster, pod, connection
        self.frames = Frames()
        self.errors: dict[str, int] = {}
        """Request → the stream on which it hears what went wrong."""
        self.streams: dict[int, tuple[socket.socket, str]] = {}
        """Data stream → the backend's connection, and the request."""

    def serve(self) -> None:
        """Carry bytes until the client leaves, the pod is gone or the cluster is."""
        try:
            while self.alive() and self.carried():
                pass
        finally:
            for backend, _ in self.streams.values():
                backend.close()

    def alive(self) -> bool:
        with self.cluster.state.lock:
            return not self.cluster.closed and self.cluster.fresh("pods", self.pod) is not None

    def carried(self) -> bool:
        """Carry what is there now; False when the client has left."""
        open_ones = {backend: stream for stream, (backend, _) in self.streams.items()}
        ready = select.select([self.connection, *open_ones], [], [], 0.2)[0]
        for backend in ready:
            if backend is not self.connection and open_ones[backend] in self.streams:
                self.answered(open_ones[backend], backend)
        if self.connection not in ready:
            return True
        received = self.connection.recv(65536)
        while self.connection.pending():
            received += self.connection.recv(65536)
        for frame in self.frames.read(received):
            if frame.kind == spdy.GOAWAY:
                return False
            self.take(frame)
        return bool(received)

    def take(self, frame: Frame) -> None:
        takers: dict[int, Callable[[Frame], None]] = {
            0: self.passed, spdy.SYN_STREAM: self.opened, spdy.PING: self.echoed, spdy.RST_STREAM: self.reset,
        }  # fmt: skip
        if frame.kind in takers:
            takers[frame.kind](frame)

    def opened(self, frame: Frame) -> None:
        """A new stream: first the one for errors, then the one for data."""
        request = frame.headers["requestid"]
        self.connection.sendall(self.frames.reply(frame.stream))
        if frame.headers["streamtype"] == "error":
            self.errors[request] = frame.stream
            return
        port = int(frame.headers["port"])
        with self.cluster.state.lock:
            real = backends.of_pod(self.cluster, self.pod, port)
        try:
            backend = socket.create_connection(("127.0.0.1", real or 1), timeout=10)
        except OSError:
            self.refused(frame.stream, request, port)
            return
        backend.settimeout(None)
        self.streams[frame.stream] = backend, request

    def refused(self, stream: int, request: str, port: int) -> None:
        where = f"error forwarding port {port} to pod {self.pod['metadata']['uid']}, uid "
        why = f"failed to connect to localhost:{port} inside namespace, IPv4: dial tcp4 127.0.0.1:{port}: "
        message = f"{where}: {why}connect: connection refused"
        self.connection.sendall(self.frames.data(self.errors[request], message.encode(), last=True))
        self.connection.sendall(self.frames.data(stream, b"", last=True))

    def passed(self, frame: Frame) -> None:
        """Data from the client."""
        if frame.stream not in self.streams:
            return
        backend, _ = self.streams[frame.stream]
        try:
            backend.sendall(frame.content)
            if frame.flags & spdy.FIN:
                backend.shutdown(socket.SHUT_WR)
        except OSError:
            self.done(frame.stream)

    def answered(self, stream: int, backend: socket.socket) -> None:
        """Data from the backend."""
        try:
            content = backend.recv(32768)
        except OSError:
            content = b""
        if content:
            self.connection.sendall(self.frames.data(stream, content))
        else:
            self.done(stream)

    def done(self, stream: int) -> None:
        backend, request = self.streams.pop(stream)
        backend.close()
        self.connection.sendall(self.frames.data(stream, b"", last=True))
        self.connection.sendall(self.frames.data(self.errors[request], b"", last=True))

    def echoed(self, frame: Frame) -> None:
        self.connection.sendall(spdy.control(spdy.PING, frame.content))

    def reset(self, frame: Frame) -> None:
        if frame.stream in self.streams:
            self.streams.pop(frame.stream)[0].close()
