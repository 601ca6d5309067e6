"""Promote: make a version stable, and have the model server serve it."""

from __future__ import annotations

from functools import partial

from pipeline import choice, clusters
from pipeline.commands import Probe, Steps
from pipeline.settings import Settings
from pipeline.stages.serve import served


def up(settings: Settings, version: str = "", force: bool = False) -> Steps:
    yield from clusters.of(settings).guard(settings)
    look = partial(choice.named, settings, version, force)
    yield from served(settings, (yield Probe(f"whether version {version} is there", look, choice.unknown(tag=version))))
