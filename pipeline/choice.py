"""Which version is to be stable: the newest, the one that somebody names, or the one before; and why."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import aliases, gate, storage, versions
from pipeline.aliases import Aliases, Canary
from pipeline.errors import FAILED, PipelineError, Refusal
from pipeline.settings import Settings
from pipeline.versions import Version


@dataclass(frozen=True)
class Choice:
    """The version to serve, and what that changes in the bucket: `after`, over the generation that was read."""

    tag: str
    before: str | None = None
    """What is stable now."""
    after: Aliases | None = None
    """None where nothing changes."""
    generation: int = 0
    why: str = ""
    """What a person should know of the choice, one sentence."""
    trial: Canary | None = None
    """Which version shares the requests with it."""


def unknown(before: str | None = None, tag: str = "<tag>") -> Choice:
    """What stands for a choice that cannot be made yet: another version becomes stable."""
    return Choice(tag, before, Aliases())


def newest(settings: Settings) -> Choice:
    """For `serve`: the newest version, unless somebody went back from it or tries it out.

    Raises PipelineError where there is none, Refusal where the gate is against it.
    """
    whole = {one.tag: one for one in versions.listed(settings)}
    if not whole:
        raise PipelineError(f"no version is in {settings.bucket}/export yet: `invoke train` makes one")
    there, generation = aliases.read(settings)
    version, stable = next(iter(whole.values())), whole.get(there.stable or "")
    kept = why_kept(there, version.tag) if stable else ""
    if stable and (kept or stable.tag == version.tag or there.canary):
        return Choice(stable.tag, stable.tag, None, generation, kept, there.canary)
    missed = gate.misses(settings, version, stable)
    if missed:
        raise Refusal(refusal(version.tag, missed, there.stable), FAILED)
    return Choice(version.tag, there.stable, there.moved(version.tag, "serve").without_trial(), generation)


def why_kept(there: Aliases, tag: str) -> str:
    """Why the newest version does not become stable by itself; empty where it may."""
    if there.canary and there.canary.version == tag:
        return f"version {tag} is on trial; {there.stable} stays stable until `invoke promote {tag}`"
    if there.canary and tag != there.stable:
        return f"version {tag} waits: {there.canary.version} is on trial until `invoke promote` or `invoke rollback`"
    if there.left(tag):
        return f"version {tag} was stable and was left; {there.stable} stays until `invoke promote {tag}`"
    return ""


def refusal(tag: str, missed: str, stable: str | None) -> str:
    """The sentences for a version that the gate refuses."""
    goes_on = f"{stable} stays stable, and `invoke promote {stable}` serves it" if stable else "nothing is served yet"
    return f"version {tag} does not pass the gate: {missed}\n  {goes_on}; `invoke promote {tag} --force` overrules"


def named(settings: Settings, tag: str, force: bool = False) -> Choice:
    """For `promote`: this very version.

    Raises Refusal where there is no such version, it is damaged, or the gate is against it.
    """
    version = whole_version(settings, tag)
    there, generation = aliases.read(settings)
    missed = gate.misses(settings, version, stable_version(settings, there))
    if missed and not force and tag != there.stable:
        raise Refusal(refusal(tag, missed, there.stable), FAILED)
    tried = there.canary.version if there.canary else ""
    if tag == there.stable and tried:
        return Choice(tag, tag, there.tried(tried, 0), generation, f"the trial of version {tried} ends")
    if tag == there.stable:
        return Choice(tag, tag, None, generation, f"version {tag} is stable already")
    why = f"forced through the gate: {missed}" if missed else ""
    after = there.moved(tag, "promote", missed or None)
    if after.canary:
        why = "; ".join(filter(None, (why, f"the trial of version {tried} ends with that")))
    return Choice(tag, there.stable, after.without_trial(), generation, why)


def stable_version(settings: Settings, there: Aliases) -> Version | None:
    """The stable version, where there is one and it is whole."""
    found = versions.look(settings, there.stable) if there.stable else None
    return found if isinstance(found, Version) else None


def whole_version(settings: Settings, tag: str) -> Version:
    """A version by its tag; Refusal where there is none, or it is damaged."""
    if not versions.is_tag(tag):
        raise Refusal(f'"{tag}" is no version: give a tag as `invoke models` lists them, such as 1763900000')
    if tag not in storage.of(settings).folders("export"):
        raise Refusal(f"there is no version {tag} in {settings.bucket}/export: `invoke models` lists what is")
    found = versions.look(settings, tag)
    if not isinstance(found, Version):
        raise Refusal(f"version {tag} is damaged: its {found} is not as it was written; choose another", FAILED)
    return found


def earlier(settings: Settings) -> Choice:
    """For `rollback`: the stable version before this one, or one further back where that is no longer whole.

    Ends a trial instead where one is on. Raises Refusal where there is none to go back to.
    """
    there, generation = aliases.read(settings)
    if there.stable is None:
        raise Refusal("no version is stable yet, so there is none to go back from: `invoke serve` makes one so")
    if there.canary:
        tried = there.canary.version
        why = f"the trial of version {tried} ends; {there.stable} stays stable"
        return Choice(there.stable, there.stable, there.tried(tried, 0), generation, why)
    passed = list[str]()
    for tag in there.stables()[1:]:
        if isinstance(versions.look(settings, tag), Version):
            why = f"passed over, because no longer whole: {', '.join(passed)}" if passed else ""
            return Choice(tag, there.stable, there.moved(tag, "rollback"), generation, why)
        passed.append(tag)
    lost = f" that is still whole ({', '.join(passed)} not)" if passed else ""
    raise Refusal(f"no version was stable before {there.stable}{lost}: `invoke promote` takes any other")
