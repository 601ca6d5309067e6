"""What Katib v0.19 makes of an Experiment: trials, each a job with drawn values, and a status that tells of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import pods, removal
from fakes.kubernetes.store import now

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]
RESOURCE = "experiments.kubeflow.org"


def experiment(cluster: Cluster, found: Object) -> Iterator[None]:
    """Created, Running, then Succeeded when all trials have ended, or Failed when too many of them failed."""
    while not controlled(cluster):
        yield
    spec, name = found["spec"], found["metadata"]["name"]
    tell(cluster, found, "Created", "Experiment is created", {})
    running: list[Object] = []
    begun, ended = 0, dict[str, Object | None]()
    drawn: dict[str, Object] = {}
    while len(ended) < spec["maxTrialCount"]:
        while len(running) < spec["parallelTrialCount"] and begun < spec["maxTrialCount"]:
            begun += 1
            trial = f"{name}-{begun:08x}"
            drawn[trial] = draw(spec, begun)
            running.append(begin(cluster, found, trial, drawn[trial]))
        yield
        for job in list(running):
            state = conditions(cluster.fresh("tfjobs.kubeflow.org", job))
            if state & {"Succeeded", "Failed"}:
                running.remove(job)
                ended[job["metadata"]["name"]] = cluster.measure(job) if "Succeeded" in state else None
        counts = counted(begun, running, ended) | optimum(spec, ended, drawn)
        failed = sum(figures is None for figures in ended.values())
        if failed >= spec["maxFailedTrialCount"]:
            tell(cluster, found, "Failed", "Experiment has failed because max failed count has reached", counts)
            return
        tell(cluster, found, "Running", "Experiment is running", counts)
    tell(cluster, found, "Succeeded", "Experiment has succeeded because max trial count has reached", counts)


def controlled(cluster: Cluster) -> bool:
    """Whether Katib's controller runs: without one an Experiment stays as it was applied."""
    return any(
        found["metadata"]["name"] == "katib-controller" and found.get("status", {}).get("availableReplicas")
        for found in cluster.store.every(cluster.kind("deployments.apps"))
    )


def draw(spec: Object, number: int) -> Object:
    """A value for each parameter, as text."""
    source, values = random.Random(number), {}
    for parameter in spec["parameters"]:
        space, kind = parameter["feasibleSpace"], parameter["parameterType"]
        if kind in ("discrete", "categorical"):
            values[parameter["name"]] = source.choice(space["list"])
        elif kind == "int":
            values[parameter["name"]] = str(source.randint(int(space["min"]), int(space["max"])))
        else:
            values[parameter["name"]] = str(source.uniform(float(space["min"]), float(space["max"])))
    return values


def begin(cluster: Cluster, found: Object, trial: str, values: Object) -> Object:
    """The trial's job: the template with its placeholders filled in; one that is left over is a mistake."""
    template = found["spec"]["trialTemplate"]
    text = json.dumps(template["trialSpec"])
    for parameter in template["trialParameters"]:
        reference = parameter["reference"]
        value = trial if reference == "${trialSpec.Name}" else values[reference]
        text = text.replace(f"${{trialParameters.{parameter['name']}}}", value)
    if "${" in text:
        raise ValueError(f"a placeholder of {trial} is none of trialParameters: {text}")
    job = json.loads(text)
    metadata = {"name": trial, "namespace": found["metadata"]["namespace"], "ownerReferences": [pods.owned_by(found)]}
    return removal.created(cluster, cluster.kind("tfjobs.kubeflow.org"), {**job, "metadata": metadata})


def conditions(found: Object | None) -> set[str]:
    there = (found or {}).get("status", {}).get("conditions", [])
    return {one["type"] for one in there if one["status"] == "True"}


def counted(begun: int, running: list[Object], ended: dict[str, Object | None]) -> Object:
    failed = sum(figures is None for figures in ended.values())
    counts = {"trialsRunning": len(running), "trialsSucceeded": len(ended) - failed, "trialsFailed": failed}
    return {"trials": begun, **{key: count for key, count in counts.items() if count}}


def optimum(spec: Object, ended: dict[str, Object | None], drawn: dict[str, Object]) -> Object:
    """The best trial so far, as the status has it; nothing before one has succeeded."""
    metric, upwards = spec["objective"]["objectiveMetricName"], spec["objective"]["type"] == "maximize"
    reached = {name: float(figures[metric]) for name, figures in ended.items() if figures}
    if not reached:
        return {}
    best = (max if upwards else min)(reached, key=lambda name: reached[name])
    assigned = [{"name": name, "value": value} for name, value in drawn[best].items()]
    metrics = [{"name": name, "latest": value, "max": value, "min": value} for name, value in ended[best].items()]
    return {"currentOptimalTrial": {"bestTrialName": best, "parameterAssignments": assigned,
                                    "observation": {"metrics": metrics}}}  # fmt: skip


def tell(cluster: Cluster, found: Object, kind: str, message: str, counts: Object) -> None:
    """Set a condition, and what else the status says."""
    current = cluster.fresh(RESOURCE, found)
    if current is None:
        return
    status = current.get("status") or {"startTime": now()}
    others = [one for one in status.get("conditions", []) if one["type"] != kind]
    for one in others:
        if kind in ("Failed", "Succeeded") and one["type"] == "Running":
            one["status"] = "False"
    made = pods.condition(kind, True, f"Experiment{kind}", message)
    kept = {key: value for key, value in status.items() if not key.startswith("trials")}
    cluster.set_status(RESOURCE, found, {**kept, **counts, "conditions": [*others, made]})
