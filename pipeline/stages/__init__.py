"""The tutorial's stages in their order, and the two moves that several of them make."""

from __future__ import annotations

import importlib
from functools import partial
from types import ModuleType
from typing import Any

from pipeline import clusters, manifests
from pipeline.commands import Probe, Result, Steps, Write
from pipeline.settings import Settings

STAGES = ("deploy", "build", "train", "serve", "ui")


def stage(name: str) -> ModuleType:
    """The stage's module, with `up(settings)`."""
    return importlib.import_module(f"pipeline.stages.{name}")


def page_up(settings: Settings, component: str) -> Steps:
    """Bring up a component that people look at, under a Service of its own name; the result is its address."""
    yield from brought_up(settings, component)
    look = partial(clusters.of(settings).address, settings, component, "http")
    yield Result(f"http://{(yield Probe('the address', look, '<address>'))}")


def brought_up(settings: Settings, *components: str, tag: str = "") -> Steps:
    """Render the components, write their manifests, apply them and wait until they are ready."""
    cluster, documents = clusters.of(settings), list[dict[str, Any]]()
    for component in components:
        rendered = manifests.render(settings, component, tag)
        yield Write(settings.build / f"{component}.yaml", manifests.dump(rendered))
        documents += rendered
    yield from cluster.apply(settings, documents)
    yield from cluster.wait(settings, documents)
