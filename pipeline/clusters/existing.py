"""A cluster that is there already: any context of your kubeconfig (kind, minikube, on-premises, somebody's GKE)."""

from __future__ import annotations

import os
from typing import Any

from pipeline import cloud, resources
from pipeline.clusters import access, behind, identity, kube, kubeflow, withdrawal, workloads
from pipeline.commands import Command, Result, Steps, Write
from pipeline.config import require_project
from pipeline.errors import PipelineError
from pipeline.manifests import Manifest
from pipeline.processes import end, marked
from pipeline.settings import Settings
from pipeline.tools import kubeconfig, login

address, reach, wait = access.address, access.reach, workloads.wait
each, ways, found, refreshed = behind.each, behind.ways, kube.found, kube.refreshed
logs, newest_job, status = access.logs, access.newest_job, access.status


def create(settings: Settings) -> Steps:
    """Make what is missing outside the cluster (registry, account, bucket) and inside it."""
    number = yield from cloud.started(settings)
    yield from cloud.turned_on(settings)
    outside = (cloud.registry(settings), cloud.account(settings, "user"), cloud.bucket(settings))
    yield from resources.up(settings, *outside)
    yield from resources.up(settings, cloud.access(settings, number))
    yield from connected(settings)
    yield from kube.namespace(settings)
    yield from kube.mark(settings)
    yield from kubeflow.operator(settings)
    yield from kubeflow.distribution(settings)
    yield from kubeflow.katib(settings)
    yield from kube.applied(settings, "identity", kube.rendered(settings, "identity"))
    yield from identity.key_secret(settings)
    yield Result(f"cluster of context {settings.cluster.context}, bucket {settings.bucket}")


def connected(settings: Settings) -> Steps:
    """Copy the one context into the private kubeconfig; your own is only read."""
    if settings.cluster.context is None:
        raise PipelineError('cluster.context: write the context that you want, as in "kubectl config get-contexts"')
    text = yield Command(
        ("kubectl", "config", "view", "--raw", "--minify", "--flatten", f"--context={settings.cluster.context}"),
        f"read the context {settings.cluster.context}", kind="ask", env=yours(settings), timeout=30, unasked="",
        secret="the credentials of a cluster",  # noqa: S106  # what it holds
    )  # fmt: skip
    if text:
        yield Write(kubeconfig(settings), text, private=True)


def yours(settings: Settings) -> dict[str, str]:
    """Where your own kubeconfig is: what KUBECONFIG names, on the environment's host its own."""
    named = os.environ.get("KUBECONFIG", "") if settings.host is None else ""
    return {"KUBECONFIG": named} if named else {}


def guard(settings: Settings) -> Steps:
    """Before anything is applied or deleted: the cluster that the context leads to bears the environment's mark."""
    require_project(settings)
    yield from login(settings)
    yield from connected(settings)
    yield from kube.guarded(settings)


def apply(settings: Settings, component: str, documents: list[Manifest], **how: Any) -> Steps:
    """Apply a component's manifests to the environment's cluster, and to no other."""
    yield from guard(settings)
    yield from kube.applied(settings, component, documents, **how)


def withdraw(settings: Settings, component: str, documents: list[Manifest]) -> Steps:
    """Delete a component's manifests from the environment's cluster, and from no other."""
    yield from guard(settings)
    yield from kube.withdrawn(settings, component, documents)


def delete(settings: Settings, keep_models: bool = False) -> Steps:
    """Take down what is ours on the cluster and outside it, and prove it; nothing of anybody else."""
    number = yield from cloud.started(settings)
    yield from withdrawal.of_existing(settings, number, there(settings), keep_models)


def there(settings: Settings) -> Any:
    """Whether the cluster bears our mark; PipelineError where it bears another's."""
    yield from connected(settings)
    marker = yield kube.get(settings, "configmap", kube.MARKER, unasked=kube.expected(settings))
    wrong = marker and kube.whose(settings, marker)
    if wrong:
        raise PipelineError(wrong)
    return marker is not None


def recover(settings: Settings) -> int:
    """End what a killed run left running here, a port-forward say; how many processes there were."""
    return end(marked(settings.build))
