"""Ways into a cluster for a person: a port-forward, logs, and what runs there."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline import hands, kserve
from pipeline.answering import carry_out, failure
from pipeline.clusters import balancers, workloads
from pipeline.clusters.kube import conditions, get, look, selector
from pipeline.errors import PipelineError, RunFailed
from pipeline.processes import free_port
from pipeline.settings import Settings
from pipeline.tools import kubectl
from pipeline.trainerlog import readable

STARTING = 30.0
"""Seconds for a port-forward to say where it listens."""

FOREVER = 14 * 86400.0
"""Seconds that a port-forward may stay open: two weeks; poll(2) cannot count to a month."""

HTTP = 80


@dataclass(frozen=True)
class Way:
    """An open port-forward: where it is on this machine, and an event that tells when it has ended by itself."""

    address: str
    over: threading.Event


def quiet(line: str) -> None:
    """Shows nothing."""


def found(settings: Settings, *words: str, doing: str) -> Any:
    """The answer to a question that a person asked; PipelineError where the cluster cannot be reached."""
    return carry_out(look(settings, *words, doing=doing), quiet, hands.of(settings))


class Forward:
    """A `kubectl port-forward` that runs beside us, on this machine or on the environment's host."""

    def __init__(self, settings: Settings, target: str, ports: tuple[int, ...], here: int, namespace: str) -> None:
        self.hands, self.ports = hands.of(settings), ports
        self.words: queue.Queue[str | PipelineError] = queue.Queue()
        self.command = kubectl(
            settings, "port-forward", target, *(f"{here or ''}:{port}" for port in ports), "--address=127.0.0.1",
            limit="0", namespace=namespace, doing=f"forward a port to {target}", timeout=FOREVER,
        )  # fmt: skip
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Until it ends, or is ended: each line that it prints goes to whoever waits."""
        try:
            finished = self.hands.run(self.command, self.words.put)
            self.words.put(RunFailed(failure(self.command, finished)))
        except PipelineError as error:
            self.words.put(error)
        finally:
            self.over.set()

    def started(self) -> list[int]:
        """The ports where it listens, in the order of those that it leads to.

        Raises PipelineError with kubectl's own words where it does not.
        """
        self.thread.start()
        deadline, listening = time.monotonic() + STARTING, list[int]()
        while len(listening) < len(self.ports):
            try:
                word = self.words.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise RunFailed(f"{self.command.doing}: it does not say where after {STARTING:g} s") from None
            if isinstance(word, PipelineError):
                raise word
            if told := re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", word):
                listening.append(int(told[1]))
        return listening

    def stop(self) -> None:
        """End it, with the process that it is."""
        self.hands.interrupt(self.command)
        self.over.wait(10)


@contextlib.contextmanager
def reach(settings: Settings, service: str, port: str | int, here: int = 0, namespace: str = "") -> Iterator[Way]:
    """Inside, a Service's port (by name or number) is at `127.0.0.1:port`, the address given.

    `here`: the port on this machine, 0 for a free one. However this ends, the port-forward has ended.
    """
    number = port if isinstance(port, int) else port_of(settings, service, port, namespace)
    with forwarded(settings, f"service/{service}", (number,), here, namespace) as (way,):
        yield way


@contextlib.contextmanager
def forwarded(
    settings: Settings, target: str, ports: tuple[int, ...], here: int = 0, namespace: str = ""
) -> Iterator[list[Way]]:
    """Inside, ports of a pod or a Service are on this machine's loopback, by one port-forward."""
    forward = Forward(settings, target, ports, 0 if settings.host else here, namespace)
    try:
        with contextlib.ExitStack() as ways:
            made = list[Way]()
            for there in forward.started():
                local = (here or free_port()) if settings.host else there
                ways.enter_context(forward.hands.forward(local, there))
                made.append(Way(f"127.0.0.1:{local}", forward.over))
            yield made
    finally:
        forward.stop()


def port_of(settings: Settings, service: str, name: str, namespace: str = "") -> int:
    """A Service's port by its name; the first where the name is empty."""
    one = service_of(settings, service, namespace)
    for port in one["spec"]["ports"]:
        if name in ("", port.get("name")):
            return int(port["port"])
    raise PipelineError(f'Service {service} has no port named "{name}"')


def service_of(settings: Settings, service: str, namespace: str = "") -> dict[str, Any]:
    place = {"namespace": namespace} if namespace else {}
    one = carry_out(get(settings, "service", service, **place), quiet, hands.of(settings))
    if one is None:
        raise PipelineError(f"no Service {service} is there: run the stage that makes it first")
    return dict(one)


def logs(settings: Settings, name: str, lines: int, follow: bool, show: Callable[[str], None]) -> None:
    """Show the end of a workload's log, then, with `follow`, each new line until Ctrl-C."""
    what = name if name.startswith(("pod/", "job/")) else f"deployment/{name}"
    command = kubectl(
        settings, "logs", what, f"--tail={lines}", *(["--follow"] if follow else []), doing=f"read the log of {name}",
        kind="wait", timeout=86400 if follow else 60, limit="0" if follow else "30s",
    )  # fmt: skip
    carry_out(command, lambda line: shown(line.removeprefix("      "), show), hands.of(settings))


def shown(line: str, show: Callable[[str], None]) -> None:
    for words in readable(line):
        show(words)


def newest_job(settings: Settings) -> str:
    """The pod of the newest training's chief, as `kubectl logs` takes it."""
    ours = f"--selector={selector(settings)},app.kubernetes.io/name=train"
    pods = found(settings, "get", "pods", ours, doing="look for trainings")["items"]
    chiefs = [pod for pod in pods if "-chief-" in pod["metadata"]["name"]]
    if not chiefs:
        raise PipelineError(f"no training's pod is there: `invoke --env={settings.environment} train` starts one")
    return f"pod/{max(chiefs, key=lambda pod: pod['metadata']['creationTimestamp'])['metadata']['name']}"


KINDS = "deployments,jobs,services,pods"


def status(settings: Settings) -> list[tuple[str, ...]]:
    """A row for each object of the environment: component, state, object, age, address."""
    kinds = KINDS
    for kind in ("tfjobs.kubeflow.org", *([kserve.KIND] if settings.serving.kind == "kserve" else [])):
        with contextlib.suppress(PipelineError):  # only where their operators are
            if found(settings, "get", "crd", kind, "--ignore-not-found", doing=f"look for the CRD {kind}"):
                kinds = f"{kind},{kinds}"
    there = found(settings, "get", kinds, f"--selector={selector(settings)}", doing="look at what runs")
    return [row(one) for one in (there or {}).get("items", [])]


def row(one: dict[str, Any]) -> tuple[str, ...]:
    metadata = one["metadata"]
    name = metadata.get("labels", {}).get("app.kubernetes.io/name", "")
    place = f"{one['kind'].lower()}/{metadata['name']}"
    return (name, state(one), place, workloads.age(metadata["creationTimestamp"]), address_of(one))


def state(one: dict[str, Any]) -> str:
    """What an object is doing, in a word or two."""
    status = one.get("status", {})
    match one["kind"]:
        case "Deployment":
            return f"{status.get('readyReplicas', 0)}/{one['spec'].get('replicas', 1)} ready"
        case "Pod":
            return str(status.get("reason") or status.get("phase", "")).lower()
        case "Job" | "TFJob":
            true = [each["type"] for each in status.get("conditions", []) if each["status"] == "True"]
            return str(true[-1]).lower() if true else "waiting"
        case "InferenceService":
            return "ready" if "Ready" in conditions(one) else "not ready"
    return "-"


def address_of(one: dict[str, Any]) -> str:
    if one["kind"] != "Service":
        return ""
    outside, spec = balancers.ingress(one), one["spec"]
    ports = ", ".join(str(port["port"]) for port in spec.get("ports", []))
    return f"http://{outside}" if outside else f"{one['metadata']['name']}.{one['metadata']['namespace']}:{ports}"


def address(settings: Settings, service: str, port_name: str = "") -> str:
    """Where a Service is: its load balancer's address, or its name and port inside the cluster."""
    one = service_of(settings, service)
    outside, port = balancers.ingress(one), port_of(settings, service, port_name)
    suffix = "" if port == HTTP else f":{port}"
    return f"{outside}{suffix}" if outside else f"{service}.{one['metadata']['namespace']}:{port}"
