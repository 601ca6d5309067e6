"""Promote: make a version stable, and have the model server serve it; or give it a share of the requests."""

from __future__ import annotations

from functools import partial

from pipeline import choice, clusters, trial
from pipeline.commands import Probe, Steps
from pipeline.settings import Settings
from pipeline.stages.serve import served


def up(settings: Settings, version: str = "", force: bool = False, percent: str | None = None) -> Steps:
    yield from clusters.of(settings).guard(settings)
    if percent is None:
        look = partial(choice.named, settings, version, force)
    else:
        look = partial(trial.begun, settings, version, percent, force)
    yield from served(settings, (yield Probe(f"whether version {version} is there", look, choice.unknown(tag=version))))
