"""What the controllers of Kubernetes make of Deployments, StatefulSets, Jobs and pods.

Each object has a life: a generator that sets statuses and yields where time passes. A read of the cluster moves every
life on by one step, so that nothing here sleeps and a test sees the same steps each time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import pods
from fakes.kubernetes.outcomes import STUCK
from fakes.kubernetes.selectors import selects
from fakes.kubernetes.store import now

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]
Life = Iterator[None]


def admitted(cluster: Cluster, found: Object, template: Object, reason: str = "FailedCreate") -> Life:
    """Wait until the service account of the pods is there, as every controller has to."""
    name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
    account = template["spec"].get("serviceAccountName", "default")
    while cluster.store.get(cluster.kind("serviceaccounts"), namespace, account) is None:
        missing = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
        cluster.event(found, "Warning", reason, f'Error creating: pods "{name}-" is forbidden: {missing}')
        yield


def deployment(cluster: Cluster, found: Object) -> Life:
    """A new ReplicaSet's pods first, then the old pods go; pods that do not start leave the old ones in place."""
    name, namespace, wanted = found["metadata"]["name"], found["metadata"]["namespace"], found["spec"]["replicas"]
    replica_set = replica_set_of(cluster, found)
    yield from admitted(cluster, replica_set, found["spec"]["template"])
    digest = replica_set["metadata"]["labels"]["pod-template-hash"]
    old = [pod for pod in owned(cluster, found) if pod["metadata"]["labels"].get("pod-template-hash") != digest]
    mine = [pod for pod in owned(cluster, found) if pod["metadata"]["labels"].get("pod-template-hash") == digest]
    for pod in mine[wanted:]:
        cluster.delete("pods", pod)
    outcome = cluster.outcome(name) if len(mine) < wanted else None
    for number in range(len(mine), wanted):
        drawn = f"{replica_set['metadata']['uid']}{number}{cluster.store.version}"
        suffix = hashlib.sha256(drawn.encode()).hexdigest()[:5]
        labels = {"pod-template-hash": digest}
        pod = pods.from_template(found["spec"]["template"], f"{name}-{digest}-{suffix}", namespace, replica_set, labels)
        cluster.start_pod(pod, outcome)
    fresh = [pod for pod in owned(cluster, found) if pod["metadata"]["labels"].get("pod-template-hash") == digest]
    if outcome or cluster.delay:
        cluster.set_status("deployments.apps", found, deployment_status(found, replica_set, len(fresh), len(old), 0))
    for _ in range(cluster.delay):
        yield
    broken = [pod for pod in fresh if cluster.outcome_of(pod)]
    for pod in fresh:
        cluster.run_pod(pod)
    if not broken:
        for pod in old:
            cluster.delete("pods", pod)
        old = []
    ready = len(fresh) - len(broken)
    status = deployment_status(found, replica_set, len(fresh), len(old), ready)
    cluster.set_status("deployments.apps", found, status)


def replica_set_of(cluster: Cluster, found: Object) -> Object:
    """The ReplicaSet of the Deployment's pod template, made where there is none."""
    name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
    template = found["spec"]["template"]
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
    kind = cluster.kind("replicasets.apps")
    if existing := cluster.store.get(kind, namespace, f"{name}-{digest}"):
        return existing
    labels = {**template.get("metadata", {}).get("labels", {}), "pod-template-hash": digest}
    owners = [pods.owned_by(found)]
    metadata = {"name": f"{name}-{digest}", "namespace": namespace, "labels": labels, "ownerReferences": owners}
    spec = {"replicas": found["spec"]["replicas"], "selector": {"matchLabels": labels}, "template": template}
    cluster.event(found, "Normal", "ScalingReplicaSet", f"Scaled up replica set {name}-{digest}")
    return cluster.store.add(kind, {"metadata": metadata, "spec": spec})


def owned(cluster: Cluster, found: Object) -> list[Object]:
    """The pods that a workload's selector takes in."""
    every = cluster.store.every(cluster.kind("pods"), found["metadata"]["namespace"])
    return [pod for pod in every if selects(found["spec"]["selector"], pod["metadata"].get("labels", {}))]


def deployment_status(found: Object, replica_set: Object, updated: int, old: int, ready: int) -> Object:
    wanted, ok = found["spec"]["replicas"], ready >= found["spec"]["replicas"]
    available = ready + old
    done = f'ReplicaSet "{replica_set["metadata"]["name"]}" has successfully progressed.'
    going = f'ReplicaSet "{replica_set["metadata"]["name"]}" is progressing.'
    minimum = available >= wanted
    return {
        "observedGeneration": found["metadata"]["generation"], "replicas": updated + old, "updatedReplicas": updated,
        "readyReplicas": available, "availableReplicas": available, "unavailableReplicas": updated - ready,
        "conditions": [
            pods.condition("Available", minimum, f"MinimumReplicas{'Available' if minimum else 'Unavailable'}",
                           f"Deployment {'has' if minimum else 'does not have'} minimum availability."),
            pods.condition("Progressing", True, "NewReplicaSetAvailable" if ok else "ReplicaSetUpdated",
                           done if ok else going),
        ],
    }  # fmt: skip


def stateful_set(cluster: Cluster, found: Object) -> Life:
    """Pods with numbers, made anew in place when the template changes."""
    name, namespace, wanted = found["metadata"]["name"], found["metadata"]["namespace"], found["spec"]["replicas"]
    yield from admitted(cluster, found, found["spec"]["template"])
    for pod in owned(cluster, found):
        cluster.delete("pods", pod)
    for number in range(wanted):
        pod = pods.from_template(found["spec"]["template"], f"{name}-{number}", namespace, found, {})
        cluster.start_pod(pod, cluster.outcome(name))
    for _ in range(cluster.delay):
        yield
    mine = owned(cluster, found)
    for pod in mine:
        cluster.run_pod(pod)
    ready = sum(not cluster.outcome_of(pod) for pod in mine)
    revision = f"{name}-{found['metadata']['generation']}"
    cluster.set_status("statefulsets.apps", found, {
        "observedGeneration": found["metadata"]["generation"], "replicas": wanted, "readyReplicas": ready,
        "availableReplicas": ready, "currentReplicas": wanted, "updatedReplicas": wanted,
        "currentRevision": revision, "updateRevision": revision,
    })  # fmt: skip


def job(cluster: Cluster, found: Object) -> Life:
    """One pod at a time until one succeeds or the back-off limit is reached."""
    name, namespace, uid = found["metadata"]["name"], found["metadata"]["namespace"], found["metadata"]["uid"]
    yield from admitted(cluster, found, found["spec"]["template"])
    labels = {"batch.kubernetes.io/job-name": name, "job-name": name, "batch.kubernetes.io/controller-uid": uid}
    for attempt in range(found["spec"]["backoffLimit"] + 1):
        suffix = hashlib.sha256(f"{uid}{attempt}".encode()).hexdigest()[:5]
        pod = pods.from_template(found["spec"]["template"], f"{name}-{suffix}", namespace, found, labels)
        pod = cluster.start_pod(pod, cluster.outcome(name))
        cluster.event(found, "Normal", "SuccessfulCreate", f"Created pod: {name}-{suffix}", "job-controller")
        cluster.set_status("jobs.batch", found, {"startTime": now(), "active": 1, "ready": 0, "failed": attempt})
        yield
        outcome = cluster.outcome_of(pod)
        cluster.run_pod(pod)
        if outcome and outcome.reason in STUCK:
            return
        cluster.set_status("jobs.batch", found, {"startTime": now(), "active": 1, "ready": 1, "failed": attempt})
        for _ in range(cluster.delay):
            yield
        cluster.end_pod(pod)
        if not outcome:
            cluster.succeeded("jobs.batch", found)
            reached = "Reached expected number of succeeded pods"
            complete = pods.condition("Complete", True, "CompletionsReached", reached)
            status = {"startTime": now(), "completionTime": now(), "succeeded": 1, "failed": attempt}
            cluster.set_status("jobs.batch", found, status | {"conditions": [complete]})
            return
    failed = pods.condition("Failed", True, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    cluster.event(found, "Warning", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    tries = found["spec"]["backoffLimit"] + 1
    cluster.set_status("jobs.batch", found, {"startTime": now(), "failed": tries, "conditions": [failed]})


def bare_pod(cluster: Cluster, found: Object) -> Life:
    """A pod that nobody owns: runs, and ends when it is not to run for ever."""
    if found["metadata"].get("ownerReferences"):
        return
    cluster.adopt(found)
    for _ in range(max(1, cluster.delay)):
        yield
    cluster.run_pod(found)
    if found["spec"].get("restartPolicy", "Always") == "Always":
        return
    outcome = cluster.outcome_of(found)
    if not (outcome and outcome.reason in STUCK):
        yield
        cluster.end_pod(found)
