"""The lives of the cluster's objects, and the steps in which they go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import experiments, inference, networks, tfjobs, workloads
from fakes.kubernetes.store import Change

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]
Life = Iterator[None]

LIVES: dict[str, Callable[[Any, Object], Life]] = {
    "deployments.apps": workloads.deployment, "statefulsets.apps": workloads.stateful_set,
    "jobs.batch": workloads.job, "pods": workloads.bare_pod, "tfjobs.kubeflow.org": tfjobs.tfjob,
    "experiments.kubeflow.org": experiments.experiment,
    "inferenceservices.serving.kserve.io": inference.inference_service,
    "horizontalpodautoscalers.autoscaling": inference.autoscaler,
    "services": networks.service, "ingresses.networking.k8s.io": networks.ingress,
    "managedcertificates.networking.gke.io": networks.certificate, "persistentvolumeclaims": networks.claim,
    "customresourcedefinitions.apiextensions.k8s.io": networks.definition,
}  # fmt: skip

ONCE = ("jobs.batch", "pods", "tfjobs.kubeflow.org", "experiments.kubeflow.org")
"""A change of these does not begin them anew."""


class Controllers:
    """Begins a life when an object comes or its spec changes, and ends it with the object."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.lives: dict[str, Life] = {}
        self.generations: dict[str, int] = {}
        self.short: set[str] = set()
        """Deployments that lost a pod to somebody and get another one with the next step."""

    def remembering(self) -> Callable[[], None]:
        """What makes the controllers forget what they see from now on, for objects that are put back as they were."""
        generations, short = dict(self.generations), set(self.short)

        def restore() -> None:
            self.lives.clear()
            self.generations, self.short = dict(generations), set(short)

        return restore

    def heard(self, change: Change) -> None:
        """Take note of what happened to an object."""
        uid, resource = change.found["metadata"]["uid"], change.kind.resource
        if change.what == "DELETED":
            self.lives.pop(uid, None)
            if resource == "pods":
                self.short.update(self.deployment_of(change.found))
            return
        generation = change.found["metadata"].get("generation", 1)
        if resource not in LIVES or self.generations.get(uid) == generation:
            return
        if resource in ONCE and uid in self.generations:
            return
        self.generations[uid] = generation
        self.begin(uid, LIVES[resource](self.cluster, change.found))

    def begin(self, uid: str, life: Life) -> None:
        self.lives[uid] = life
        self.step(uid)

    def step(self, uid: str) -> None:
        life = self.lives.get(uid)
        if life is None:
            return
        try:
            next(life)
        except StopIteration:
            if self.lives.get(uid) is life:
                del self.lives[uid]

    def deployment_of(self, pod: Object) -> list[str]:
        """The name of the Deployment that a pod belongs to through its ReplicaSet."""
        sets = [owner["name"] for owner in pod["metadata"].get("ownerReferences", []) if owner["kind"] == "ReplicaSet"]
        return [f"{pod['metadata']['namespace']}/{name.rpartition('-')[0]}" for name in sets]

    def refill(self) -> None:
        """Pods that somebody deleted come again."""
        waiting, self.short = self.short, set()
        for place in waiting:
            found = self.cluster.store.get(self.cluster.kind("deployments.apps"), *place.split("/"))
            if found and found["metadata"]["uid"] not in self.lives:
                mine = workloads.owned(self.cluster, found)
                if len(mine) < found["spec"]["replicas"]:
                    self.begin(found["metadata"]["uid"], workloads.deployment(self.cluster, found))

    def tick(self) -> None:
        """One step for everything that is under way."""
        self.refill()
        for uid in list(self.lives):
            self.step(uid)
