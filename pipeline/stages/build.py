"""Build: the images, unless the registry has them; on this machine their folders run as they are."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from pipeline import clusters, images, manifests, tools
from pipeline.clusters import pods
from pipeline.clusters.objects import store
from pipeline.commands import Asking, Call, Command, Note, Result, Steps, Together, Unchanged, Upload, Write
from pipeline.errors import UNFIT, PipelineError
from pipeline.settings import ROOT, Settings
from pipeline.toolbox import NO_DAEMON, docker_daemon

CHECK_STEPS = 20
"""Steps of the trial run: enough to load data, train, evaluate and export once."""


def up(settings: Settings, check: bool = False) -> Steps:
    clusters.of(settings)
    yield from here(settings, check) if settings.cluster.kind == "local" else pushed(settings, images.USUAL, check)
    yield Result(", ".join(f"{name}:{images.tag(settings, name)}" for name in images.USUAL))


def here(settings: Settings, check: bool) -> Steps:
    """Nothing to build on this machine; a trial of the trainer if it is asked for."""
    yield Unchanged("no images are needed on this machine: containers run as processes from their folders")
    if check:
        yield Call(
            f"clear {trial_folder(settings)}",
            lambda show: shutil.rmtree(trial_folder(settings), ignore_errors=True),
        )
        yield trial(settings)


def pushed(settings: Settings, names: tuple[str, ...], check: bool = False) -> Steps:
    """Bring those images that the registry does not have there, built with docker or with Cloud Build."""
    yield from tools.login(settings)
    found = yield Together(tuple(images.digest(settings, name) for name in names))
    missing = [name for name, digest in zip(names, found, strict=True) if not digest]
    for name in names:
        if name not in missing:
            yield Unchanged(f"{name}:{images.tag(settings, name)} is in the registry")
    if missing or check:
        docker = yield from has_docker(settings)
    for name in missing:
        refuse_keys(name)
        yield Upload(ROOT / images.IMAGES[name].context)
        yield from with_docker(settings, name) if docker else with_cloud_build(settings, name)
    if check:
        yield from tried(settings, docker)


def refuse_keys(name: str) -> None:
    """Raise PipelineError for a private key in an image's context: it would stand in every copy of the image."""
    keys = images.keys_in(name)
    if keys:
        raise PipelineError(f"{keys[0]} holds a private key, and would become part of the image {name}: move it away")


def has_docker(settings: Settings) -> Asking:
    """Whether docker builds; PipelineError (exit 3) where only docker would do and its daemon does not answer."""
    if settings.build_images.tool == "cloud-build":
        return False
    with contextlib.suppress(PipelineError):  # no docker at all is no daemon either
        code, _ = yield docker_daemon(settings)
        if code == 0:
            return True
    if settings.build_images.tool == "docker":
        raise PipelineError(NO_DAEMON, UNFIT)
    yield Note("docker's daemon does not answer here: Cloud Build builds instead", always=True)
    return False


def with_docker(settings: Settings, name: str) -> Steps:
    """Build and push, with a docker configuration of our own that asks gcloud for the login."""
    host = f"{settings.gcp.region}-docker.pkg.dev"
    yield Write(settings.build / "docker" / "config.json", f'{{"credHelpers": {{"{host}": "gcloud"}}}}\n', private=True)
    yield images.build(settings, name)
    yield images.push(settings, name)


def with_cloud_build(settings: Settings, name: str) -> Steps:
    """Let Cloud Build build and push; the sources go through our own bucket."""
    if images.build_args(settings, name):
        yield Write(settings.build / f"cloudbuild-{name}.json", images.build_file(settings, name))
    yield images.submit(settings, name)


def tried(settings: Settings, docker: bool) -> Steps:
    """Run the trainer's image for a few steps, as the tutorial does before it pushes."""
    if not docker:
        raise PipelineError("build --check runs the image with docker, whose daemon does not answer here", UNFIT)
    yield tools.docker(
        settings, "run", "--rm", "--read-only", "--tmpfs=/tmp", "--tmpfs=/data:uid=65532", "--network=none",
        images.reference(settings, "train"), f"--tf-train-steps={CHECK_STEPS}", "--tf-dataset=digits",
        "--tf-data-dir=/data", "--tf-model-dir=/tmp/1", "--tf-export-dir=/tmp/export",
        doing=f"try the trainer's image for {CHECK_STEPS} steps", timeout=900,
    )  # fmt: skip


def trial_folder(settings: Settings) -> Path:
    return settings.build / "check"


def trial(settings: Settings) -> Command:
    """The train container's own command for a few steps on the bundled digits, into a folder of its own."""
    manifest = manifests.render(settings, "train", "1")[0]
    pod = manifest["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]
    process = pods.process(pod, "train-check", settings.build / "volumes", store(settings))
    folder, env = trial_folder(settings), {**process.env, "TF_LOG_FORMAT": "text"}
    instead = (f"--tf-train-steps={CHECK_STEPS}", "--tf-dataset=digits", f"--tf-model-dir={folder}/1",
               f"--tf-export-dir={folder}/export")  # fmt: skip
    doing = f"try the trainer for {CHECK_STEPS} steps in {folder}"
    return Command((*process.argv, *instead), doing, timeout=300, env=env, cwd=Path(process.cwd))
