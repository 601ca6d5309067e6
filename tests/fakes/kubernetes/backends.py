"""Where a port-forward or the API's proxy leads: from pods, Services and ports to real ports on loopback."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import refusals as refuse
from fakes.kubernetes.selectors import selects
from fakes.kubernetes.targets import Target
from fakes.state import Reply, Request

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]
DROPPED = ("connection", "transfer-encoding", "content-length", "keep-alive", "date", "server")


def of_pod(cluster: Cluster, pod: Object, port: int) -> int | None:
    """The real port behind a pod's, named in `cluster.backends` by its workload or by a Service that leads there."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    for (place, called, number), real in cluster.backends.items():
        if place != namespace:
            continue
        if number == port and (name == called or name.startswith(f"{called}-")):
            return real
        service = cluster.store.get(cluster.kind("services"), namespace, called)
        if service and selects(service["spec"].get("selector"), pod["metadata"].get("labels", {})):
            ports = [one for one in service["spec"]["ports"] if one["port"] == number]
            if any(container_port(pod, one["targetPort"]) == port for one in ports):
                return real
    return None


def container_port(pod: Object, wanted: int | str) -> int | None:
    if isinstance(wanted, int):
        return wanted
    every = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    return next((port["containerPort"] for port in every if port.get("name") == wanted), None)


def of_service(cluster: Cluster, service: Object, wanted: str) -> int | None:
    """The real port behind a Service's, which is given by number or name."""
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    ports = service["spec"]["ports"]
    port = next((one for one in ports if wanted in ("", str(one["port"]), one.get("name"))), None)
    if port is None:
        return None
    if (namespace, name, port["port"]) in cluster.backends:
        return cluster.backends[namespace, name, port["port"]]
    for pod in cluster.store.every(cluster.kind("pods"), namespace):
        ready = pod["status"]["phase"] == "Running"
        if ready and selects(service["spec"].get("selector"), pod["metadata"].get("labels", {})):
            inside = container_port(pod, port["targetPort"])
            return of_pod(cluster, pod, inside) if inside else None
    return None


def proxied_port(cluster: Cluster, target: Target) -> int:
    """The real port that a path with `/proxy` names: `services/[SCHEME:]NAME[:PORT]/proxy`."""
    words = target.name.split(":")
    name, port = words if len(words) == 2 else (words[-2], words[-1]) if len(words) == 3 else (words[0], "")
    found = cluster.store.get(target.kind, target.namespace, name)
    if found is None:
        raise refuse.not_found(target.kind, name)
    pod = target.kind.plural == "pods"
    real = of_pod(cluster, found, int(port or 80)) if pod else of_service(cluster, found, port)
    if real is None:
        message = f'no endpoints available for service "{target.name}"'
        raise refuse.Refused(503, "ServiceUnavailable", message)
    return real


def passed_on(request: Request, rest: str, port: int) -> Reply:
    """The request as the backend gets it, and what it answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    query = "&".join(f"{name}={value}" for name, values in request.query.items() for value in values)
    headers = {name: request.headers[name] for name in ("content-type", "accept") if name in request.headers}
    try:
        connection.request(request.method, (rest or "/") + (f"?{query}" if query else ""), request.body, headers)
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in DROPPED}
        return Reply(answer.status, answer.read(), kept)
    except OSError as error:
        message = f"error trying to reach service: dial tcp 127.0.0.1:{port}: {error.strerror}"
        return Reply.of(refuse.Refused(503, "ServiceUnavailable", message).status, 503)
    finally:
        connection.close()
