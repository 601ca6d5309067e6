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
    within: Resource | None = None
    """What it is a part of, and goes before: it belongs to whom that belongs to. Both are in the same walk."""


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

    What fails does not stop the rest, but for what it is a part of; the return value lists the failures in words.
    """
    failures = list[str]()
    found = yield from looked(resources, failures)
    waiting = set[str]()
    for resource in (one for one in resources if found.get(one.what)):
        whose = whose_is(settings, resource, found)
        if whose:
            yield Note(f"{resource.what} is left alone: it belongs to {whose}", always=True)
        elif resource.what in waiting:
            yield Note(f"{resource.what} stays until all that is a part of it is gone", always=True)
        elif whose is not None:
            try:
                yield from each(*resource.undo)
            except PipelineError as error:
                failures.append(told(resource, error))
                waiting |= {resource.within.what} if resource.within else set()
                yield Note(f"{resource.what} could not be removed; going on with the rest", always=True)
    return failures


Found = dict[str, Any]
"""What a resource is called → what the look for it found; nothing where it failed."""


def looked(
    resources: tuple[Resource, ...],
    failures: list[str],
    ask: Callable[[Resource], Command | Probe] = assumed,
    **how: Any,
) -> Generator[Step, Any, Found]:
    """Look for all at once, or, where that fails, for each by itself, so that one failure is one."""
    with contextlib.suppress(PipelineError):
        answers = yield Together(tuple(map(ask, resources)), **how)
        return {resource.what: there for resource, there in zip(resources, answers, strict=True)}
    found = Found()
    for resource in resources:
        try:
            found[resource.what] = yield ask(resource)
        except PipelineError as error:
            failures.append(told(resource, error))
            yield Note(f"{resource.what} could not be looked at; going on with the rest", always=True)
    return found


def whose_is(settings: Settings, resource: Resource, found: Found) -> str | None:
    """`owner` of what was found, or of what it is a part of; None where that is not known."""
    whole = resource.within or resource
    if whole.what not in found:
        return None
    there = found[whole.what]
    return owner(settings, whole, there) if there else ""


def told(resource: Resource, error: PipelineError) -> str:
    """A failure with the name of the thing, once."""
    message = str(error.message)
    return message if resource.what in message else f"{resource.what}: {message}"
