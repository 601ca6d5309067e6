"""Logs of the fake cluster's pods, with what `kubectl logs` can ask for."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes.refusals import bad_request
from fakes.state import Reply, Request

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]
ENDED = ("Succeeded", "Failed")


def log(cluster: Cluster, pod: Object, request: Request) -> Reply:
    """A pod's log; followed, it goes on until the pod has ended or is gone."""
    container = container_status(pod, request.one("container"))
    if request.one("previous") == "true" and not container.get("lastState"):
        names = f'previous terminated container "{container["name"]}" in pod "{pod["metadata"]["name"]}"'
        raise bad_request(f"{names} not found")
    if "waiting" in container["state"] and not container.get("lastState"):
        why = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
        reason = container["state"]["waiting"]["reason"]
        where = f'container "{container["name"]}" in pod "{pod["metadata"]["name"]}"'
        raise bad_request(f"{where} is waiting to start: {why.get(reason, reason)}")
    text = {"content-type": "text/plain"}
    if request.one("follow") == "true":
        return Reply(200, followed(cluster, pod, request), text)
    return Reply(200, "".join(lines(cluster, pod, request)).encode(), text)


def container_status(pod: Object, name: str) -> Object:
    names = [container["name"] for container in pod["spec"]["containers"]]
    if not name and len(names) > 1:
        where = f"pod {pod['metadata']['name']}"
        raise bad_request(f"a container name must be specified for {where}, choose one of: [{' '.join(names)}]")
    if name and name not in names:
        raise bad_request(f"container {name} is not valid for pod {pod['metadata']['name']}")
    for status in pod["status"].get("containerStatuses", []):
        if status["name"] == (name or names[0]):
            found: Object = status
            return found
    if pod["status"]["phase"] == "Failed":  # evicted: the log went with the node's copy of the pod
        raise bad_request(f'container "{name or names[0]}" in pod "{pod["metadata"]["name"]}" is terminated')
    return {"name": name or names[0], "state": {"waiting": {"reason": "ContainerCreating"}}}


def lines(cluster: Cluster, pod: Object, request: Request) -> list[str]:
    """The lines asked for; the n-th was written n milliseconds after the pod began."""
    began = datetime.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    found = []
    for number, line in enumerate(cluster.log_of(pod).splitlines()):
        written = began + datetime.timedelta(milliseconds=number)
        if written >= since(request):
            stamp = f"{written:%Y-%m-%dT%H:%M:%S}.{written.microsecond:06d}000Z "
            found.append((stamp if request.one("timestamps") == "true" else "") + line + "\n")
    tail = request.one("tailLines")
    return found[len(found) - int(tail) :] if tail and int(tail) < len(found) else found


def since(request: Request) -> datetime.datetime:
    if time := request.one("sinceTime"):
        return datetime.datetime.fromisoformat(time)
    seconds = int(request.one("sinceSeconds", "0"))
    if seconds:
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
    return datetime.datetime.min.replace(tzinfo=datetime.UTC)


def followed(cluster: Cluster, pod: Object, request: Request) -> Iterator[bytes]:
    """The log so far, then what comes; an empty piece where nothing came, so that a client that left is noticed."""
    told = lines(cluster, pod, request)
    yield "".join(told).encode()
    while not cluster.closed:
        current = cluster.moment(lambda: cluster.store.get(cluster.kind("pods"), *place(pod)))
        if current is None or current["status"]["phase"] in ENDED:
            return
        more = lines(cluster, current, request)
        yield "".join(more[len(told) :] if len(more) > len(told) else []).encode()
        told = more if len(more) > len(told) else told


def place(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
