"""The two servers of a canary, stable and canary: what they are called, and where the router and we find them."""

from __future__ import annotations

from typing import Any

from pipeline.aliases import Canary
from pipeline.settings import Settings

Track = str

STABLE, CANARY = TRACKS = ("stable", "canary")

STATUS_PORT = 8081
"""Where the router's pod says that it is up."""

ASSUMED = Canary(version="1", percent=10)
"""What stands in a manifest that is rendered for no trial: to look at, and to take it back by its names."""


def components(settings: Settings) -> tuple[str, ...]:
    """What there is only while a canary is on, in the order in which it is applied; without what splits."""
    return (CANARY,) if settings.serving.canary.gateway else (CANARY, STABLE, "router")


def entrance(settings: Settings) -> tuple[str, ...]:
    """What requests come in by: the Service, and where a Gateway is before it the routes from there."""
    return ("service", "routes") if settings.serving.canary.gateway else ("service",)


def service(settings: Settings, track: Track) -> str:
    """The Service that leads to one track's server and no other, while a canary is on."""
    if track == STABLE and settings.serving.canary.gateway:
        return f"{settings.serving.model_name}-service"
    return f"{settings.serving.model_name}-{track}"


def ports(settings: Settings, track: Track) -> dict[str, int]:
    """The gRPC and REST port of a track's server: on a cluster as without a canary, each pod has its own.

    On this machine five in a row: the stable server's, which leaves its usual ones to the router, the canary's, and the
    router's status port.
    """
    if settings.cluster.kind != "local":
        return {"grpc": settings.serving.grpc_port, "rest": settings.serving.rest_port}
    grpc, rest = settings.serving.canary.ports[2 * TRACKS.index(track) :][:2]
    return {"grpc": grpc, "rest": rest}


def status_port(settings: Settings) -> int:
    """Where the router says that it is up."""
    return STATUS_PORT if settings.cluster.kind != "local" else settings.serving.canary.ports[-1]


def context(settings: Settings, trial: Canary | None) -> dict[str, Any]:
    """What the templates may name of a trial; `routed` tells the Service whether a router stands before the servers."""
    host = {one: "127.0.0.1" if settings.cluster.kind == "local" else service(settings, one) for one in TRACKS}
    places = {one: {api: f"{host[one]}:{port}" for api, port in ports(settings, one).items()} for one in TRACKS}
    return {
        "tracks": places, "track_ports": {one: ports(settings, one) for one in TRACKS}, "trial": trial or ASSUMED,
        "on_trial": trial is not None, "routed": trial is not None and settings.serving.canary.gateway is None,
        "router_status_port": status_port(settings),
    }  # fmt: skip


def has_server(settings: Settings, component: str) -> bool:
    """Whether a component is a model server of its own beside the usual one.

    On this machine the stable one is too: nothing leads from one port to another here, so the router takes the usual
    server's ports, and another one serves the stable version behind it.
    """
    return component == CANARY or (component == STABLE and settings.cluster.kind == "local")


def server(settings: Settings, track: Track, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The usual server's ConfigMap and Deployment as a track's: another name, other pods, and here other ports."""
    usual, app = f"{settings.serving.model_name}-serving", settings.serving.model_name
    moved = {usual: f"{usual}-{track}"}
    for flag, old, new in moves(settings, track):
        moved |= {f"--{flag}={old}": f"--{flag}={new}", str(old): str(new)}
    kept = [renamed(one, moved) for one in documents if one["kind"] in ("ConfigMap", "Deployment")]
    for one in (one for one in kept if one["kind"] == "Deployment"):
        spec, template = one["spec"], one["spec"]["template"]
        spec["replicas"] = 1
        spec["selector"]["matchLabels"]["app"] = template["metadata"]["labels"]["app"] = f"{app}-{track}"
        numbers = {old: new for _, old, new in moves(settings, track)}
        for port in template["spec"]["containers"][0]["ports"]:
            port["containerPort"] = numbers[port["containerPort"]]
    return kept


def moves(settings: Settings, track: Track) -> tuple[tuple[str, int, int], ...]:
    """The server's flags for ports, with the usual number and the track's."""
    there, serving = ports(settings, track), settings.serving
    return ("port", serving.grpc_port, there["grpc"]), ("rest_api_port", serving.rest_port, there["rest"])


def renamed(value: Any, names: dict[str, str]) -> Any:
    """The same manifest with every text that is one of these replaced."""
    if isinstance(value, dict):
        return {key: renamed(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value
