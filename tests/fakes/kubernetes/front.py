"""The cluster's door: TLS, a server that may be mute, and connections that turn into port-forwards."""

from __future__ import annotations

import http.server
import ssl
import time
from typing import TYPE_CHECKING

from fakes.kubernetes.api import handle
from fakes.server import Server
from fakes.state import Reply, Request, State

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster


class Front(Server):
    """The fakes' server, with what only a Kubernetes API does to a connection."""

    def __init__(self, cluster: Cluster, context: ssl.SSLContext) -> None:
        self.cluster = cluster

        def answer(state: State, request: Request) -> Reply:
            return handle(cluster, request)

        super().__init__(cluster.state, lambda path: (cluster.api, path), {cluster.api: answer}, context)

    def handle(self, http_request: http.server.BaseHTTPRequestHandler) -> None:
        while self.cluster.mute:
            time.sleep(0.05)
        super().handle(http_request)
