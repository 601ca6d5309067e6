"""One thing in a cloud as a value: how to look for it, make it, mend it and undo it; and walks over them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.commands import Call, Command, Note, Probe, Step, Steps, Together, Unchanged, each
from pipeline.errors import PipelineError
from pipeline.settings import MANAGED_BY, Settings

Change = Command | Call


def nothing(found: Any) -> tuple[Change, ...]:
    """Nothing to mend."""
    return ()


@dataclass(frozen=True)
class Resource:
    """What `deploy` makes and `clean` undoes; `look` answers None, or something empty, where it is not there."""

    what: str
    """As a sentence names it: `the bucket gs://…`."""
    look: Command | Probe
    make: tuple[Change, ...]
    undo: tuple[Change, ...] = ()
    labels: Callable[[Any], Mapping[str, str] | None] | None = None
    """Reads the labels from what `look` found; None for what cannot bear any and is part of something that does."""
    mend: Callable[[Any], tuple[Change, ...]] = nothing
    """The changes that bring what was found to what the settings say."""


ASSUMED: Mapping[str, Any] = {"assumed": True}
"""What stands for a thing of ours where nothing is asked: `--dry clean` prints how it would be undone."""


def assumed(resource: Resource) -> Command | Probe:
    """The question for a thing that a dry run takes to be there."""
    return replace(resource.look, unasked=ASSUMED)


def owner(settings: Settings, resource: Resource, found: Any) -> str:
    """Empty if what was found is this environment's, else whose it is, in words."""
    if resource.labels is None or found is ASSUMED:
        return ""
    theirs = dict(resource.labels(found) or {})
    if theirs.get("managed-by") != MANAGED_BY:
        return "somebody else: it does not bear this pipeline's labels"
    if (theirs.get("environment"), theirs.get("part-of")) != (settings.environment, settings.name):
        return f"environment {theirs.get('environment')} ({theirs.get('part-of')})"
    return ""


def up(settings: Settings, *resources: Resource) -> Steps:
    """Look for all at once; then make what is not there and mend what differs, in their order.

    Raises PipelineError, before any change, for what belongs to somebody else.
    """
    found = yield Together(tuple(resource.look for resource in resources))
    for resource, there in zip(resources, found, strict=True):
        whose = there and owner(settings, resource, there)
        if whose:
            raise PipelineError(f"{resource.what} belongs to {whose}; nothing was done to it: choose another name")
    for resource, there in zip(resources, found, strict=True):
        changes = resource.mend(there) if there else resource.make
        yield from each(*changes)
        if not changes:
            yield Unchanged(f"{resource.what} is there")


def down(settings: Settings, *resources: Resource) -> Generator[Step, Any, list[str]]:
    """Undo, in the order given, what is there and is this environment's; say what is left alone.

    What fails does not stop the rest; the return value lists the failures in words.
    """
    failures, found = list[str](), None
    with contextlib.suppress(PipelineError):  # then each is asked by itself, so that one failure is one
        found = yield Together(tuple(map(assumed, resources)))
    for at, resource in enumerate(resources):
        try:
            there = (yield assumed(resource)) if found is None else found[at]
            whose = there and owner(settings, resource, there)
            if whose:
                yield Note(f"{resource.what} is left alone: it belongs to {whose}", always=True)
            elif there:
                yield from each(*resource.undo)
        except PipelineError as error:
            failures.append(f"{resource.what}: {error.message}")
            yield Note(f"{resource.what} could not be removed; going on with the rest", always=True)
    return failures
