"""Where manifests run: one module a kind, each with the functions that the stages call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from pipeline.commands import Steps
from pipeline.errors import PipelineError
from pipeline.settings import Settings

CLUSTERS = {
    "local": "pipeline.clusters.local",
    "gke": "pipeline.clusters.gke",
    "existing": "pipeline.clusters.existing",
}


class Cluster(Protocol):
    """What a stage may ask of a cluster; each module in CLUSTERS has these functions."""

    create: Callable[[Settings], Steps]
    apply: Callable[[Settings, list[dict[str, Any]]], Steps]
    wait: Callable[[Settings, list[dict[str, Any]]], Steps]
    delete: Callable[[Settings, bool], Steps]
    logs: Callable[[Settings, str, int, bool], Iterator[str]]
    address: Callable[[Settings, str, str], str]
    status: Callable[[Settings], list[tuple[str, ...]]]
    recover: Callable[[Settings], int]


def of(settings: Settings) -> Cluster:
    """The module that drives this environment's kind of cluster."""
    import importlib

    if settings.cluster.kind not in CLUSTERS:
        raise PipelineError(
            f'environment {settings.environment} runs on "{settings.cluster.kind}", which the stages cannot drive yet: '
            f"`invoke --env={settings.environment} render` writes its manifests, and `invoke all` runs them here"
        )
    return cast(Cluster, importlib.import_module(CLUSTERS[settings.cluster.kind]))
