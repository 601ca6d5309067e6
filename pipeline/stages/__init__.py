"""The tutorial's stages in their order, and the two moves that several of them make."""

from __future__ import annotations

import importlib
from functools import partial
from types import ModuleType

from pipeline import clusters, images, manifests
from pipeline.aliases import Canary
from pipeline.commands import Asking, Probe, Result, Steps, Together
from pipeline.errors import PipelineError, RunFailed
from pipeline.manifests import Manifest
from pipeline.served import Served
from pipeline.settings import Settings

STAGES = ("deploy", "build", "train", "serve", "ui")

OPTIONAL = ("tensorboard", "notebook", "tune")
"""Stages that `all` leaves out."""

USES = {
    "preflight": ("train",), "train": ("train",), "tensorboard": ("train",), "web-ui": ("web-ui",),
    "tune": ("train",), "notebook": ("notebook",),
}  # fmt: skip
"""Component → the images of ours that it runs."""


NEEDS = {
    "train": ("operator", "bucket", "version"),
    "preflight": ("bucket", "version"),
    "tune": ("operator", "bucket", "katib"),
    "serving": ("version",),
}
"""Component → what must have been made before it can be compared with what is in the cluster."""


def stage(name: str) -> ModuleType:
    """The stage's module, with `up(settings)`."""
    return importlib.import_module(f"pipeline.stages.{name}")


def chosen(name: str) -> tuple[str, ...]:
    """The stages that a person means: the one by name, or all."""
    if name and name not in (*STAGES, *OPTIONAL):
        raise PipelineError(f'there is no stage "{name}": known are {", ".join((*STAGES, *OPTIONAL))}')
    return (name,) if name else STAGES


def page_up(settings: Settings, component: str) -> Steps:
    """Bring up a component that people look at, under a Service of its own name; the result is its address."""
    yield from brought_up(settings, component)
    look = partial(clusters.of(settings).address, settings, component, "http")
    place = yield Probe("the address", look, "<address>", needs=("cluster", component))
    if settings.cluster.kind == "local" or settings.web_ui.service_type == "LoadBalancer":
        yield Result(f"http://{place}")
    else:
        yield Result(f"{place} inside the cluster")


def brought_up(
    settings: Settings,
    *components: str,
    tag: str = "",
    makes: str = "",
    state: Served | None = None,
    trial: Canary | None = None,
) -> Steps:
    """Render the components, apply them, and wait until all are as they should be."""
    cluster, documents = clusters.of(settings), list[Manifest]()
    yield from cluster.guard(settings)
    digests = yield from pinned(settings, *components)
    for component in components:
        rendered = manifests.render(settings, component, tag, digests, state, trial)
        needs = (*(f"image {name}" for name in USES.get(component, ())), *NEEDS.get(component, ()))
        yield from cluster.apply(settings, component, rendered, makes=makes or component, needs=needs)
        documents += rendered
    yield from cluster.wait(settings, documents)


def pinned(settings: Settings, *components: str) -> Asking:
    """The digests of the images that the components run: a tag can be moved, a digest cannot.

    Raises PipelineError where an image with the sources' own tag is not in the registry. This machine has none.
    """
    used = sorted({name for component in components for name in USES.get(component, ())})
    if settings.cluster.kind == "local" or not used:
        return {}
    found = yield Together(tuple(images.digest(settings, name, f"<digest of {name}>") for name in used))
    for name, digest in zip(used, found, strict=True):
        if not digest:
            remedy = f"`invoke --env={settings.environment} build` builds it from {images.IMAGES[name].context}/"
            raise RunFailed(f"{images.reference(settings, name)} is not in the registry: {remedy}")
    return dict(zip(used, found, strict=True))
