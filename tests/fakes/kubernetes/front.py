"""The cluster's door: TLS, a server that may be mute, port-forwards, and the proxy to what runs behind Services."""

from __future__ import annotations

import http.server
import re
import ssl
import time
from typing import TYPE_CHECKING

from fakes.kubernetes import backends
from fakes.kubernetes import refusals as refuse
from fakes.kubernetes.api import handle
from fakes.kubernetes.forward import Forward
from fakes.kubernetes.refusals import Refused
from fakes.kubernetes.targets import existing, targeted
from fakes.server import Server, answer, send
from fakes.state import Reply, Request, State

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

THROUGH = re.compile(r"/(?:services|pods)/[^/]+/proxy(?:/|$)")


class Front(Server):
    """The fakes' server, with what only a Kubernetes API does to a connection."""

    def __init__(self, cluster: Cluster, context: ssl.SSLContext) -> None:
        self.cluster = cluster

        def answered(state: State, request: Request) -> Reply:
            return handle(cluster, request)

        super().__init__(cluster.state, lambda path: (cluster.api, path), {cluster.api: answered}, context)

    def handle(self, http_request: http.server.BaseHTTPRequestHandler) -> None:
        while self.cluster.mute:
            time.sleep(0.05)
        super().handle(http_request)

    def respond(self, http_request: http.server.BaseHTTPRequestHandler, request: Request) -> None:
        """Those that lead to another server are answered outside the lock: it may be one of the fakes' clients."""
        if request.path.endswith("/portforward"):
            self.forward(http_request, request)
        elif THROUGH.search(request.path):
            reply = answer(self.state, request, self.leads_to)
            if reply.status == 200:
                rest = targeted(self.cluster, request).rest
                reply = backends.passed_on(request, rest, int(reply.headers["port"]))
            send(http_request, reply)
        else:
            super().respond(http_request, request)

    def leads_to(self, state: State, request: Request) -> Reply:
        """The real port behind a path with `/proxy`."""
        try:
            port = backends.proxied_port(self.cluster, targeted(self.cluster, request))
        except Refused as refused:
            return Reply.of(refused.status, refused.code)
        return Reply(200, b"", {"port": str(port)})

    def forward(self, http_request: http.server.BaseHTTPRequestHandler, request: Request) -> None:
        """Turn the connection into a port-forward; kubectl asks for WebSockets first and takes SPDY then."""
        reply = answer(self.state, request, self.forwardable)
        if reply.status != 101:
            send(http_request, reply)
            return
        http_request.send_response(101, "Switching Protocols")
        for name, value in reply.headers.items():
            http_request.send_header(name, value)
        http_request.end_headers()
        http_request.close_connection = True
        with self.state.lock:
            pod = existing(self.cluster, targeted(self.cluster, request))
        Forward(self.cluster, pod, http_request.connection).serve()  # type: ignore[arg-type]

    def forwardable(self, state: State, request: Request) -> Reply:
        try:
            if self.cluster.expired:
                raise refuse.unauthorized()
            pod = existing(self.cluster, targeted(self.cluster, request))
            if pod["status"]["phase"] != "Running":
                name, phase = pod["metadata"]["name"], pod["status"]["phase"]
                raise refuse.bad_request(f"unable to forward port because pod is not running ({name}: {phase})")
            if request.headers.get("upgrade", "").upper() != "SPDY/3.1":
                raise refuse.Refused(403, "Forbidden", "this server forwards ports over SPDY/3.1")
        except Refused as refused:
            return Reply.of(refused.status, refused.code)
        upgrade = {"Upgrade": "SPDY/3.1", "Connection": "Upgrade", "X-Stream-Protocol-Version": "portforward.k8s.io"}
        return Reply(101, b"", upgrade)
