"""Canary: the server of a version on trial, and what leads a share of the requests to it; brought there and taken away.

Turning it on and off loses no request: what is to answer is there before requests are led to it, and what they are led
away from answers what it has begun.
"""

from __future__ import annotations

from functools import partial

from pipeline import clusters, manifests, rollout, tracks, trial
from pipeline.aliases import Canary
from pipeline.clusters import kube
from pipeline.commands import Asking, Note, Result, Steps, Watch
from pipeline.errors import PipelineError
from pipeline.manifests import Manifest
from pipeline.served import FILE, only, read
from pipeline.settings import Settings
from pipeline.stages import brought_up
from pipeline.tracks import CANARY, STABLE


def on(settings: Settings, stable: str, canary: Canary) -> Steps:
    """Bring it there, or to another share; then ask the two servers, and the Service, who answers."""
    there = yield from present(settings)
    if there is not None and canary.version not in there.labels.values():
        yield from off(settings, stable)
    states = {CANARY: trial.state(stable, canary), STABLE: only(stable)}
    if settings.cluster.kind != "local":
        yield from brought_up(settings, "serving", state=only(stable))
    for component in tracks.components(settings):
        yield from brought_up(settings, component, state=states.get(component), trial=canary)
        if component == CANARY:
            ready = partial(rollout.answers, settings, canary.version, tracks.service(settings, CANARY), CANARY)
            yield Watch(f"until version {canary.version} answers", ready)
    yield from led(settings, canary)
    if settings.cluster.kind == "local":
        yield from clusters.of(settings).withdraw(settings, "serving", usual(settings))
    yield Watch("until both versions answer", partial(trial.answers, settings, stable, canary))
    yield Result(f"version {canary.version} gets {canary.percent} % of the predictions, {stable} the others")


def off(settings: Settings, stable: str) -> Steps:
    """Lead all requests to the stable version's usual server again, and take the rest back; nothing where none is."""
    if (yield from present(settings)) is None:
        return
    if settings.cluster.kind == "local":
        state = yield from told(settings, f"{settings.serving.model_name}-serving")
        yield from brought_up(settings, "serving", state=state or only(stable))
    yield from led(settings, None)
    for component in reversed(tracks.components(settings)):
        documents = manifests.render(settings, component, stable)
        yield from clusters.of(settings).withdraw(settings, component, documents)
    yield Note(f"no version is on trial any more: {stable} gets all requests")


def led(settings: Settings, canary: Canary | None) -> Steps:
    """What requests follow: the Service, to the router or past it; or with a Gateway its routes."""
    yield from required(settings)
    yield from brought_up(settings, *tracks.entrance(settings), trial=canary)


def required(settings: Settings) -> Steps:
    """Refuse to go on where routes are to lead from a Gateway and the cluster knows none of that."""
    if settings.serving.canary.gateway is None:
        return
    for kind in ("httproutes", "grpcroutes"):
        name = f"{kind}.gateway.networking.k8s.io"
        if not (yield kube.get(settings, "crd", name, unasked={"kind": "assumed"})):
            raise PipelineError(
                f"the cluster knows no {kind} of the Gateway API, which serving.canary.gateway asks for: have it "
                f"installed (https://gateway-api.sigs.k8s.io/guides/), or write null and nginx shares requests out"
            )


def usual(settings: Settings) -> list[Manifest]:
    """The usual server on this machine, which leaves its ports to the router; what it is told stays noted down."""
    return [one for one in manifests.render(settings, "serving", "1") if one["kind"] == "Deployment"]


def present(settings: Settings) -> Asking:
    """What the canary's server is told to serve; None where there is none."""
    return (yield from told(settings, f"{settings.serving.model_name}-serving-canary"))


def told(settings: Settings, name: str) -> Asking:
    """What the server with a ConfigMap is told to serve; None where there is no such ConfigMap."""
    found = yield from clusters.of(settings).found(settings, "ConfigMap", name)
    return read((found or {}).get("data", {}).get(FILE, ""))
