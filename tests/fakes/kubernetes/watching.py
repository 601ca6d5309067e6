"""Watches: what happens to objects, told as it happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes.selectors import matches
from fakes.kubernetes.targets import Target
from fakes.state import Request, Unknown

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]


def watched(cluster: Cluster, request: Request, target: Target) -> Iterator[bytes]:
    """What happens to the objects asked for, from the version given, or from those that are there."""
    if request.one("sendInitialEvents"):
        raise Unknown("sendInitialEvents")
    labels, selected = request.one("labelSelector"), request.one("fieldSelector")
    since = int(request.one("resourceVersion") or 0)
    if not since:
        with cluster.state.lock:
            since = cluster.store.version
            first = [one for one in cluster.store.every(target.kind, target.namespace)
                     if matches(one, labels, selected)]  # fmt: skip
        yield b"".join(event("ADDED", one) for one in first)
    steps = int(request.one("timeoutSeconds") or 600) * 20
    while steps > 0 and not cluster.closed:
        history = [change for change in cluster.moment(lambda: list(cluster.store.history)) if change.version > since]
        for change in history:
            since = change.version
            inside = target.namespace in ("", change.found["metadata"].get("namespace"))
            named = change.kind == target.kind and (not target.name or change.found["metadata"]["name"] == target.name)
            if named and inside and matches(change.found, labels, selected):
                yield event(change.what, change.found)
        yield b""
        steps -= 1


def event(what: str, found: Object) -> bytes:
    return json.dumps({"type": what, "object": found}).encode() + b"\n"
