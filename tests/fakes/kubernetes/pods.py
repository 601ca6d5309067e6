"""Pods and their statuses, as the scheduler and the kubelet would write them."""

from __future__ import annotations

import copy
import zlib
from typing import Any

from fakes.kubernetes import outcomes
from fakes.kubernetes.outcomes import Outcome
from fakes.kubernetes.store import now

Object = dict[str, Any]


def from_template(template: Object, name: str, namespace: str, owner: Object | None, labels: Object) -> Object:
    """A pod as a controller makes it."""
    described = copy.deepcopy(template)
    metadata = described.get("metadata", {})
    metadata |= {"name": name, "namespace": namespace, "labels": {**(metadata.get("labels") or {}), **labels}}
    if owner:
        metadata["ownerReferences"] = [owned_by(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": described["spec"],
            "status": {"phase": "Pending", "qosClass": "Burstable"}}  # fmt: skip


def owned_by(owner: Object) -> Object:
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def condition(kind: str, status: bool, reason: str = "", message: str = "") -> Object:
    made = {"type": kind, "status": str(status), "lastTransitionTime": now()}
    return made | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def ready_conditions(ready: bool, reason: str = "") -> list[Object]:
    return [
        condition("Initialized", True), condition("Ready", ready, reason),
        condition("ContainersReady", ready, reason), condition("PodScheduled", True),
    ]  # fmt: skip


def containers(pod: Object, state: Object, ready: bool, restarts: int = 0, last: Object | None = None) -> list[Object]:
    return [
        {
            "name": container["name"], "image": container.get("image", ""), "imageID": "", "ready": ready,
            "started": "running" in state, "restartCount": restarts, "state": state, "lastState": last or {},
        }
        for container in pod["spec"]["containers"]
    ]  # fmt: skip


def address(pod: Object) -> str:
    drawn = zlib.crc32(pod["metadata"]["uid"].encode())
    return f"10.60.{drawn % 250}.{drawn // 250 % 250 + 2}"


def pending(pod: Object) -> Object:
    """The container is being made."""
    state = {"waiting": {"reason": "ContainerCreating"}}
    return {"phase": "Pending", "qosClass": "Burstable", "startTime": now(),
            "conditions": ready_conditions(False, "ContainersNotReady"),
            "containerStatuses": containers(pod, state, False)}  # fmt: skip


def running(pod: Object) -> Object:
    return {"phase": "Running", "qosClass": "Burstable", "startTime": now(), "podIP": address(pod),
            "conditions": ready_conditions(True),
            "containerStatuses": containers(pod, {"running": {"startedAt": now()}}, True)}  # fmt: skip


def succeeded(pod: Object) -> Object:
    state = {"terminated": terminated(0, "Completed")}
    return {"phase": "Succeeded", "qosClass": "Burstable", "startTime": now(), "podIP": address(pod),
            "conditions": ready_conditions(False, "PodCompleted"),
            "containerStatuses": containers(pod, state, False)}  # fmt: skip


def terminated(code: int, reason: str, message: str = "") -> Object:
    made = {"exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now()}
    return made | ({"message": message} if message else {})


def stuck(pod: Object, outcome: Outcome) -> Object:
    """A pod that waits for somebody: its image, its node or its program is not as it should be."""
    if outcome.reason == "Unschedulable":
        message = outcomes.unschedulable(outcome)
        return {"phase": "Pending", "qosClass": "Burstable",
                "conditions": [condition("PodScheduled", False, "Unschedulable", message)]}  # fmt: skip
    image = pod["spec"]["containers"][0].get("image", "")
    state = outcomes.waiting(outcome, pod, image)
    crashed = outcome.reason == "CrashLoopBackOff" or outcome.reason in outcomes.ENDED
    why = "OOMKilled" if outcome.reason == "OOMKilled" else "Error"
    last = {"terminated": terminated(outcome.code or 1, why, outcome.message)} if crashed else None
    return {"phase": "Running" if crashed else "Pending", "qosClass": "Burstable", "startTime": now(),
            "podIP": address(pod), "conditions": ready_conditions(False, "ContainersNotReady"),
            "containerStatuses": containers(pod, state, False, 3 if crashed else 0, last)}  # fmt: skip


def ended(pod: Object, outcome: Outcome) -> Object:
    """A pod that failed."""
    reason, message = outcomes.ending(outcome)
    status = {"phase": "Failed", "qosClass": "Burstable", "startTime": now(),
              "conditions": ready_conditions(False, "PodFailed")}  # fmt: skip
    if reason:
        status |= {"reason": reason, "message": message}
    if outcome.code is not None:
        why = "OOMKilled" if outcome.reason == "OOMKilled" else "Error"
        state = {"terminated": terminated(outcome.code, why, "" if reason else message)}
        status["containerStatuses"] = containers(pod, state, False)
    return status


def exit_code(pod: Object) -> int | None:
    """What the pod's first container ended with, if it ended and left a code."""
    for status in pod["status"].get("containerStatuses", []):
        return status["state"].get("terminated", {}).get("exitCode")
    return None
