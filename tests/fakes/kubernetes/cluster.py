"""One fake cluster: a Kubernetes API on loopback that the real kubectl works with, and what tests set in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fakes.kubernetes import outcomes, removal
from fakes.kubernetes.controllers import Controllers
from fakes.kubernetes.front import Front
from fakes.kubernetes.inside import Inside, node
from fakes.kubernetes.kinds import Kind, built_in
from fakes.kubernetes.outcomes import Outcome
from fakes.kubernetes.store import Store
from fakes.kubernetes.tls import certificate
from fakes.state import State

Object = dict[str, Any]
T = TypeVar("T")

GIVEN = re.compile(r"configmaps/.+/kube-root-ca.crt|serviceaccounts/.+/default")
"""What every namespace comes with."""

STEP = 0.05
"""Seconds of real time between two steps while a client watches or follows."""


class Cluster(Inside):
    """A cluster with nodes and the namespaces that every cluster has.

    `delay` and `address_delay` count reads of the cluster, because every read moves what is under way on by one step.
    """

    def __init__(self, state: State, name: str, folder: Path, nodes: int = 2) -> None:
        self.state, self.name, self.api = state, name, f"kubernetes/{name}"
        self.version = "v1.32.4-gke.1106006"
        self.delay = 0
        self.address_delay = 2
        self.expired = False
        self.mute = False
        self.closed = False
        self.backends: dict[tuple[str, str, int], int] = {}
        """(namespace, workload or Service, port) → the real port on loopback that a port-forward or the API's proxy
        leads to."""
        self.reserved_address: Callable[[str], str | None] = lambda name: None
        """What a reserved address of that name is; the world sets it, for Ingresses."""
        self.reserved_in_region: Callable[[str], str | None] = lambda name: None
        """The same for Services, whose addresses are a region's."""
        self.pulls: Callable[[str], bool] = lambda image: True
        """Whether a registry has the image; a pod whose image it has not ends in ImagePullBackOff."""
        self.measure: Callable[[Object], Object] = lambda job: {"validation_accuracy": "0.9", "validation_loss": "0.3"}
        """What a trial of an Experiment reached, by its job that has succeeded; a test sets it."""
        self.runtimes = {"tensorflow"}
        """The model formats that KServe has a runtime for, where it is installed."""
        self.kinds: list[Kind] = built_in()
        self.objects: dict[str, Object] = state.of(self.api)
        self.store = Store(self.objects, state.lock)
        self.controllers = Controllers(self)
        self.store.listeners.append(self.controllers.heard)
        self.managers: dict[tuple[str, str], Object] = {}
        """(uid, field manager) → what that manager applied last, for server-side apply."""
        self.outcomes: list[Outcome] = []
        self.pod_outcomes: dict[str, Outcome] = {}
        self.logs: list[tuple[re.Pattern[str], str]] = []
        self.hooks: list[tuple[str, Callable[[Object], None]]] = []
        context, self.ca = certificate(folder / name)
        self.front = Front(self, context)
        with state.lock:
            for namespace in ("default", "kube-system", "kube-public", "kube-node-lease"):
                self.add("namespaces", {"metadata": {"name": namespace}})
            for number in range(nodes):
                self.add("nodes", node(name, number, self.version))
        self.given = set(self.objects)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.front.port}"

    def close(self) -> None:
        """Stop answering: the cluster is deleted, or the test is over."""
        self.closed, self.mute = True, False
        self.front.close()

    def kubeconfig(self, path: Path, context: str = "") -> Path:
        """Write a kubeconfig with one context, named as the cluster unless said otherwise."""
        name = context or self.name
        authority = base64.b64encode(self.ca.encode()).decode()
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": f"https://{self.endpoint}",
                                                    "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": "fake-token"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }))  # fmt: skip
        path.chmod(0o600)
        return path

    # What tests set.

    def fail(self, pattern: str, reason: str, log: str = "", message: str = "", times: int | None = None,
             exit_code: int | None = None) -> Outcome:  # fmt: skip
        """Let the workloads (for NoAddress: Services and Ingresses) whose whole name matches go wrong from now on."""
        made = outcomes.made(pattern, reason, log, message, times, exit_code)
        self.outcomes.append(made)
        return made

    def heal(self) -> None:
        """Let everything that starts from now on go well."""
        self.outcomes.clear()

    def log(self, pattern: str, text: str) -> None:
        """What the pods whose name matches have written; the last call that matches counts."""
        self.logs.append((re.compile(pattern), text))

    def on_tfjob(self, hook: Callable[[Object], None]) -> None:
        """Call the hook with a TFJob just before it says that it succeeded."""
        self.hooks.append(("tfjobs.kubeflow.org", hook))

    def on_job(self, hook: Callable[[Object], None]) -> None:
        """Call the hook with a Job just before it says that it is complete."""
        self.hooks.append(("jobs.batch", hook))

    def add(self, resource: str, found: Object) -> Object:
        """Put an object in, as somebody else would have; without a line in the log of writes."""
        with self.state.lock:
            return removal.created(self, self.kind(resource), found)

    def of(self, resource: str, namespace: str = "") -> list[Object]:
        """The objects of a resource, such as "pods" or "deployments.apps"."""
        with self.state.lock:
            return list(self.store.every(self.kind(resource), namespace))

    def summary(self) -> list[str]:
        """What people made here, a line each: without what the cluster itself makes of it."""
        lines = []
        for name, found in self.objects.items():
            resource = name.split("/")[0]
            owned = found["metadata"].get("ownerReferences")
            if not (owned or name in self.given or GIVEN.fullmatch(name) or resource in ("events", "nodes")):
                lines.append(name)
        return sorted(lines)

    def moment(self, ask: Callable[[], T]) -> T:
        """Let one step of time pass, then ask; for watches and followed logs, which wait outside the lock."""
        with self.store.changed:
            self.store.changed.wait(STEP)
            self.controllers.tick()
            return ask()
