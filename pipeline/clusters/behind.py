"""What stands behind a Service of a cluster: each of its pods, or whichever it leads to, by several ports at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.clusters import podstates
from pipeline.clusters.access import forwarded, found, service_of
from pipeline.settings import Settings


def each(settings: Settings, service: str, ports: tuple[str, ...], ask: Callable[..., object]) -> None:
    """Call `ask` with an address for each of the ports, once for each ready pod: a Service itself leads to one."""
    one = service_of(settings, service)
    named = {there["name"]: there["targetPort"] for there in one["spec"]["ports"]}
    chosen = ",".join(f"{key}={value}" for key, value in one["spec"]["selector"].items())
    pods = found(settings, "get", "pods", f"--selector={chosen}", doing=f"look for the pods of {service}")["items"]
    for pod in filter(podstates.ready, pods):
        numbers = tuple(container_port(pod, named[port]) for port in ports)
        with forwarded(settings, f"pod/{podstates.name_of(pod)}", numbers) as ways:
            ask(*(way.address for way in ways))


def container_port(pod: dict[str, Any], target: str | int) -> int:
    """A port of a pod by its name or number."""
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    return next(int(port["containerPort"]) for port in ports if target in (port.get("name"), port["containerPort"]))


@contextlib.contextmanager
def ways(settings: Settings, service: str, ports: tuple[str, ...]) -> Iterator[list[str]]:
    """Inside, ports of a Service, by their names, are at these addresses of this machine."""
    numbers = {there["name"]: int(there["port"]) for there in service_of(settings, service)["spec"]["ports"]}
    with forwarded(settings, f"service/{service}", tuple(numbers[port] for port in ports)) as made:
        yield [way.address for way in made]
