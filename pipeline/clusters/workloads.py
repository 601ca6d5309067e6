"""Waiting on a cluster: until Jobs, TFJobs, Deployments and load balancers are what they should be, or say why not."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from pipeline import causes, kserve
from pipeline.clusters import podstates
from pipeline.clusters.balancers import external_address
from pipeline.clusters.kube import NO_KIND, conditions, events, poll
from pipeline.clusters.podstates import Trouble
from pipeline.commands import Asking, Command, Note, Pause, Steps
from pipeline.errors import RunFailed
from pipeline.manifests import Manifest
from pipeline.settings import Settings
from pipeline.tools import kubectl
from pipeline.trainerlog import readable, readable_text

FIRST_POLL, POLL = 0.5, 3.0
"""Seconds until the second look, and between the later ones."""

STUCK = 45.0
"""Seconds after which a pod that cannot start is given up: by then its image was tried three times."""

PENDING = 900.0
"""Seconds for a pod without a node: the autoscaler takes two minutes for one, with GPUs up to ten."""

ROLLOUT = 600.0

ENOUGH = 20
"""Lines of a failed pod's log that are shown."""


def wait(settings: Settings, documents: list[Manifest]) -> Steps:
    """Wait for each object that has something to wait for, in their order."""
    for manifest in documents:
        match manifest["kind"]:
            case "TFJob" | "Job":
                yield from job(settings, manifest)
            case "Deployment":
                yield from rollout(settings, manifest)
            case "InferenceService":
                yield from served(settings, manifest)
            case "Service" if manifest["spec"].get("type") == "LoadBalancer":
                yield from external_address(settings, "service", manifest["metadata"]["name"])
            case "Ingress":
                yield from external_address(settings, "ingress", manifest["metadata"]["name"])


class Patience:
    """How long each trouble has been seen; it is said once, and given up after a while."""

    def __init__(self) -> None:
        self.waited, self.since, self.told = 0.0, dict[str, float](), set[str]()

    def pause(self) -> Pause:
        """The time until the next look: short at first, for what is there already."""
        seconds = min(POLL, max(FIRST_POLL, self.waited))
        self.waited += seconds
        return Pause(seconds)

    def news(self, found: list[Trouble]) -> list[str]:
        """Troubles not told yet."""
        lines = [line for line in map(str, found) if line not in self.told]
        self.told.update(lines)
        return lines

    def over(self, found: list[Trouble]) -> Trouble | None:
        """The first trouble that lasted too long."""
        there = {one.pod for one in found}
        self.since = {pod: self.since.get(pod, self.waited) for pod in there}
        for one in found:
            if self.waited - self.since[one.pod] >= (STUCK if one.hopeless else PENDING):
                return one
        return None


def pods_of(settings: Settings, manifest: Manifest) -> Command:
    return poll(settings, "get", "pods", f"--selector={podstates.selector(manifest)}", done={"items": []})


def job(settings: Settings, manifest: Manifest) -> Steps:
    """Show a job's log until it has succeeded; RunFailed with the failed pod's last words as soon as it has failed."""
    kind, name = manifest["kind"].lower(), manifest["metadata"]["name"]
    log, patience = Log(settings), Patience()
    while True:
        found = yield poll(settings, "get", kind, name, done=SUCCEEDED)
        pods = (yield pods_of(settings, manifest))["items"]
        yield from log.new(first(pods))
        state = conditions(found)
        if state & {"Succeeded", "Complete"}:
            return
        if state & {"Failed", "FailureTarget"}:
            raise RunFailed((yield from told(settings, name, pods, why(found))))
        yield from endure(settings, name, pods, patience)
        yield patience.pause()


SUCCEEDED = {"status": {"conditions": [{"type": "Succeeded", "status": "True"}]}}


def first(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The pod whose log tells how the job goes: the chief, else the first."""
    ordered = sorted(pods, key=lambda pod: ("-chief-" not in podstates.name_of(pod), podstates.name_of(pod)))
    return ordered[0] if ordered else None


def why(found: dict[str, Any]) -> str:
    """The words of a job's own condition Failed."""
    conditions = found.get("status", {}).get("conditions", [])
    failed: dict[str, Any] = next(
        (one for one in conditions if one["type"] == "Failed" and one["status"] == "True"), {}
    )
    return f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}".rstrip(": ")


def endure(settings: Settings, name: str, pods: list[dict[str, Any]], patience: Patience) -> Steps:
    """Say what keeps the pods from running; RunFailed once that has lasted too long."""
    found = [one for one in map(podstates.trouble, pods) if one]
    for line in patience.news(found):
        yield Note(line)
    lasting = patience.over(found)
    if lasting:
        stuck = [pod for pod in pods if podstates.name_of(pod) == lasting.pod]
        raise RunFailed((yield from told(settings, name, stuck, str(lasting))))


def told(settings: Settings, name: str, pods: list[dict[str, Any]], reason: str) -> Asking:
    """How something failed: which pod, how it ended, the last lines of its log, a likely cause, where to read on."""
    failed = next((pod for pod in pods if podstates.failure(pod)), pods[0] if pods else None)
    lines, words = [f"{name}: {reason}"], ""
    if failed:
        pod = podstates.name_of(failed)
        if how := podstates.failure(failed):
            lines.append(f"{pod} {how}")
        words = (yield from last_words(settings, failed)) or (yield from events(settings, pod))
        lines += [f"| {line}" for line in words.splitlines()]
    cause = causes.of("\n".join(lines))
    return "\n  ".join([*lines, *([cause.told("\n".join(lines))] if cause else [])])


def last_words(settings: Settings, pod: dict[str, Any]) -> Asking:
    """The end of a pod's log: of the container before, where the present one has only just been started."""
    name = podstates.name_of(pod)
    restarted = any(
        one.get("restartCount") and one.get("state", {}).get("waiting") for one in podstates.containers(pod)
    )
    _, text = yield kubectl(
        settings, "logs", name, f"--tail={ENOUGH}", *(["--previous"] if restarted else []),
        doing=f"read the log of {name}", kind="wait", quiet=True, codes=(0, 1), unasked=(0, ""), timeout=60,
    )  # fmt: skip
    return readable_text(text.strip())


class Log:
    """A pod's log as it grows, read piece by piece; kubectl's own `--follow` ends with the container, not the job."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.since, self.seen, self.pod = settings, "", set[str](), ""

    def new(self, pod: dict[str, Any] | None) -> Steps:
        """Show the lines that came since the last look, and say when another pod has taken the place of the first."""
        if pod is None or pod.get("status", {}).get("phase") == "Pending":
            return
        if self.pod not in ("", pod["metadata"]["uid"]):
            yield Note(f"{podstates.name_of(pod)} was started again: it goes on from the last checkpoint")
        self.pod = pod["metadata"]["uid"]
        since = [f"--since-time={self.since}"] if self.since else []
        _, text = yield kubectl(
            self.settings, "logs", podstates.name_of(pod), "--timestamps", *since, doing="read the log", kind="wait",
            quiet=True, codes=(0, 1), unasked=(0, ""), timeout=60,
        )  # fmt: skip
        for line in text.splitlines():
            for words in readable(line.partition(" ")[2]) if line not in self.seen else []:
                yield Note(words)
        self.remember(text.splitlines())

    def remember(self, lines: list[str]) -> None:
        """Where the next look begins: kubectl takes whole seconds, so that second's lines come again."""
        stamps = [line.partition(" ")[0] for line in lines if re.match(r"\d{4}-\d\d-\d\dT", line)]
        if stamps:
            self.since = f"{stamps[-1][:19]}Z"
            self.seen = {line for line in lines if line.startswith(stamps[-1][:19])} | self.seen


def rollout(settings: Settings, manifest: Manifest) -> Steps:
    """Wait until every pod of a Deployment is new and ready; RunFailed with the reason where one cannot start."""
    name, patience = manifest["metadata"]["name"], Patience()
    while True:
        found = yield poll(settings, "get", "deployment", name, done=None)
        if found is None or complete(found):
            return
        pods = (yield pods_of(settings, manifest))["items"]
        waiting = [pod for pod in pods if not podstates.ready(pod)]
        if not patience.waited:
            yield Note(f"{name}: waiting until it is ready")
        yield from endure(settings, name, waiting, patience)
        if patience.waited >= ROLLOUT:
            raise RunFailed((yield from told(settings, name, waiting, f"not ready after {ROLLOUT:g} s")))
        yield patience.pause()


def served(settings: Settings, manifest: Manifest) -> Steps:
    """Wait until KServe's Deployment is made from an InferenceService and rolled out; RunFailed with the reason."""
    name, patience = manifest["metadata"]["name"], Patience()
    while True:
        service = yield poll(settings, "get", kserve.KIND, name, done=None)
        deployment = ("get", "deployment", settings.serving.deployment, "--ignore-not-found")
        found = yield poll(settings, *deployment, done=None, absent=NO_KIND)
        if service is None or (found and kserve.is_made_from(found, manifest) and complete(found)):
            return
        pods = (yield pods_of(settings, manifest))["items"]
        waiting = [pod for pod in pods if not podstates.ready(pod)]
        if not patience.waited:
            yield Note(f"{name}: waiting until KServe has it ready")
        yield from endure(settings, name, waiting, patience)
        refused = kserve.refusal(service)
        if refused or patience.waited >= ROLLOUT:
            reason = f"KServe refuses it: {refused}" if refused else f"not ready after {ROLLOUT:g} s"
            raise RunFailed((yield from told(settings, name, waiting, reason)))
        yield patience.pause()


def complete(deployment: dict[str, Any]) -> bool:
    """Whether a rollout has ended, by the rules of `kubectl rollout status`."""
    wanted, status = deployment["spec"].get("replicas", 1), deployment.get("status", {})
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return observed and counts == [wanted] * 3


def age(stamp: str) -> str:
    """How long ago, in the unit that kubectl would choose."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"
