"""Every command that the stages, `clean`, `doctor` and the ways into a cluster can run, without running one."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.world import OPERATOR
from pipeline import cloud, clusters, config, doctor, hands, images, manifests, project, stages, toolbox, tools, tracks
from pipeline.clusters import access, orphans
from pipeline.commands import Command, Probe, Step, Steps, Together
from pipeline.errors import PipelineError
from pipeline.execution import unasked
from pipeline.hands import Here
from pipeline.manifests import MANAGED_BY
from pipeline.processes import Finished
from pipeline.settings import Settings
from pipeline.stages import canary

VARIANTS: dict[str, tuple[str, ...]] = {
    "standard": (),
    "autopilot": ("cluster.autopilot=true",),
    "spot": ("cluster.spot=true", "serving.max_replicas=3"),
    "gpus": ("training.gpus=1", "serving.gpus=1"),
    "key-secret": ("identity=key-secret",),
    "iap": ("iap.enabled=true", "iap.members=[user:ann@example.org]"),
    "load-balancer": ("web_ui.service_type=LoadBalancer", "web_ui.source_ranges=[203.0.113.0/24]"),
    "docker": ("build_images.tool=docker",),
    "cloud-build": ("build_images.tool=cloud-build", "training.gpus=1"),
    "whole Kubeflow": (
        "kubeflow.components=[training,dashboard,notebooks]",
        f"kubeflow.distribution={OPERATOR}",
        "serving.kind=kserve",
    ),
    "existing": ("cluster.kind=existing", "cluster.context=kind-mnist", "identity=key-secret"),
}
"""Settings that lead to other commands."""

TOO_MANY = 120
"""Steps after which a walk ends: a stage that waits would ask for ever."""

Answer = Callable[[Settings, Step], Any]


def settings(*changes: str) -> Settings:
    return config.load("staging", ["gcp.project=demo-project-1", f"cluster.operator={OPERATOR}", *changes]).settings


def every_command() -> dict[str, Command]:
    """Each command once, by its command line; the images' sources are read once, not ten thousand times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "content_hash", functools.cache(images.content_hash))
        return found_in_variants()


def found_in_variants() -> dict[str, Command]:
    found: dict[str, Command] = {}
    for changes in VARIANTS.values():
        for command in itertools.chain(of_stages(settings(*changes)), of_people(settings(*changes))):
            found.setdefault(str(command), command)
    for command in of_trials(settings("serving.canary.gateway=gateways/internal", "serving.address=10.1.2.3")):
        found.setdefault(str(command), command)
    return found


def of_trials(of: Settings) -> Iterator[Command]:
    """The commands of a canary that comes and goes."""
    yield from walked(of, canary.on(of, "1", tracks.ASSUMED), as_unasked)
    yield from walked(of, clusters.of(of).withdraw(of, "canary", manifests.render(of, "canary", "1")), as_there)


def of_stages(of: Settings) -> Iterator[Command]:
    """The commands of every stage up and of `clean`, where nothing is there, everything is, or what runs fails."""
    for answer in (as_unasked, as_there, as_failed):
        for name in (*stages.STAGES, *stages.OPTIONAL):
            yield from walked(of, stages.stage(name).up(of), answer)
        for keep in (False, True):
            yield from walked(of, stages.stage("deploy").down(of, keep), answer)
        yield from walked(of, cloud.guests(of, "k8s1-5f1c7a2e-kubeflow-web-ui-80-bff4545f"), answer)
        for check in (doctor.preconditions, toolbox.rows, *LOOKS):
            yield from walked(of, check(of), answer)  # type: ignore[arg-type]  # what it returns is not read


LOOKS = (project.login, project.project, project.billing, project.apis, project.zone, project.quotas, project.policies)


def walked(of: Settings, steps: Steps, answer: Answer) -> Iterator[Command]:
    """The commands that a stage yields when it is answered so; it may refuse to go on."""
    with contextlib.suppress(PipelineError, StopIteration):
        step = next(steps)
        for _ in range(TOO_MANY):
            for one in step.asks if isinstance(step, Together) else (step,):
                if isinstance(one, Command):
                    yield one
            step = steps.send(answer(of, step))


def as_unasked(of: Settings, step: Step) -> Any:
    """What `--dry` answers: nothing is there yet."""
    return unasked(step)


def as_there(of: Settings, step: Step) -> Any:
    """Everything is there and ours, and differs from the settings."""
    match step:
        case Together():
            return [as_there(of, one) for one in step.asks]
        case Command() if len(step.codes) > 1:
            return (step.codes[-1], "2026-01-01T00:00:00Z a line")
        case Command(kind="ask" | "wait", argv=("gcloud", *words)) if step.parse != "text":
            if words[0] == "iap":
                return {"bindings": [{"role": cloud.DOOR, "members": ["user:bob@example.org"]}]}
            return [google(of)] if {"list", "get-iam-policy"} & set(words) else google(of)
        case Command(kind="ask" | "wait", argv=("kubectl", *_)) if step.parse == "json":
            return {**kubernetes(of), **(step.unasked or {})}
        case Probe() if step.doing.startswith("look for"):
            return google(of)
    return unasked(step)


def as_failed(of: Settings, step: Step) -> Any:
    """Nothing was there but keys of an earlier run, and what is made does not get well."""
    match step:
        case Command(argv=("gcloud", "iam", "service-accounts", "keys", "list", *_)):
            return "0123 4567"
        case Command(argv=("kubectl", "get", kind, *_)) if (
            kind != "configmap" and step.parse == "json" and step.unasked
        ):
            return {**step.unasked, **kubernetes(of)}
        case Command(argv=("kubectl", *_)) if len(step.codes) > 1:
            return (step.codes[-1], "")
    return unasked(step)


def google(of: Settings) -> dict[str, Any]:
    """Anything of Google Cloud's, with all fields that the code reads of one thing or another."""
    place = "https://www.googleapis.com/compute/v1/projects/demo-project-1"
    labels = {**tools.labels(of), orphans.VOLUME: ""}
    marks = {"labels": labels, "resourceLabels": labels, "description": cloud.told(of)}
    return {
        **marks, "title": cloud.told(of), "name": "a1b2", "status": "RUNNING", "endpoint": "127.0.0.1",
        "autopilot": {"enabled": of.cluster.autopilot}, "nodePools": [{"name": "default-pool"}],
        "address": "203.0.113.7", "IPAddress": "203.0.113.7", "target": f"{place}/regions/r/targetPools/a1b2",
        "region": f"{place}/regions/us-central1", "zone": f"{place}/zones/us-central1-c", "projectNumber": "7",
        "lifecycleState": "ACTIVE", "keyAlgorithm": "KEY_ALG_RSA_2048",
    }  # fmt: skip


def kubernetes(of: Settings) -> dict[str, Any]:
    """Any object, or a list of one; it has failed."""
    metadata = {
        "name": "train-1-chief-0", "uid": "1-2", "namespace": of.cluster.namespace,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app.kubernetes.io/part-of": of.name}, "managedFields": [{"manager": MANAGED_BY}],
    }  # fmt: skip
    conditions = [{"type": "Failed", "status": "True", "reason": "Failed", "message": "it failed"}]
    state = {"terminated": {"exitCode": 1, "reason": "Error"}}
    status = {
        "phase": "Failed",
        "conditions": conditions,
        "containerStatuses": [{"name": "tensorflow", "state": state}],
    }
    one = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"ports": [{"port": 80, "name": "http"}]},
        "status": status,
    }
    return {**one, "items": [one]}


class Recorder(Here):
    """Hands that run nothing and note what they were to run."""

    def __init__(self, of: Settings) -> None:
        super().__init__(of.build)
        self.commands: list[Command] = []

    def run(self, command: Command, on_line: Callable[[str], None] | None) -> Finished:
        self.commands.append(command)
        return Finished(0, "{}", "")

    def write(self, path: Path, text: str, private: bool) -> bool:
        return False


def of_people(of: Settings) -> Iterator[Command]:
    """The commands of `status`, `logs`, `open` and the like, which act at once."""
    recorder, before = Recorder(of), hands.of
    hands.of = lambda settings: recorder  # type: ignore[assignment]
    try:
        for act in (
            lambda: access.status(of),
            lambda: access.newest_job(of),
            lambda: access.address(of, "web-ui"),
            lambda: access.logs(of, "web-ui", 40, True, print),
            lambda: access.logs(of, "pod/train-1-chief-0", 3, False, print),
        ):
            with contextlib.suppress(PipelineError, KeyError):  # an empty answer is no list of pods
                act()
    finally:
        hands.of = before
    yield from recorder.commands
    yield access.Forward(of, "service/web-ui", (80,), 0, "").command
