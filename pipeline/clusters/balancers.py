"""Waiting for load balancers: until a Service or an Ingress has its address, or it is known why it gets none."""

from __future__ import annotations

import json
from typing import Any

from pipeline.clusters.kube import events, poll
from pipeline.commands import Note, Pause, Steps
from pipeline.errors import RunFailed
from pipeline.settings import Settings

POLL = 3.0
"""Seconds between two looks."""

ADDRESS = {"service": 600.0, "ingress": 1200.0}
"""Seconds for an address: a Service's comes in one to three minutes, an Ingress's in five to ten."""

BACKENDS = "ingress.kubernetes.io/backends"
"""The annotation in which GKE names the backend services that it made for an Ingress, with their health."""

HAS_ADDRESS = {
    "metadata": {"annotations": {BACKENDS: '{"<backend service>": "HEALTHY"}'}},
    "status": {"loadBalancer": {"ingress": [{"ip": "<address>"}]}},
}


def external_address(settings: Settings, kind: str, name: str) -> Steps:
    """Wait for an address, of an Ingress for its backends too; RunFailed with its events, and another way in."""
    waited = 0.0
    while True:
        found = yield poll(settings, "get", kind, name, done=HAS_ADDRESS)
        if ingress(found) and (kind == "service" or backends(found)):
            return
        if not waited:
            usual = "one to three" if kind == "service" else "five to ten"
            yield Note(f"{name}: waiting for its address: {usual} minutes")
        if waited >= ADDRESS[kind]:
            said = yield from events(settings, name, kind.capitalize())
            raise RunFailed(no_address(settings, kind, name, said, waited))
        waited += POLL
        yield Pause(POLL)


def no_address(settings: Settings, kind: str, name: str, said: str, waited: float) -> str:
    lines = [f"| {line}" for line in (said or "no event tells why").splitlines()]
    hint = f"`invoke --env={settings.environment} open` leads to the page without it, by a port-forward"
    hints = [hint] if kind == "service" else []
    return "\n  ".join([f"{kind.capitalize()} {name} has no address after {waited:g} s", *lines, *hints])


def ingress(found: dict[str, Any]) -> str:
    """The load balancer's address of a Service or an Ingress, empty while it has none."""
    there = found.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    return str(there[0].get("ip") or there[0].get("hostname") or "")


def backends(found: dict[str, Any]) -> list[str]:
    """The backend services that GKE made for an Ingress, but for the one that answers 404 for every cluster."""
    text = found.get("metadata", {}).get("annotations", {}).get(BACKENDS) or "{}"
    return sorted(name for name in json.loads(text) if "-kube-system-" not in name)
