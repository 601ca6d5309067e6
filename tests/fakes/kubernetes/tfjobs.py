"""What the training operator v1.9 makes of a TFJob: pods, services and conditions, in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import pods
from fakes.kubernetes.outcomes import STUCK
from fakes.kubernetes.store import now
from fakes.kubernetes.workloads import admitted

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]
CONTROLLER = "tfjob-controller"


def tfjob(cluster: Cluster, found: Object) -> Iterator[None]:
    """Created, Running, Succeeded or Failed, with restarts between where the restart policy asks for them."""
    while not operated(cluster):
        yield
    where = f"TFJob {found['metadata']['namespace']}/{found['metadata']['name']}"
    tell(cluster, found, "Created", f"TFJob {found['metadata']['name']} is created.")
    for replica in found["spec"]["tfReplicaSpecs"].values():
        yield from admitted(cluster, found, replica["template"], "FailedCreatePod")
    limit = found["spec"].get("runPolicy", {}).get("backoffLimit")
    restarts = 0
    made = [start(cluster, found, replica, index) for replica, index in replicas(found)]
    while True:
        yield
        for pod in made:
            cluster.run_pod(pod)
        met = {pod["metadata"]["name"]: cluster.outcome_of(pod) for pod in made}
        if any(outcome and outcome.reason in STUCK for outcome in met.values()):
            if all(outcome and outcome.reason == "CrashLoopBackOff" for outcome in met.values() if outcome):
                tell(cluster, found, "Running", f"{where} is running.")
            return
        tell(cluster, found, "Running", f"{where} is running.")
        for _ in range(max(1, cluster.delay)):
            yield
        failed = next((pod for pod in made if met[pod["metadata"]["name"]]), None)
        if failed is None:
            finish(cluster, found, made, where)
            return
        cluster.end_pod(failed)
        replica = failed["metadata"]["labels"]["training.kubeflow.org/replica-type"].capitalize()
        if not retried(cluster, found, failed, replica):
            tell(cluster, found, "Failed", f"{where} has failed because 1 {replica} replica(s) failed.")
            return
        if limit is not None and restarts >= limit:
            reached = "has failed because it has reached the specified backoff limit"
            tell(cluster, found, "Failed", f"Job {found['metadata']['name']} {reached}")
            return
        restarts += 1
        tell(cluster, found, "Restarting", f"{where} is restarting because 1 {replica} replica(s) failed.")
        yield
        cluster.delete("pods", failed)
        index = int(failed["metadata"]["labels"]["training.kubeflow.org/replica-index"])
        made = [pod for pod in made if pod is not failed] + [start(cluster, found, replica, index)]


def operated(cluster: Cluster) -> bool:
    """Whether a training operator runs: without one a TFJob stays as it was applied."""
    return any(
        found["metadata"]["name"] == "training-operator" and found.get("status", {}).get("availableReplicas")
        for found in cluster.store.every(cluster.kind("deployments.apps"))
    )


def replicas(found: Object) -> list[tuple[str, int]]:
    specs = found["spec"]["tfReplicaSpecs"]
    return [(replica, index) for replica in specs for index in range(specs[replica].get("replicas", 1))]


def start(cluster: Cluster, found: Object, replica: str, index: int) -> Object:
    """One replica's pod and the headless Service under which the others find it."""
    name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
    called = f"{name}-{replica.lower()}-{index}"
    labels = {
        "training.kubeflow.org/operator-name": CONTROLLER, "training.kubeflow.org/job-name": name,
        "training.kubeflow.org/replica-type": replica.lower(), "training.kubeflow.org/replica-index": str(index),
    }  # fmt: skip
    owners = [pods.owned_by(found)]
    service = {
        "metadata": {"name": called, "namespace": namespace, "labels": labels, "ownerReferences": owners},
        "spec": {"clusterIP": "None", "type": "ClusterIP", "selector": labels,
                 "ports": [{"name": "tfjob-port", "port": 2222, "targetPort": 2222, "protocol": "TCP"}]},
    }  # fmt: skip
    if not cluster.store.get(cluster.kind("services"), namespace, called):
        cluster.store.add(cluster.kind("services"), service)
        cluster.event(found, "Normal", "SuccessfulCreateService", f"Created service: {called}", CONTROLLER)
    role = {"training.kubeflow.org/job-role": "master"} if replica in ("Chief", "Master") else {}
    spec = found["spec"]["tfReplicaSpecs"][replica]
    pod = pods.from_template(spec["template"], called, namespace, found, labels | role)
    policy = spec.get("restartPolicy", "Never")
    pod["spec"]["restartPolicy"] = "Never" if policy == "ExitCode" else policy
    cluster.event(found, "Normal", "SuccessfulCreatePod", f"Created pod: {called}", CONTROLLER)
    return cluster.start_pod(pod, cluster.outcome(name))


def retried(cluster: Cluster, found: Object, pod: Object, replica: str) -> bool:
    """With ExitCode: 128 and above, and a pod that left no code; that one counts as 48879 for the operator."""
    policy = found["spec"]["tfReplicaSpecs"][replica].get("restartPolicy", "Never")
    ended = cluster.store.get(cluster.kind("pods"), *places(pod)) or pod
    code = pods.exit_code(ended)
    if code is not None:
        message = f"Pod: {pod['metadata']['namespace']}.{pod['metadata']['name']} exited with code {code}"
        cluster.event(found, "Normal", "ExitedWithCode", message, CONTROLLER)
    return policy in ("Always", "OnFailure") or (policy == "ExitCode" and (code is None or code >= 128))


def places(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def finish(cluster: Cluster, found: Object, made: list[Object], where: str) -> None:
    """The exported version appears, then the job says that it succeeded."""
    cluster.succeeded("tfjobs.kubeflow.org", found)
    for pod in made:
        cluster.end_pod(pod)
    tell(cluster, found, "Succeeded", f"{where} successfully completed.")


def tell(cluster: Cluster, found: Object, kind: str, message: str) -> None:
    """Set a condition, and what the operator does to the others when it sets that one."""
    current = cluster.fresh("tfjobs.kubeflow.org", found)
    if current is None:
        return
    status = current.get("status") or {}
    hidden = {"Restarting": "Running", "Running": "Restarting"}.get(kind)
    others = [one for one in status.get("conditions", []) if one["type"] not in (kind, hidden)]
    for one in others:
        if kind in ("Failed", "Succeeded") and one["type"] == "Running":
            one["status"] = "False"
    made = pods.condition(kind, True, f"TFJob{kind}", message) | {"lastUpdateTime": now()}
    status |= {"conditions": [*others, made], "startTime": status.get("startTime", now())}
    counted = {"Running": "active", "Succeeded": "succeeded", "Failed": "failed"}.get(kind)
    status["replicaStatuses"] = {
        replica: {counted: spec.get("replicas", 1)} if counted else {}
        for replica, spec in found["spec"]["tfReplicaSpecs"].items()
    }
    if kind in ("Failed", "Succeeded"):
        status["completionTime"] = now()
        cluster.event(found, "Normal", f"TFJob{kind}", message, CONTROLLER)
    cluster.set_status("tfjobs.kubeflow.org", found, status)
