"""A search on a cluster: whether Katib is there to run it, and its Experiment until it has ended."""

from __future__ import annotations

from typing import Any

from pipeline.clusters.kube import conditions, get, poll
from pipeline.clusters.workloads import Patience, endure, told, why
from pipeline.commands import Asking, Note, Steps
from pipeline.errors import PipelineError, RunFailed
from pipeline.settings import Settings
from pipeline.trials import EXPERIMENT

KIND = "experiments.kubeflow.org"

ENDED_WELL = {"status": {"conditions": [{"type": "Succeeded", "status": "True"}]}}
"""What stands for an Experiment where nothing is asked."""


def required(settings: Settings) -> Steps:
    """Refuse to go on where Katib is not in the cluster, and say what brings it there."""
    found = yield get(settings, "crd", KIND, unasked={"kind": "assumed"}, needs=("katib",))
    if found:
        return
    installs = f"`invoke --env={settings.environment} deploy` installs it"
    if "katib" not in settings.kubeflow.components:
        wanted = ", ".join((*settings.kubeflow.components, "katib"))
        installs = f"write kubeflow.components: [{wanted}] in config/{settings.environment}.yaml, then {installs}"
    raise PipelineError(f"Katib, which runs the trials, is not in the cluster: {installs}")


def succeeded(settings: Settings, name: str) -> Asking:
    """Whether the Experiment is there and has ended well."""
    found = yield get(settings, KIND, name, needs=("namespace", "katib"))
    return bool(found) and "Succeeded" in conditions(found)


def watched(settings: Settings, name: str) -> Steps:
    """Say how the Experiment goes until it has ended; RunFailed with a failed trial's last words where it failed."""
    patience, shown = Patience(), ""
    while True:
        found = yield poll(settings, "get", KIND, name, done=ENDED_WELL)
        pods = (yield poll(settings, "get", "pods", f"--selector={EXPERIMENT}={name}", done={"items": []}))["items"]
        line, state = progress(found.get("status", {})), conditions(found)
        if line != shown:
            yield Note(line)
            shown = line
        if "Succeeded" in state:
            return
        if "Failed" in state:
            raise RunFailed((yield from told(settings, name, pods, why(found))))
        yield from endure(settings, name, stuck(pods), patience)
        yield patience.pause()


def stuck(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pods whose troubles count: while one runs, another may well wait for its place."""
    phases = {pod.get("status", {}).get("phase") for pod in pods}
    return [] if "Running" in phases else [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]


def progress(status: dict[str, Any]) -> str:
    """An Experiment's status in a line; empty before there is one."""
    if not status.get("trials"):
        return ""
    counts = [
        f"{status[key]} {word}"
        for key, word in (("trialsSucceeded", "done"), ("trialsRunning", "running"), ("trialsPending", "waiting"),
                          ("trialsFailed", "failed"), ("trialsEarlyStopped", "stopped early"))
        if status.get(key)
    ]  # fmt: skip
    return (
        f"{status['trials']} trials: {', '.join(counts) or 'just begun'}{best(status.get('currentOptimalTrial', {}))}"
    )


def best(trial: dict[str, Any]) -> str:
    """The best trial so far, as Katib has it."""
    metrics = trial.get("observation", {}).get("metrics", [])
    if not metrics:
        return ""
    given = ", ".join(f"{one['name']} {one['value']}" for one in trial.get("parameterAssignments", []))
    return f"; best {metrics[0]['name']} {metrics[0]['latest']} with {given}"
