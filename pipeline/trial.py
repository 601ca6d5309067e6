"""A version on trial: which may be, what its server is told, and whether the two versions answer as they should."""

from __future__ import annotations

import math
import re
from collections import Counter

from pipeline import aliases, choice, client, clusters, gate, rollout, tracks
from pipeline.aliases import Canary
from pipeline.choice import Choice
from pipeline.errors import FAILED, Refusal, RunFailed
from pipeline.served import Served
from pipeline.settings import Settings
from pipeline.tracks import CANARY, STABLE

LEAST, SURE = 100, 10
"""Requests that are sent to see who answers: 100, or so many that the canary is left out once in e^10 times, 22,000."""


def begun(settings: Settings, tag: str, share: str, force: bool = False) -> Choice:
    """For `promote --percent`: this very version on trial, or another share for it.

    Raises Refusal where there is no such version, it is damaged or stable, nothing is stable yet, or the gate is
    against it.
    """
    if not re.fullmatch("[1-9][0-9]?", share):
        raise Refusal(f"--percent={share}: a share is 1 to 99; `invoke promote {tag}` gives it all requests")
    percent = int(share)
    version = choice.whole_version(settings, tag)
    there, generation = aliases.read(settings)
    if there.stable is None:
        raise Refusal(f"no version is stable yet that could share with {tag}: `invoke serve` makes the newest so")
    if tag == there.stable:
        raise Refusal(f"version {tag} is stable and gets all requests already: give a share to another one")
    missed = gate.misses(settings, version, choice.stable_version(settings, there))
    if missed and not force:
        raise Refusal(choice.refusal(tag, missed, there.stable), FAILED)
    canary, other = Canary(version=tag, percent=percent), there.canary
    if other == canary:
        return Choice(there.stable, there.stable, None, generation, trial=canary)
    why = f"forced through the gate: {missed}" if missed else ""
    if other and other.version != tag:
        why = "; ".join(filter(None, (why, f"the trial of version {other.version} ends with that")))
    return Choice(there.stable, there.stable, there.tried(tag, percent, missed or None), generation, why, canary)


def state(stable: str, canary: Canary) -> Served:
    """What the canary's server serves: its version, and where that is the newer one the stable version beside it.

    Who names the stable version or its label over gRPC, where no router looks, is then answered by either server.
    Requests that name none get the newest: where the stable one is that, it must not be there.
    """
    if int(stable) > int(canary.version):
        return Served((canary.version,), {CANARY: canary.version})
    return Served((stable, canary.version), {STABLE: stable, CANARY: canary.version})


def answers(settings: Settings, stable: str, canary: Canary) -> dict[str, int]:
    """Wait until each server's version answers there, then ask the Service: both must, and nobody else.

    Returns how often each version answered. Raises RunFailed where one does not. Behind a Gateway only the two servers
    are asked: where that is, only its clients know.
    """
    for track, tag in ((STABLE, stable), (CANARY, canary.version)):
        rollout.answers(settings, tag, tracks.service(settings, track), track)
    if settings.serving.canary.gateway:
        return {}
    found = asked(settings, max(LEAST, math.ceil(SURE * 100 / canary.percent)))
    if set(found) != {stable, canary.version}:
        who = ", ".join(f"{tag} ({count})" for tag, count in found.items())
        raise RunFailed(
            f"of {sum(found.values())} requests to the Service some should have been answered by version "
            f"{canary.version} and the others by {stable}; there answered: {who}; see `invoke logs router`"
        )
    return dict(found)


def asked(settings: Settings, count: int) -> Counter[str]:
    """Send so many requests through the Service; how often each version answered."""
    name = settings.serving.model_name
    with (
        clusters.of(settings).reach(settings, rollout.service(settings), "grpc-tf-serving") as way,
        client.calling(way.address, name) as ask,
    ):
        return Counter(str(ask([rollout.BLANK]).version) for _ in range(count))
