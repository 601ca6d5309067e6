"""One thing in a cloud as a value: how to look for it, make it, mend it and undo it; and walks over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.commands import Command, Note, Steps, Unchanged
from pipeline.errors import PipelineError
from pipeline.manifests import MANAGED_BY
from pipeline.settings import Settings

Labels = Callable[[Any], Mapping[str, str]]


@dataclass(frozen=True)
class Resource:
    """What `deploy` makes and `clean` undoes; `look` answers None, or something empty, where it is not there."""

    what: str
    """As a sentence names it: `the bucket gs://…`."""
    look: Command
    make: tuple[Command, ...]
    undo: tuple[Command, ...] = ()
    labels: Labels | None = None
    """Reads the labels from what `look` found; None for what cannot bear any and belongs to something that does."""
    mend: Callable[[Any], tuple[Command, ...]] = lambda found: ()
    """The changes that bring what was found to what the settings say."""


def labels(settings: Settings) -> dict[str, str]:
    """What everything of an environment bears in Google Cloud; keys there hold no dots and no slashes."""
    return {"managed-by": MANAGED_BY, "part-of": settings.name, "environment": settings.environment}


def owner(settings: Settings, resource: Resource, found: Any) -> str:
    """Empty if what was found is this environment's, else whose it is, in words."""
    if resource.labels is None:
        return ""
    theirs = dict(resource.labels(found) or {})
    if theirs.get("managed-by") != MANAGED_BY:
        return "somebody else: it does not bear this pipeline's labels"
    if (theirs.get("environment"), theirs.get("part-of")) != (settings.environment, settings.name):
        return f"environment {theirs.get('environment')} ({theirs.get('part-of')})"
    return ""


def up(settings: Settings, *resources: Resource) -> Steps:
    """Make what is not there, mend what differs; raises PipelineError for what belongs to somebody else."""
    for resource in resources:
        found = yield resource.look
        if not found:
            yield from resource.make
            continue
        whose = owner(settings, resource, found)
        if whose:
            raise PipelineError(f"{resource.what} belongs to {whose}; nothing was done to it: choose another name")
        mending = resource.mend(found)
        yield from mending
        if not mending:
            yield Unchanged(f"{resource.what} is there")


def down(settings: Settings, *resources: Resource) -> Steps:
    """Undo, in the order given, what is there and is this environment's; say what is left alone."""
    for resource in resources:
        found = yield resource.look
        if not found or not resource.undo:
            continue
        whose = owner(settings, resource, found)
        if whose:
            yield Note(f"{resource.what} is left alone: it belongs to {whose}", always=True)
        else:
            yield from resource.undo
