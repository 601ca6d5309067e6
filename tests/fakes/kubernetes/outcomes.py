"""What can go wrong with a workload, as the statuses of its pods and the events tell it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

STUCK = ("ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "Unschedulable", "CreateContainerConfigError")
"""The pod stays as it is until somebody acts."""

ENDED = {"Failed": 1, "OOMKilled": 137, "Evicted": None, "Preempted": 143}
"""The pod ends, with this exit code; an evicted one leaves none."""

NO_SECRET = 'secret "user-gcp-sa" not found'
NO_ADDRESS = "NoAddress"
"""For a Service or an Ingress: the address never comes."""


@dataclass
class Outcome:
    """What a workload whose name matches meets, in so many of its pods."""

    pattern: re.Pattern[str]
    reason: str
    log: str = ""
    message: str = ""
    times: int | None = None
    """How many pods; None: all of them."""
    exit_code: int | None = None

    def fits(self, name: str, addresses: bool) -> bool:
        return self.times != 0 and (self.reason == NO_ADDRESS) == addresses and bool(self.pattern.fullmatch(name))

    def taken(self) -> Outcome:
        if self.times:
            self.times -= 1
        return self

    @property
    def code(self) -> int | None:
        return self.exit_code if self.exit_code is not None else ENDED.get(self.reason, 1)


def made(pattern: str, reason: str, log: str, message: str, times: int | None, exit_code: int | None) -> Outcome:
    """An outcome with a name that exists: a typing mistake in a test must not look like success."""
    if reason not in (*STUCK, *ENDED, NO_ADDRESS):
        raise ValueError(f"{reason} is none of {', '.join((*STUCK, *ENDED, NO_ADDRESS))}")
    if times is None and reason == "Preempted":
        times = 1  # a node is taken away once, and the next one stays
    return Outcome(re.compile(pattern), reason, log, message, times, exit_code)


def waiting(outcome: Outcome, pod: Object, image: str) -> Object:
    """A stuck container's `state` and what belongs to it."""
    name, namespace, uid = (pod["metadata"][field] for field in ("name", "namespace", "uid"))
    if outcome.reason == "ErrImagePull":
        message = outcome.message or pull_error(image)
    elif outcome.reason == "ImagePullBackOff":
        message = outcome.message or f'Back-off pulling image "{image}": ErrImagePull: {pull_error(image)}'
    elif outcome.reason == "CreateContainerConfigError":
        message = outcome.message or NO_SECRET
    else:
        container = pod["spec"]["containers"][0]["name"]
        message = f"back-off 5m0s restarting failed container={container} pod={name}_{namespace}({uid})"
        return {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
    return {"waiting": {"reason": outcome.reason, "message": message}}


def pull_error(image: str) -> str:
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
        f'failed to resolve reference "{image}": {image}: not found'
    )


def ending(outcome: Outcome) -> tuple[str, str]:
    """The reason and the message of the pod itself, where it did not end by its own container."""
    if outcome.reason == "Evicted":
        default = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. "
        return "Evicted", outcome.message or default
    if outcome.reason == "Preempted":
        default = "Pod was terminated in response to imminent node shutdown."
        return "Terminated", outcome.message or default
    return "", outcome.message


def events(outcome: Outcome, pod: Object) -> list[tuple[str, str, str]]:
    """The events about such a pod: type, reason, message."""
    image = pod["spec"]["containers"][0].get("image", "")
    if outcome.reason in ("ErrImagePull", "ImagePullBackOff"):
        failed = outcome.message or f'Failed to pull image "{image}": {pull_error(image)}'
        return [
            ("Normal", "Pulling", f'Pulling image "{image}"'), ("Warning", "Failed", failed),
            ("Warning", "Failed", "Error: ErrImagePull"), ("Normal", "BackOff", f'Back-off pulling image "{image}"'),
            ("Warning", "Failed", "Error: ImagePullBackOff"),
        ]  # fmt: skip
    if outcome.reason in ("CrashLoopBackOff", "OOMKilled", "Failed") and pod["spec"].get("restartPolicy") != "Never":
        container, name = pod["spec"]["containers"][0]["name"], pod["metadata"]["name"]
        where = f"{name}_{pod['metadata']['namespace']}({pod['metadata']['uid']})"
        return [("Warning", "BackOff", f"Back-off restarting failed container {container} in pod {where}")]
    if outcome.reason == "Unschedulable":
        return [("Warning", "FailedScheduling", unschedulable(outcome))]
    if outcome.reason == "CreateContainerConfigError":
        return [("Warning", "Failed", f"Error: {outcome.message or NO_SECRET}")]
    if outcome.reason in ("Evicted", "Preempted"):
        kind = "Evicted" if outcome.reason == "Evicted" else "NodeShutdown"
        return [("Warning", kind, ending(outcome)[1])]
    return []


def unschedulable(outcome: Outcome) -> str:
    return outcome.message or (
        "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: "
        "2 No preemption victims found for incoming pod."
    )
