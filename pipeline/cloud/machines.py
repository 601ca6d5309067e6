"""The GKE cluster and its node pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline.cloud.accounts import email
from pipeline.cloud.asking import ask, change, undo
from pipeline.commands import Command
from pipeline.errors import PipelineError
from pipeline.resources import Change, Resource
from pipeline.settings import Settings
from pipeline.tools import labels

CREATION = 2400.0
"""Seconds for a cluster: it takes 4 to 8 minutes, Autopilot up to 15; with a GPU pool out of stock, longer."""


def where(settings: Settings) -> str:
    return f"--location={settings.location}"


def look_for_cluster(settings: Settings, waiting: bool = False) -> Command:
    """Asks for the cluster that is to be there by now; `waiting` for it is nothing that `plan` does."""
    asking = ask(
        settings, "container", "clusters", "describe", settings.name, where(settings),
        doing=f"look for the cluster {settings.name}", needs=("cluster",), unasked={"status": "RUNNING"},
    )  # fmt: skip
    return replace(asking, kind="wait", quiet=True) if waiting else asking


def cluster(settings: Settings) -> Resource:
    """The GKE cluster: standard with an autoscaled pool, or Autopilot."""
    what = f"the cluster {settings.name} in {settings.location}"
    name = ("container", "clusters")
    return Resource(
        what,
        ask(settings, *name, "describe", settings.name, where(settings), doing=f"look for {what}"),
        (
            change(
                settings, *name, *cluster_words(settings), where(settings), "--release-channel=regular",
                f"--service-account={email(settings, 'nodes')}", f"--labels={cluster_labels(settings)}",
                doing=f"create {what}: 4 to 15 minutes", makes="cluster", timeout=CREATION,
            ),
        ),
        (
            undo(settings, *name, "delete", settings.name, where(settings), doing=f"delete {what}: 5 minutes",
                 makes="no cluster", timeout=CREATION),
        ),
        lambda found: found.get("resourceLabels"),
        partial(mend_cluster, settings),
    )  # fmt: skip


def cluster_labels(settings: Settings) -> str:
    """GKE hands a cluster's labels on to its nodes and disks: what a deleted cluster leaves is still known as ours."""
    return ",".join(f"{key}={value}" for key, value in labels(settings).items())


def cluster_words(settings: Settings) -> tuple[str, ...]:
    if settings.cluster.autopilot:
        return ("create-auto", settings.name)
    return (
        "create", settings.name, f"--num-nodes={settings.cluster.nodes}",
        f"--machine-type={settings.cluster.machine_type}", "--enable-autoscaling", "--min-nodes=0",
        f"--max-nodes={settings.cluster.max_nodes}", f"--disk-size={settings.cluster.disk_gb}",
        f"--workload-pool={settings.gcp.project}.svc.id.goog", *(["--spot"] if settings.cluster.spot else []),
        *(["--enable-dataplane-v2"] if settings.cluster.dataplane_v2 else []),
    )  # fmt: skip


UNPOLICED = "anybody in the cluster may call the model server"
"""What it means where nothing heeds a NetworkPolicy."""


def police(settings: Settings) -> str:
    """How a cluster comes to heed NetworkPolicies, in words."""
    again = f"`invoke --env={settings.environment} clean --keep-models`, then `deploy`"
    return f"its NetworkPolicies do nothing, for GKE gives Dataplane V2 to new clusters only: {again}"


def obeys_policies(found: Mapping[str, Any]) -> bool:
    """Whether a cluster heeds NetworkPolicies: by Dataplane V2, as Autopilot does, or by Calico, the older way."""
    if found.get("autopilot", {}).get("enabled"):
        return True
    provider = found.get("networkConfig", {}).get("datapathProvider")
    return provider == "ADVANCED_DATAPATH" or bool(found.get("networkPolicy", {}).get("enabled"))


def mend_cluster(settings: Settings, found: Mapping[str, Any]) -> tuple[Change, ...]:
    """Brings the autoscaler's limit up to date; PipelineError for what GKE cannot change in a cluster.

    A cluster in ERROR came to nothing, for want of machines say, and GKE would delete it some day: it is made anew.
    """
    if found.get("status") == "ERROR":
        whole = cluster(settings)
        return (*whole.undo, *whole.make)
    autopilot = bool(found.get("autopilot", {}).get("enabled"))
    command = f"`invoke --env={settings.environment} clean --keep-models`"
    instead = f"GKE cannot change that; set it back, or take the cluster down first ({command})"
    if autopilot != settings.cluster.autopilot:
        is_one = "is an Autopilot cluster" if autopilot else "is no Autopilot cluster"
        raise PipelineError(
            f"the cluster {settings.name} {is_one}, and cluster.autopilot is {settings.cluster.autopilot}: {instead}"
        )
    pool = next((one for one in found.get("nodePools", []) if one.get("name") == "default-pool"), None)
    if autopilot or pool is None:
        return ()
    has = pool.get("config", {}).get("machineType")
    if has and has != settings.cluster.machine_type:
        raise PipelineError(
            f"the cluster {settings.name} has {has} nodes, and cluster.machine_type is "
            f"{settings.cluster.machine_type}: {instead}"
        )
    if pool.get("autoscaling", {}).get("maxNodeCount") == settings.cluster.max_nodes:
        return ()
    return (
        change(
            settings, "container", "clusters", "update", settings.name, where(settings), "--enable-autoscaling",
            "--min-nodes=0", f"--max-nodes={settings.cluster.max_nodes}", "--node-pool=default-pool",
            doing=f"let the cluster {settings.name} grow to {settings.cluster.max_nodes} nodes",
        ),
    )  # fmt: skip


def gpu_pools(settings: Settings) -> tuple[Resource, ...]:
    """The pools that config wants: the trainings', and the model server's, whose nodes have as many GPUs as a pod."""
    training, serving, pools = settings.training, settings.serving, list[Resource]()
    if settings.cluster.autopilot:
        return ()
    if training.gpus:
        pools.append(gpu_pool(settings, "gpu", training.gpus, training.gpu_replicas))
    if serving.gpus:  # a node more, for the pod that comes before another goes
        pools.append(gpu_pool(settings, "serving-gpu", serving.gpus, serving.most_replicas + 1))
    return tuple(pools)


def gpu_pool(settings: Settings, name: str, count: int, most: int) -> Resource:
    """Nodes with `count` GPUs, none of them while nothing asks for one, `most` at most; they go with their cluster."""
    what = f"the node pool {name} of {settings.name}"
    place = (f"--cluster={settings.name}", where(settings))
    return Resource(
        what,
        ask(settings, "container", "node-pools", "describe", name, *place, doing=f"look for {what}",
            needs=("cluster",), unasked=None),
        (
            change(
                settings, "container", "node-pools", "create", name, *place,
                f"--machine-type={settings.cluster.gpu_machine_type}",
                f"--accelerator=type={settings.cluster.gpu_type},count={count},gpu-driver-version=default",
                "--num-nodes=0", "--enable-autoscaling", "--min-nodes=0", f"--max-nodes={most}",
                f"--disk-size={settings.cluster.disk_gb}", f"--service-account={email(settings, 'nodes')}",
                *(["--spot"] if settings.cluster.spot else []), doing=f"create {what}", timeout=CREATION,
            ),
        ),
    )  # fmt: skip
