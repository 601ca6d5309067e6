"""What Kubernetes asks: whether the process serves, and whether new requests may be sent to it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response


@dataclass
class Lifecycle:
    """Whether this process was told to stop; who runs the app sets it, as `app.extensions["lifecycle"]`."""

    stopping: bool = False


def probes(lifecycle: Lifecycle) -> Blueprint:
    """/healthz and /readyz; neither looks at the model server: a page that says it is down is better than none."""
    views = Blueprint("probes", __name__)

    @views.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @views.get("/readyz")
    def readyz() -> Response:
        words, status = ("stopping\n", 503) if lifecycle.stopping else ("ready\n", 200)
        return Response(words, status, mimetype="text/plain")

    return views
