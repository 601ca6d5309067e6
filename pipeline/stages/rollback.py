"""Rollback: make the version stable that was so before, and have the model server serve it."""

from __future__ import annotations

from functools import partial

from pipeline import choice, clusters
from pipeline.commands import Probe, Steps
from pipeline.settings import Settings
from pipeline.stages.serve import served


def up(settings: Settings) -> Steps:
    yield from clusters.of(settings).guard(settings)
    look = partial(choice.earlier, settings)
    yield from served(settings, (yield Probe("which version was stable before", look, choice.unknown())))
