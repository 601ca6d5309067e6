"""A trial of a search: the TFJob that `train` applies, which measures on held-out images instead of exporting."""

from __future__ import annotations

import copy
import shlex
from typing import Any

from pipeline.settings import Settings
from pipeline.spaces import Value

Manifest = dict[str, Any]

OF_A_VERSION = ("--tf-model-dir", "--tf-export-dir", "--tf-version-tag", "--tf-tuned-by")
"""Flags of a training that exports; a trial has no version."""

LOOKS = 9
"""How often a trial that may be stopped early is measured on its way."""

EXPERIMENT = "pipeline/experiment"
"""The label by which the pods of an experiment are found."""


def valued(settings: Settings, values: dict[str, Any]) -> Settings:
    """The settings with these values for the training; they may be Katib's placeholders, so nothing checks them."""
    return settings.model_copy(update={"training": settings.training.model_copy(update=values)})


def trained(settings: Settings, values: dict[str, Any], steps: int) -> Settings:
    """The settings that a trial's training is rendered from: checkpoints only so often as somebody looks."""
    every = max(1, steps // LOOKS) if looked_at(settings) else steps
    return valued(settings, {**values, "steps": steps, "checkpoint_every": every, "keep_checkpoints": 1})


def looked_at(settings: Settings) -> bool:
    """Whether poor trials are stopped on their way: on this machine each part of a trial is a run of its own."""
    return settings.tuning.algorithm == "halving" and settings.cluster.kind != "local"


def measured(settings: Settings, job: Manifest, folder: str, threads: int = 0) -> Manifest:
    """The TFJob of a training as that of a trial with its checkpoints and its result in `folder`.

    `threads` for each operation of TensorFlow, where trials share this machine's processors; 0: as it likes.
    """
    job = copy.deepcopy(job)
    for replica in job["spec"]["tfReplicaSpecs"].values():
        for container in replica["template"]["spec"]["containers"]:
            kept = [word for word in container["args"] if word.split("=")[0] not in OF_A_VERSION]
            share = f"--tf-validation-share={settings.tuning.validation_share}"
            container["args"] = [*kept, f"--tf-model-dir={folder}", share]
            if threads:
                given = {"name": "TF_NUM_INTRAOP_THREADS", "value": str(threads)}
                container.setdefault("env", []).append(given)
    return job


def placeholders(settings: Settings) -> dict[str, Value]:
    """In place of each value that is searched for, what Katib puts it in for."""
    return {one.name: f"${{trialParameters.{one.name}}}" for one in settings.tuning.parameters}


def for_katib(settings: Settings, job: Manifest, experiment: str) -> Manifest:
    """A trial's TFJob as an Experiment holds it: nameless, its arguments fit for the shell that Katib runs them in."""
    made = measured(settings, job, f"{settings.bucket}/tune/{experiment}/${{trialParameters.trial}}")
    for replica in made["spec"]["tfReplicaSpecs"].values():
        replica["template"].setdefault("metadata", {}).setdefault("labels", {})[EXPERIMENT] = experiment
        for container in replica["template"]["spec"]["containers"]:
            container["args"] = [word if "${" in word else shlex.quote(word) for word in container["args"]]
    return {key: made[key] for key in ("apiVersion", "kind", "spec")}
