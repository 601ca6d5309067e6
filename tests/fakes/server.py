"""The fakes on loopback: HTTP (and TLS, for the Kubernetes API) around plain `handle(state, request)` functions."""

from __future__ import annotations

import http.server
import json
import select
import socket
import ssl
import sys
import threading
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

from fakes.state import Reply, Request, State, Unknown

Handle = Callable[[State, Request], Reply]


class Dropped(Exception):
    """The connection is to be closed without an answer."""


def answer(state: State, request: Request, handle: Handle) -> Reply:
    """One request through log, injected faults and handler; both the servers and the stand-ins come through here."""
    fault = state.due(request)
    if fault:
        fault.then(request)
        time.sleep(fault.delay)
    if fault and (fault.status or fault.drop) and not fault.done_first:
        state.requests.append(str(request))
        return failed(fault.status, fault.message, fault.drop)
    state.note(request)
    try:
        with state.lock:
            reply = handle(state, request)
    except Unknown as error:
        state.unknown.append(str(error) or str(request))
        return Reply.of({"error": {"code": 501, "message": f"the fake does not know {request}: {error}"}}, 501)
    if fault and (fault.status or fault.drop):
        return failed(fault.status, fault.message, fault.drop)
    return reply


NAMES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
    412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip
"""Google's name of each status."""


def failed(status: int, message: str, drop: bool) -> Reply:
    if drop:
        raise Dropped
    error = {"code": status, "message": message, "status": NAMES.get(status, "UNKNOWN")}
    status_object = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status}
    return Reply.of({"error": error, **status_object}, status)


class Server:
    """An HTTP server on a loopback port of its own, each request in a thread of its own."""

    def __init__(self, state: State, route: Callable[[str], tuple[str, str]], handles: dict[str, Handle],
                 context: ssl.SSLContext | None = None) -> None:  # fmt: skip
        self.state, self.route, self.handles = state, route, handles
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body go out apart: 40 ms each time otherwise

            def handle_any(self) -> None:
                outer.handle(self)

            def log_message(self, *arguments: Any) -> None:
                """The state's log is the log."""

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
            setattr(Handler, f"do_{method}", Handler.handle_any)
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = self.note_error  # type: ignore[assignment,method-assign]
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        self.scheme = "https" if context else "http"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def note_error(self, request: object, address: object) -> None:
        """A client that hangs up is nothing; a mistake in a fake is to end the test."""
        error = sys.exception()
        if error and not isinstance(error, OSError):
            self.state.unknown.append("".join(traceback.format_exception(error)))

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def handle(self, http_request: http.server.BaseHTTPRequestHandler) -> None:
        parts = urllib.parse.urlsplit(http_request.path)
        api, path = self.route(parts.path)
        headers = {name.lower(): value for name, value in http_request.headers.items()}
        query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
        request = Request(http_request.command, api, path, query, headers, body_of(http_request, headers))
        if api not in self.handles:
            self.state.unknown.append(str(request))
            send(http_request, Reply.of({"error": {"code": 501, "message": f"no fake of {request}"}}, 501))
            return
        try:
            self.respond(http_request, request)
        except Dropped:
            http_request.close_connection = True
            http_request.connection.shutdown(socket.SHUT_RDWR)

    def respond(self, http_request: http.server.BaseHTTPRequestHandler, request: Request) -> None:
        """Answer a request whose API is known."""
        send(http_request, answer(self.state, request, self.handles[request.api]))


def body_of(request: http.server.BaseHTTPRequestHandler, headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return request.rfile.read(int(headers.get("content-length") or 0))
    pieces = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        pieces.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(pieces)


def send(request: http.server.BaseHTTPRequestHandler, reply: Reply) -> None:
    body: bytes | Iterable[bytes] = reply.body
    request.send_response(reply.status)
    for name, value in reply.headers.items():
        request.send_header(name, value)
    if isinstance(body, bytes):
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
        return
    request.send_header("transfer-encoding", "chunked")
    request.end_headers()
    for piece in body:
        if not piece:  # nothing yet: the moment to see whether anybody still listens
            if select.select([request.connection], [], [], 0)[0]:
                request.close_connection = True
                return
            continue
        request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        request.wfile.flush()
    request.wfile.write(b"0\r\n\r\n")


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()
