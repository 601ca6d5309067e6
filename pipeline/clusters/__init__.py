"""Where manifests run: one module a kind, each with the functions that the stages call."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from pipeline.commands import Asking, Steps
from pipeline.settings import Settings

CLUSTERS = {
    "local": "pipeline.clusters.local",
    "gke": "pipeline.clusters.gke",
    "existing": "pipeline.clusters.existing",
}


class Cluster(Protocol):
    """What a stage may ask of a cluster; each module in CLUSTERS has these functions."""

    create: Callable[[Settings], Steps]
    guard: Callable[[Settings], Steps]
    """Before anything is applied or deleted: it is the environment's cluster. Nothing to guard on this machine."""
    apply: Callable[..., Steps]
    """(settings, component, documents, makes=…, needs=…)"""
    withdraw: Callable[[Settings, str, list[dict[str, Any]]], Steps]
    """(settings, component, documents): takes back what was applied, where it is there."""
    wait: Callable[[Settings, list[dict[str, Any]]], Steps]
    delete: Callable[[Settings, bool], Steps]
    logs: Callable[[Settings, str, int, bool, Callable[[str], None]], None]
    newest_job: Callable[[Settings], str]
    address: Callable[[Settings, str, str], str]
    reach: Callable[..., AbstractContextManager[Any]]
    """(settings, service, port): inside, the Service's port is at the `address` of what it gives."""
    ways: Callable[[Settings, str, tuple[str, ...]], AbstractContextManager[list[str]]]
    """(settings, service, ports): inside, ports of the Service are at these addresses."""
    each: Callable[[Settings, str, tuple[str, ...], Callable[..., object]], None]
    """(settings, service, ports, ask): calls `ask` with the ports' addresses on each pod behind a Service."""
    found: Callable[[Settings, str, str], Asking]
    """(settings, kind, name): an object as it was applied; None where there is none."""
    refreshed: Callable[[Settings, str, str], Steps]
    """(settings, component, value): has a component's pods see their changed ConfigMaps now, not in a minute."""
    status: Callable[[Settings], list[tuple[str, ...]]]
    recover: Callable[[Settings], int]


def of(settings: Settings) -> Cluster:
    """The module that drives this environment's kind of cluster."""
    return cast(Cluster, importlib.import_module(CLUSTERS[settings.cluster.kind]))
