"""A GKE cluster of the environment's own, with all that belongs to it in Google Cloud."""

from __future__ import annotations

from typing import Any

from pipeline import cloud, resources
from pipeline.clusters import access, behind, entrance, identity, kube, kubeflow, teardown, workloads
from pipeline.commands import Asking, Note, Pause, Result, Steps
from pipeline.config import require_project
from pipeline.errors import PipelineError, RunFailed
from pipeline.manifests import Manifest
from pipeline.processes import end, marked
from pipeline.resources import Resource
from pipeline.settings import Settings
from pipeline.tools import context, gcloud, kubeconfig, kubectl, login

address, reach, wait = access.address, access.reach, workloads.wait
each, ways, found, refreshed = behind.each, behind.ways, kube.found, kube.refreshed
logs, newest_job, status = access.logs, access.newest_job, access.status

POLL = 10.0
"""Seconds between two looks at a cluster that is being made."""


def create(settings: Settings) -> Steps:
    """Make what is missing: APIs, registry, accounts, bucket, cluster; then what is inside the cluster."""
    number = yield from cloud.started(settings)
    yield from cloud.turned_on(settings)
    yield from resources.up(settings, *foundation(settings), cloud.cluster(settings))
    yield from running(settings)
    if pools := cloud.gpu_pools(settings):
        yield from resources.up(settings, *pools)
    yield from connected(settings)
    yield from policed(settings)
    yield from kube.namespace(settings)
    yield from kube.mark(settings)
    yield from kubeflow.operator(settings)
    yield from kubeflow.distribution(settings)
    yield from kubeflow.katib(settings)
    yield from kube.applied(settings, "identity", kube.rendered(settings, "identity"))
    yield from resources.up(settings, cloud.access(settings, number))
    yield from identity.key_secret(settings)
    if settings.iap.enabled:
        yield from entrance.named(settings)
    yield Result(f"cluster {settings.name} in {settings.location}, bucket {settings.bucket}")


def foundation(settings: Settings) -> tuple[Resource, ...]:
    """What stands outside the cluster, in the order in which it is made."""
    user = (cloud.account(settings, "user"),) if settings.identity == "key-secret" else ()
    return (
        cloud.registry(settings), cloud.account(settings, "nodes"), *cloud.node_bindings(settings), *user,
        cloud.bucket(settings), *cloud.addresses(settings),
    )  # fmt: skip


def running(settings: Settings) -> Steps:
    """Wait until the cluster runs: it may have been begun by a run that was killed."""
    waited = 0.0
    while True:
        found = yield cloud.look_for_cluster(settings, waiting=True)
        state = (found or {}).get("status")
        if state in ("RUNNING", "RECONCILING"):
            return
        if state in ("ERROR", "DEGRADED", "STOPPING", None):
            words = (found or {}).get("statusMessage") or "it says no more"
            raise RunFailed(f"the cluster {settings.name} is {state or 'gone'}: {words}")
        if waited >= cloud.CREATION:
            raise RunFailed(f"the cluster {settings.name} is still {state} after {waited / 60:.0f} minutes")
        if not waited:
            yield Note(f"the cluster {settings.name} is {state}: waiting")
        waited += POLL
        yield Pause(POLL)


def connected(settings: Settings) -> Steps:
    """Bring the private kubeconfig to the environment's cluster, where it does not lead there yet.

    Raises PipelineError where there is no such cluster, or it is not this environment's.
    """
    whole = cloud.cluster(settings)
    found = yield cloud.look_for_cluster(settings)
    if found is None:
        raise PipelineError(f"{whole.what} is not there: `invoke --env={settings.environment} deploy` makes it")
    theirs = "endpoint" in found and resources.owner(settings, whole, found)
    if theirs:
        raise PipelineError(f"nothing was done: {whole.what} belongs to {theirs}")
    server = f"https://{found.get('endpoint', '')}"
    if (yield from leads_to(settings)) != server:
        yield gcloud(
            settings, "container", "clusters", "get-credentials", settings.name, cloud.where(settings),
            doing="get credentials for the cluster", kind="ask", needs=("cluster",), timeout=120,
        )  # fmt: skip
        there = yield from leads_to(settings, unasked=server)
        if there != server:
            raise PipelineError(
                f"nothing was done: {kubeconfig(settings)} leads to {there or 'no cluster'}, and the cluster "
                f"{settings.name} is at {server}: delete that file, and run this again"
            )


def policed(settings: Settings) -> Steps:
    """Say so where nothing in the cluster heeds the NetworkPolicy that guards the model server."""
    found = yield cloud.look_for_cluster(settings)
    if settings.cluster.dataplane_v2 and found and "endpoint" in found and not cloud.obeys_policies(found):
        yield Note(f"{cloud.UNPOLICED} of {settings.name}: {cloud.police(settings)}", always=True)


def leads_to(settings: Settings, unasked: str = "") -> Asking:
    """The server of the environment's context; empty where it has none, or its kubeconfig is not there yet.

    It is looked up here: kubectl's own filter ends with 1 where the kubeconfig holds no clusters.
    """
    name = context(settings)
    found = yield kubectl(
        settings, "config", "view", "--output=json", doing="look where kubectl leads", kind="ask", parse="json",
        unasked={"clusters": [{"name": name, "cluster": {"server": unasked}}]}, needs=("cluster",), quiet=True,
        timeout=30,
    )  # fmt: skip
    servers = [one["cluster"]["server"] for one in found["clusters"] or [] if one["name"] == name]
    return servers[0] if servers else ""


def guard(settings: Settings) -> Steps:
    """Before anything is applied or deleted: the project, the cluster and its own mark are the environment's."""
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
    """Take the environment down, in an order that leaves nothing behind, and prove it."""
    number = yield from cloud.started(settings)
    yield from teardown.of_gke(settings, number, connected(settings), keep_models)


def recover(settings: Settings) -> int:
    """End what a killed run left running here, a port-forward say; how many processes there were."""
    return end(marked(settings.build))
