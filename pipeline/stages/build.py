"""Build: the images; on this machine their folders run as they are, so there is nothing to build."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline import clusters, images, manifests
from pipeline.clusters import pods
from pipeline.clusters.objects import store
from pipeline.commands import Call, Command, Result, Steps, Unchanged
from pipeline.settings import Settings

CHECK_STEPS = 20
"""Steps of the trial run: enough to load data, train, evaluate and export once."""


def up(settings: Settings, check: bool = False) -> Steps:
    clusters.of(settings)
    yield Unchanged("no images are needed on this machine: containers run as processes from their folders")
    if check:
        yield Call(
            f"clear {trial_folder(settings)}",
            lambda show: shutil.rmtree(trial_folder(settings), ignore_errors=True),
        )
        yield trial(settings)
    yield Result(", ".join(f"{name}:{images.tag(settings, name)}" for name in images.IMAGES))


def trial_folder(settings: Settings) -> Path:
    return settings.build / "check"


def trial(settings: Settings) -> Command:
    """The train container's own command for a few steps on the bundled digits, into a folder of its own."""
    manifest = manifests.render(settings, "train", "1")[0]
    pod = manifest["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]
    process = pods.process(pod, "train-check", settings.build / "volumes", store(settings))
    folder = trial_folder(settings)
    instead = (f"--tf-train-steps={CHECK_STEPS}", "--tf-dataset=digits", f"--tf-model-dir={folder}/1",
               f"--tf-export-dir={folder}/export")  # fmt: skip
    doing = f"try the trainer for {CHECK_STEPS} steps in {folder}"
    return Command((*process.argv, *instead), doing, timeout=300, env=process.env, cwd=Path(process.cwd))
