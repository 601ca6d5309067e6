"""What can be asked of the API server itself: its health, its version and the kinds that it knows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import kinds
from fakes.state import Reply, Request

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def about_server(cluster: Cluster, request: Request) -> Reply | None:
    """What is asked of the server itself: its health, its version and what it knows."""
    path = request.path.rstrip("/")
    if path in ("/readyz", "/livez", "/healthz"):
        return Reply(200, b"ok", {"content-type": "text/plain"})
    if path == "/version":
        major, minor = re.findall(r"\d+", cluster.version)[:2]
        return Reply.of({"major": major, "minor": minor, "gitVersion": cluster.version, "platform": "linux/amd64"})
    if path in ("/api", "/apis"):
        return root(cluster, request, core=path == "/api")
    if path == "/openapi/v3":
        return Reply.of(kinds.openapi_index(cluster.kinds))
    if found := re.fullmatch(r"/openapi/v3/apis?/(.+)", path):
        return Reply.of(kinds.openapi(cluster.kinds, found[1]))
    if path == "/openapi/v2":  # a description of nothing is one that Protocol Buffers write with no bytes
        return Reply(200, b"", {"content-type": "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"})
    if (found := re.fullmatch(r"/apis?/([^/]+(?:/[^/]+)?)", path)) and "/api/v1/" not in path:
        listed = kinds.resource_list(cluster.kinds, found[1])
        return Reply.of(listed) if listed["resources"] else None
    if path.startswith("/apis/authorization.k8s.io/") and path.endswith("selfsubjectaccessreviews"):
        kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
        return Reply.of({**kind, "spec": {}, "status": {"allowed": True}}, 201)
    return None


def root(cluster: Cluster, request: Request, core: bool) -> Reply:
    if "apidiscovery.k8s.io" in request.headers.get("accept", ""):
        found = json.dumps(kinds.discovery(cluster.kinds, core)).encode()
        return Reply(200, found, {"content-type": DISCOVERY})
    return Reply.of({"kind": "APIVersions", "versions": ["v1"]} if core else kinds.group_list(cluster.kinds))
