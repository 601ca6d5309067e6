"""Reads from a pod's status why it does not run, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.manifests import Manifest

HOPELESS = frozenset({
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError", "CrashLoopBackOff",
})  # fmt: skip
"""Waiting reasons that do not go away by themselves within minutes."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a pod, in Kubernetes' own words."""

    pod: str
    reason: str
    message: str
    hopeless: bool
    """Waiting longer does not help, though the first sight of it may pass: an image is pulled three times."""

    def __str__(self) -> str:
        return f"{self.pod}: {self.reason}{f': {self.message}' if self.message else ''}"


def selector(manifest: Manifest) -> str:
    """Finds the pods of a workload."""
    match manifest["kind"]:
        case "TFJob":
            return f"training.kubeflow.org/job-name={manifest['metadata']['name']}"
        case "Job":
            return f"job-name={manifest['metadata']['name']}"
        case "InferenceService":
            return f"serving.kserve.io/inferenceservice={manifest['metadata']['name']}"
    return ",".join(f"{key}={value}" for key, value in manifest["spec"]["selector"]["matchLabels"].items())


def name_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """The statuses of its containers, those that prepare first."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def ready(pod: dict[str, Any]) -> bool:
    there = {one["type"]: one["status"] for one in pod.get("status", {}).get("conditions", [])}
    return there.get("Ready") == "True"


def trouble(pod: dict[str, Any]) -> Trouble | None:
    """Why a pod does not run; None while nothing is known to be wrong."""
    status, name = pod.get("status", {}), name_of(pod)
    if by_its_node(status):  # its controller makes another one, or fails itself
        return Trouble(name, status["reason"], status.get("message", "").strip(), hopeless=False)
    for one in containers(pod):
        waiting = one.get("state", {}).get("waiting", {})
        if waiting.get("reason") in HOPELESS:
            last = ended(one.get("lastState", {}))
            return Trouble(name, waiting["reason"], last or waiting.get("message", ""), hopeless=True)
    for one in status.get("conditions", []):
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return Trouble(name, one.get("reason", "Unschedulable"), one.get("message", ""), hopeless=False)
    return None


def by_its_node(status: dict[str, Any]) -> bool:
    """Whether a pod's node ended it, with a reason: Evicted, Terminated (the node is taken away), OutOfcpu …"""
    return bool(status.get("reason")) and (status.get("phase") == "Failed" or status["reason"] == "NodeLost")


def ended(state: dict[str, Any]) -> str:
    """How a container ended, from its `terminated` state; empty if it did not, or ended well."""
    terminated = state.get("terminated")
    if not terminated or terminated.get("exitCode") == 0:
        return ""
    words = [f"ended with {terminated.get('exitCode')}"]
    if terminated.get("reason") not in (None, "Error", "Completed"):
        words.append(f"({terminated['reason']})")
    return " ".join([*words, *([terminated["message"]] if terminated.get("message") else [])])


def failure(pod: dict[str, Any]) -> str:
    """How a pod failed, in words; empty for one that did not."""
    status = pod.get("status", {})
    if by_its_node(status):
        return f"was {status['reason']}: {status.get('message', '')}".rstrip(": ")
    for one in containers(pod):
        for state in (one.get("state", {}), one.get("lastState", {})):
            if words := ended(state):
                return words
    return "failed" if status.get("phase") == "Failed" else ""
