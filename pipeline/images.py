"""The images we build: what each is made of, a tag that is a hash of all of it, and the steps that build and push."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.commands import Command
from pipeline.settings import ROOT, Settings
from pipeline.tools import docker, gcloud, labels


@dataclass(frozen=True)
class Image:
    """An image's build context, and the folder that is its working folder where it runs as a process."""

    context: str
    workdir: str


IMAGES = {
    "train": Image("trainer", "."), "web-ui": Image("web-ui", "web-ui"), "notebook": Image("notebooks", "notebooks"),
}  # fmt: skip

USUAL = ("train", "web-ui")
"""Those that `build` builds; the notebook's is built by the stage that is not one of `all`."""


PUBLIC_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/",
)  # fmt: skip
"""MNIST's, which the page's build knows by itself."""


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's files, caches apart; hex, 64 digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not left_out(path):
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def left_out(path: Path) -> bool:
    """Whether a file of a context is no part of the image: caches, and hidden files but for .dockerignore itself."""
    hidden = path.name.startswith(".") and path.name != ".dockerignore"
    return hidden or bool({"__pycache__", ".ipynb_checkpoints"} & {*path.parts})


def build_args(settings: Settings, name: str) -> dict[str, str]:
    """The --build-arg values of an image.

    The trainer's TensorFlow comes with CUDA's libraries where there are GPUs; the notebook's image is made from the
    trainer's; the page's test images come from the mirrors that the settings name in place of the public ones.
    """
    if name == "notebook":
        return {"TRAINER": reference(settings, "train")}
    if name == "web-ui":
        mirrors = settings.data.mirrors
        return {} if mirrors == PUBLIC_MIRRORS else {"MNIST_MIRRORS": " ".join(mirrors)}
    return {"TENSORFLOW": "tensorflow[and-cuda]"} if name == "train" and settings.training.gpus else {}


def tag(settings: Settings, name: str) -> str:
    """The image's tag: twelve digits of a hash over its context (Dockerfile included), build arguments and platform."""
    context = content_hash(ROOT / IMAGES[name].context)
    rest = [build_args(settings, name), settings.build_images.platform]
    return hashlib.sha256(f"{context}{json.dumps(rest, sort_keys=True)}".encode()).hexdigest()[:12]


def name_of(settings: Settings, name: str) -> str:
    """The image's name in the registry, without a tag."""
    return f"{settings.registry}/{name}"


def reference(settings: Settings, name: str) -> str:
    """The image by its tag: `<registry>/<name>:<tag>`."""
    return f"{name_of(settings, name)}:{tag(settings, name)}"


def digest(settings: Settings, name: str, unasked: str | None = None) -> Command:
    """Asks the registry for the image with our tag; the answer is its `sha256:…`, or None."""
    return gcloud(
        settings, "artifacts", "docker", "images", "describe", reference(settings, name),
        "--format=value(image_summary.digest)", doing=f"look for {reference(settings, name)}", kind="ask", parse="text",
        unasked=unasked, absent=r"Image not found|NOT_FOUND|was not found|SERVICE_DISABLED",
        needs=("registry", f"image {name}"), timeout=120,
    )  # fmt: skip


def build(settings: Settings, name: str) -> Command:
    """Builds the image with docker."""
    args = [f"--build-arg={key}={value}" for key, value in build_args(settings, name).items()]
    marks = [f"--label={key}={value}" for key, value in labels(settings).items()]
    return docker(
        settings, "build", f"--platform={settings.build_images.platform}", f"--tag={reference(settings, name)}", *args,
        *marks, str(ROOT / IMAGES[name].context), doing=f"build {name} with docker", timeout=3600,
    )  # fmt: skip


def push(settings: Settings, name: str) -> Command:
    """Pushes what `build` built; pushing again what is there sends nothing."""
    return docker(
        settings, "push", reference(settings, name), doing=f"push {reference(settings, name)}", timeout=3600,
        retry=True, makes=f"image {name}",
    )  # fmt: skip


def submit(settings: Settings, name: str) -> Command:
    """Builds and pushes with Cloud Build; the sources go into our own bucket, where `clean` finds them."""
    staging = f"{settings.bucket}/build-source"
    return gcloud(
        settings, "builds", "submit", str(ROOT / IMAGES[name].context), f"--region={settings.gcp.region}",
        f"--gcs-source-staging-dir={staging}", *recipe(settings, name), doing=f"build {name} with Cloud Build",
        timeout=3600, makes=f"image {name}",
    )  # fmt: skip


def recipe(settings: Settings, name: str) -> tuple[str, ...]:
    """What Cloud Build is to do: --tag alone cannot pass build arguments, a build file can."""
    if build_args(settings, name):
        return (f"--config={settings.build / f'cloudbuild-{name}.json'}",)
    return (f"--tag={reference(settings, name)}",)


def build_file(settings: Settings, name: str) -> str:
    """A cloudbuild.json for an image with build arguments."""
    args = [f"--build-arg={key}={value}" for key, value in build_args(settings, name).items()]
    argv = ["build", f"--tag={reference(settings, name)}", *args, "."]
    return json.dumps(
        {"steps": [{"name": "gcr.io/cloud-builders/docker", "args": argv}], "images": [reference(settings, name)]}
    )


PRIVATE = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\"private_key\"\s*:")


def keys_in(name: str) -> list[str]:
    """Files of an image's context that hold a private key: they must never get into an image."""
    folder = ROOT / IMAGES[name].context
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size < 1_000_000]
    return [path.relative_to(ROOT).as_posix() for path in files if PRIVATE.search(path.read_bytes())]


def workdir(reference: str) -> Path:
    """Where on this machine a container of this image has its working folder; the checkout if not ours."""
    name = re.split("[:@]", reference.rsplit("/", 1)[-1])[0]
    return (ROOT / IMAGES[name].workdir).resolve() if name in IMAGES else ROOT
