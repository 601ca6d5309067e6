"""Where a Service of the local cluster is, and whether what stands behind it answers."""

from __future__ import annotations

import contextlib
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.clusters import pods
from pipeline.clusters.objects import store
from pipeline.clusters.supervisor import Supervisor
from pipeline.errors import PipelineError, RunFailed
from pipeline.manifests import Manifest
from pipeline.processes import environment, run
from pipeline.settings import Settings


@dataclass(frozen=True)
class Way:
    """Where a Service's port is on this machine."""

    address: str


def address(settings: Settings, service: str, port_name: str = "") -> str:
    """A Service as `host:port` on the loopback; raises PipelineError where none, or no port of that name, is there."""
    manifest = store(settings).get("Service", service)
    if manifest is None:
        raise PipelineError(f"no Service {service} is there: run the stage that makes it first")
    behind = behind_service(settings, manifest)
    for port in manifest["spec"]["ports"]:
        if port_name in ("", port["name"]):
            target = pods.port_number(behind["spec"]["template"]["spec"], port.get("targetPort", port["port"]))
            if target != port["port"]:
                raise PipelineError(
                    f"Service {service} leads from port {port['port']} to {target}, and nothing forwards here: "
                    f"give both the same number"
                )
            return f"127.0.0.1:{port['port']}"
    raise PipelineError(f'Service {service} has no port named "{port_name}"')


def behind_service(settings: Settings, manifest: Manifest) -> Manifest:
    """The Deployment whose pods a Service selects."""
    wanted = manifest["spec"]["selector"].items()
    for deployment in store(settings).all("Deployment"):
        if wanted <= deployment["spec"]["template"]["metadata"]["labels"].items():
            return deployment
    raise PipelineError(f"Service {manifest['metadata']['name']} selects no Deployment that is there")


def ready(settings: Settings, manifest: Manifest, last_words: Callable[[str], str], limit: float = 60.0) -> bool:
    """Wait for a Deployment's readiness; raises RunFailed with its last log lines if it dies or never gets ready.

    That its probe is answered is not enough: while a router comes or goes two processes have the same port.
    """
    name = manifest["metadata"]["name"]
    asks, shown = probe(settings, manifest)
    supervisor, deadline = Supervisor(settings.build), time.monotonic() + limit
    while not (asks() and listens(supervisor, name, pods.ports(manifest["spec"]["template"]["spec"]))):
        state = supervisor.states().get(name, {}).get("statename", "not there")
        if state in ("BACKOFF", "FATAL", "EXITED", "not there"):
            raise RunFailed(f"{name} died at its start:\n  {last_words(name)}")
        if time.monotonic() > deadline:
            raise RunFailed(f"{name} is not ready after {limit:g} s ({shown}):\n  {last_words(name)}")
        time.sleep(0.1)
    return True


def listens(supervisor: Supervisor, name: str, ports: list[int]) -> bool:
    """Whether a program's own processes listen on all of these ports."""
    pid, found = supervisor.states().get(name, {}).get("pid"), set[int]()
    if not pid:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for one in (one for process in family for one in process.net_connections("tcp")):
            if one.status == psutil.CONN_LISTEN:
                found.add(one.laddr.port)
    return found >= set(ports)


def probe(settings: Settings, manifest: Manifest) -> tuple[Callable[[], bool], str]:
    """What asks a Deployment's readiness probe, a page or a command, and how to show it."""
    pod = manifest["spec"]["template"]["spec"]
    container = pod["containers"][0]
    asked = container["readinessProbe"]
    if "exec" in asked:
        argv, _ = pods.program({**container, "command": asked["exec"]["command"]})
        return lambda: succeeds(argv, settings.build), shlex.join(argv)
    place = asked["httpGet"]
    url = f"http://127.0.0.1:{pods.port_number(pod, place['port'])}{place['path']}"
    return lambda: answers(url), url


def succeeds(argv: tuple[str, ...], build: Path) -> bool:
    try:
        return run(argv, environment(build), timeout=5).code == 0
    except FileNotFoundError:
        return False


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310  # our own loopback address
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def instead(settings: Settings, port: int) -> str:
    """The --set flags that move a port elsewhere."""
    keys = [
        f"{section}.{key}"
        for section, values in settings.model_dump().items() if isinstance(values, dict)
        for key, value in values.items() if value == port and key.endswith("port")
    ]  # fmt: skip
    return "choose another: " + " ".join(f"--set {key}={port + 1}" for key in keys)
