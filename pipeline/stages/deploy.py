"""Deploy: a cluster and a bucket; on this machine, folders."""

from __future__ import annotations

from pipeline import clusters
from pipeline.commands import Steps
from pipeline.settings import Settings


def up(settings: Settings) -> Steps:
    yield from clusters.of(settings).create(settings)


def down(settings: Settings, keep_models: bool = False) -> Steps:
    yield from clusters.of(settings).delete(settings, keep_models)
