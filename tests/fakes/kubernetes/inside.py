"""What the fake cluster's controllers do with its objects: statuses, pods on nodes, events."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import outcomes, pods, removal
from fakes.kubernetes.kinds import Kind
from fakes.kubernetes.outcomes import STUCK, Outcome
from fakes.kubernetes.store import Store, now, place

if TYPE_CHECKING:
    from fakes.kubernetes.controllers import Controllers

Object = dict[str, Any]


class Inside:
    """The cluster as its own controllers see it; the rest of it is in `cluster`."""

    ca: str
    kinds: list[Kind]
    store: Store
    controllers: Controllers
    outcomes: list[Outcome]
    pod_outcomes: dict[str, Outcome]
    """A pod's uid → what it meets."""
    logs: list[tuple[re.Pattern[str], str]]
    hooks: list[tuple[str, Callable[[Object], None]]]
    pulls: Callable[[str], bool]
    measure: Callable[[Object], Object]

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
