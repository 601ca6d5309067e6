"""Which version is stable and which is on trial: `aliases.json` in the bucket, changed by one person at a time."""

from __future__ import annotations

import json
import time
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from pipeline import records, storage
from pipeline.errors import PipelineError
from pipeline.settings import Settings

NAME = "aliases.json"

KEPT = 1000
"""Events of the history at most, the last ones: each takes 150 bytes, and the file is read whole."""

Tag = Annotated[str, Field(pattern=f"^{records.TAG}$")]


class Canary(records.Record):
    """A version on trial, and its share of the requests in percent."""

    version: Tag
    percent: Annotated[int, Field(ge=1, le=99)]


class Event(records.Record):
    """One change: which version became what, from which stable one, and when (UTC, ISO 8601)."""

    model_config = ConfigDict(populate_by_name=True)

    at: str
    did: Literal["promote", "rollback", "canary", "serve"]
    version: Tag
    before: Annotated[Tag | None, Field(alias="from")] = None
    forced: str | None = None
    """Which figure the version missed, where somebody said `--force`."""


class Aliases(records.Record):
    """What the file says; an empty one where there is none."""

    stable: Tag | None = None
    canary: Canary | None = None
    history: tuple[Event, ...] = ()

    def stables(self) -> list[str]:
        """The stable version, and behind it those that one rollback after another comes to."""
        stack = list[str]()
        for event in self.moves():
            if event.did == "rollback":
                stack = back_to(event.version, stack)
            else:
                stack += [one for one in (event.before, event.version) if one and one not in stack[-1:]]
        return stack[::-1]

    def left(self, version: str) -> bool:
        """Whether a version was stable once and is not now: somebody went back from it, or chose another."""
        return version != self.stable and any(version in (one.version, one.before) for one in self.moves())

    def forced(self, version: str) -> str | None:
        """Which figure a version missed when it last became stable or came on trial; None where it missed none."""
        return next((one.forced for one in reversed(self.history) if one.version == version), None)

    def moves(self) -> list[Event]:
        """The changes of the stable version, the oldest first."""
        return [event for event in self.history if event.did != "canary"]

    def moved(self, version: str, did: Literal["promote", "rollback", "serve"], forced: str | None = None) -> Aliases:
        """The same with another stable version, whose own trial is over with that."""
        trial = None if self.canary and self.canary.version == version else self.canary
        event = Event(at=now(), did=did, version=version, before=self.stable, forced=forced)
        return Aliases(stable=version, canary=trial, history=(*self.history, event)[-KEPT:])

    def tried(self, version: str, percent: int, forced: str | None = None) -> Aliases:
        """The same with a version on trial that gets so many percent of the requests; with 0 its trial is over."""
        trial = Canary(version=version, percent=percent) if percent else None
        event = Event(at=now(), did="canary", version=version, before=self.stable, forced=forced)
        return Aliases(stable=self.stable, canary=trial, history=(*self.history, event)[-KEPT:])

    def without_trial(self) -> Aliases:
        """The same with no version on trial."""
        return Aliases(stable=self.stable, canary=None, history=self.history)


def back_to(version: str, stack: list[str]) -> list[str]:
    """The stack without what lies on the last such version below its top; that version alone where it has none."""
    below = stack[:-1]
    while below and below[-1] != version:
        below = below[:-1]
    return below or [version]


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def read(settings: Settings) -> tuple[Aliases, int]:
    """What the bucket says, and the generation of that (0: there is no file).

    The generation is asked for first: content that is newer than it is never written over. Raises PipelineError where
    the file is no such record.
    """
    bucket = storage.of(settings)
    generation = bucket.generation(NAME)
    content = bucket.read_bytes(NAME, records.LIMIT + 1)
    if content is None:
        return Aliases(), 0
    try:
        return records.parsed(Aliases, content), generation
    except ValueError as error:
        remedy = "put that right, or remove the file and the next `invoke serve` begins a new one"
        raise PipelineError(f"{settings.bucket}/{NAME}: {error}; {remedy}") from None


def write(settings: Settings, aliases: Aliases, generation: int) -> None:
    """Write the file, but only over the very generation that was read; RunFailed where somebody was quicker."""
    text = json.dumps(aliases.model_dump(by_alias=True), indent=1) + "\n"
    storage.of(settings).write(NAME, text, generation)
