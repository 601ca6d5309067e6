"""One fake cluster: a Kubernetes API on loopback that the real kubectl works with, and what tests set in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fakes.kubernetes import outcomes, pods, removal
from fakes.kubernetes.controllers import Controllers
from fakes.kubernetes.front import Front
from fakes.kubernetes.kinds import Kind, built_in
from fakes.kubernetes.outcomes import STUCK, Outcome
from fakes.kubernetes.store import Store, now, place
from fakes.kubernetes.tls import certificate
from fakes.state import State

Object = dict[str, Any]
T = TypeVar("T")

GIVEN = re.compile(r"configmaps/.+/kube-root-ca.crt|serviceaccounts/.+/default")
"""What every namespace comes with."""

STEP = 0.05
"""Seconds of real time between two steps while a client watches or follows."""


class Cluster:
    """A cluster with nodes and the namespaces that every cluster has.

    Its lists are its settings: `delay` and `address_delay` count reads of the cluster, because every read moves what
    is under way on by one step.
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
        self.pulls: Callable[[str], bool] = lambda image: True
        """Whether a registry has the image; a pod whose image it has not ends in ImagePullBackOff."""
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

    # What controllers use.

    def kind(self, resource: str) -> Kind:
        return next(kind for kind in self.kinds if kind.resource == resource)

    def fresh(self, resource: str, found: Object) -> Object | None:
        """The object as it is now, or None when it is gone or another one has its name."""
        kind = next((kind for kind in self.kinds if kind.resource == resource), None)
        current = self.store.get(kind, *place(found)) if kind else None
        return current if current and current["metadata"]["uid"] == found["metadata"]["uid"] else None

    def set_status(self, resource: str, found: Object, status: Object) -> None:
        if current := self.fresh(resource, found):
            self.store.put(self.kind(resource), {**current, "status": status})

    def annotate(self, resource: str, found: Object, annotations: dict[str, str]) -> None:
        if current := self.fresh(resource, found):
            current["metadata"]["annotations"] = {**current["metadata"].get("annotations", {}), **annotations}
            self.store.put(self.kind(resource), current)

    def delete(self, resource: str, found: Object) -> None:
        if current := self.fresh(resource, found):
            removal.delete(self, self.kind(resource), current)

    def outcome(self, name: str, addresses: bool = False) -> Outcome | None:
        """What the workload of that name meets; the latest that fits."""
        fits = (one for one in reversed(self.outcomes) if one.fits(name, addresses))
        return next(fits, None)

    def start_pod(self, pod: Object, outcome: Outcome | None) -> Object:
        kind = self.kind("pods")
        if old := self.store.get(kind, *place(pod)):
            removal.delete(self, kind, old)
        made = removal.created(self, kind, pod)
        self.meets(made, outcome)
        self.set_status("pods", made, pods.pending(made))
        if not (outcome and outcome.reason == "Unschedulable"):
            self.place_pod(made)
        return made

    def place_pod(self, pod: Object) -> None:
        nodes = list(self.store.every(self.kind("nodes")))
        current = self.fresh("pods", pod)
        if current and nodes:
            current["spec"]["nodeName"] = nodes[0]["metadata"]["name"]
            self.store.put(self.kind("pods"), current)
            where = f"Successfully assigned {'/'.join(place(pod))} to {nodes[0]['metadata']['name']}"
            self.event(pod, "Normal", "Scheduled", where, "default-scheduler")

    def adopt(self, pod: Object) -> None:
        """A pod that was created directly: it is placed, and it too may meet an outcome."""
        self.meets(pod, self.outcome(pod["metadata"]["name"]))
        self.set_status("pods", pod, pods.pending(pod))
        self.place_pod(pod)

    def meets(self, pod: Object, outcome: Outcome | None) -> None:
        """Note what the pod meets; an image that no registry has is met without anybody asking for it."""
        images = [container.get("image", "") for container in pod["spec"]["containers"]]
        if outcome is None and not all(map(self.pulls, images)):
            outcome = outcomes.made(".*", "ImagePullBackOff", "", "", None, None)
        if outcome and outcome.times != 0:
            self.pod_outcomes[pod["metadata"]["uid"]] = outcome.taken()

    def outcome_of(self, pod: Object) -> Outcome | None:
        return self.pod_outcomes.get(pod["metadata"]["uid"])

    def run_pod(self, pod: Object) -> None:
        """The pod starts, or shows why it does not."""
        current, outcome = self.fresh("pods", pod), self.outcome_of(pod)
        if current is None or current["status"]["phase"] == "Running":
            return
        forever = current["spec"].get("restartPolicy") != "Never"
        broken = outcome and (outcome.reason in STUCK or (forever and outcome.reason not in ("Evicted", "Preempted")))
        self.set_status("pods", pod, pods.stuck(current, outcome) if outcome and broken else pods.running(current))
        if outcome and broken:
            for event in outcomes.events(outcome, current):
                self.event(current, *event, "kubelet")
        else:
            self.event(current, "Normal", "Started", f"Started container {current['spec']['containers'][0]['name']}")

    def end_pod(self, pod: Object) -> None:
        """The pod ends, well or as its outcome says."""
        current, outcome = self.fresh("pods", pod), self.outcome_of(pod)
        if current is None:
            return
        self.set_status("pods", pod, pods.ended(current, outcome) if outcome else pods.succeeded(current))
        for event in outcomes.events(outcome, current) if outcome else []:
            self.event(current, *event, "kubelet")

    def succeeded(self, resource: str, found: Object) -> None:
        for hooked, hook in self.hooks:
            if hooked == resource:
                hook(found)

    def log_of(self, pod: Object) -> str:
        outcome = self.outcome_of(pod)
        if outcome and outcome.log:
            return outcome.log
        return next((text for pattern, text in reversed(self.logs) if pattern.search(pod["metadata"]["name"])), "")

    def event(self, about: Object, kind: str, reason: str, message: str, component: str = "kubelet") -> None:
        """Note an Event about an object; one that says the same again is counted."""
        namespace = about["metadata"].get("namespace", "default")
        uid = about["metadata"]["uid"]
        for earlier in self.store.every(self.kind("events"), namespace):
            if (earlier["involvedObject"]["uid"], earlier["reason"], earlier["message"]) == (uid, reason, message):
                again = {**earlier, "count": earlier["count"] + 1, "lastTimestamp": now()}
                self.store.put(self.kind("events"), again)
                return
        involved = {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": about["metadata"]["name"],
                    "namespace": namespace, "uid": uid}  # fmt: skip
        self.store.add(self.kind("events"), {
            "metadata": {"name": f"{about['metadata']['name']}.{self.store.version:016x}", "namespace": namespace},
            "involvedObject": involved, "type": kind, "reason": reason, "message": message, "count": 1,
            "firstTimestamp": now(), "lastTimestamp": now(), "source": {"component": component},
            "reportingComponent": component, "reportingInstance": "",
        })  # fmt: skip

    def moment(self, ask: Callable[[], T]) -> T:
        """Let one step of time pass, then ask; for watches and followed logs, which wait outside the lock."""
        with self.store.changed:
            self.store.changed.wait(STEP)
            self.controllers.tick()
            return ask()


def node(cluster: str, number: int, version: str) -> Object:
    name = f"gke-{cluster}-default-pool-{number}"
    size = {"cpu": "4", "memory": "16Gi", "pods": "110"}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64",
                                              "cloud.google.com/gke-nodepool": "default-pool"}},
        "spec": {"podCIDR": f"10.60.{number}.0/24"},
        "status": {"capacity": size, "allocatable": size, "nodeInfo": {"kubeletVersion": version},
                   "conditions": [pods.condition("Ready", True, "KubeletReady", "kubelet is posting ready status")]},
    }  # fmt: skip
