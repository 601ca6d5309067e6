"""Takes an environment down in an order that leaves nothing behind: Services before the cluster, the bucket last."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline import cloud, resources
from pipeline.answering import Say
from pipeline.clusters import kube, kubeflow
from pipeline.commands import Asking, Call, Command, Note, Probe, Result, Step, Steps
from pipeline.errors import PipelineError, RunFailed
from pipeline.resources import Resource
from pipeline.settings import MANAGED_BY, Settings
from pipeline.tools import kubectl, labels

Failures = Generator[Step, Any, list[str]]

OUTSIDE = ("ingresses.networking.k8s.io", "services")
"""What holds load balancers: it is waited for, because a cluster that goes first leaves them running."""

INSIDE = ("tfjobs.kubeflow.org", "jobs.batch", "deployments.apps", "managedcertificates.networking.gke.io",
          "backendconfigs.cloud.google.com", "secrets", "serviceaccounts", "configmaps")  # fmt: skip
"""The rest of what the templates make; the ConfigMap that says whose the cluster is comes last."""


def of_gke(settings: Settings, number: str, connected: Steps, keep_models: bool) -> Steps:
    """A GKE environment: what holds load balancers, the cluster, what it left, then all that stands outside it."""
    whole = cloud.cluster(settings)
    failures = yield from inside(settings, whole, connected)
    standing = yield from resources.down(settings, whole)
    failures += standing or (yield from orphans(settings))
    failures += yield from resources.down(settings, *around(settings, number, keep_models))
    yield from proven(settings, (whole, *around(settings, number, keep_models)), failures, keep_models)


def around(settings: Settings, number: str, keep_models: bool) -> tuple[Resource, ...]:
    """What stands outside the cluster, whatever the settings say now; roles before the account that has them."""
    models = cloud.access(settings, number) if keep_models else cloud.bucket(settings)
    return (
        cloud.public_name(settings), cloud.page_address(settings), cloud.iap_address(settings),
        *cloud.node_bindings(settings), cloud.account(settings, "nodes"), cloud.account(settings, "user"),
        cloud.registry(settings), models,
    )  # fmt: skip


def inside(settings: Settings, whole: Resource, connected: Steps) -> Failures:
    """Delete our Ingress and Services in a cluster that is ours, and wait until their load balancers are gone."""
    found = yield resources.assumed(whole)
    if not found or resources.owner(settings, whole, found) or found.get("status") == "STOPPING":
        return []
    try:
        yield from connected
        for kind in OUTSIDE:
            yield from swept(settings, kind)
    except PipelineError as error:
        yield Note("the cluster's load balancers could not be removed first; going on with the rest", always=True)
        return [f"what is inside the cluster: {error.message}"]
    return []


def swept(settings: Settings, kind: str, wait: str = "5m") -> Steps:
    """Delete the environment's objects of a kind, found by all its labels; kinds that the cluster lacks are skipped."""
    found = yield kube.look(
        settings, "get", kind, f"--selector={kube.selector(settings)}", doing=f"look for our {kind}",
        unasked={"items": [{"metadata": {"name": "<name>"}}]},
        absent=r"the server doesn't have a resource type|could not find the requested resource",
    )  # fmt: skip
    there = [one["metadata"]["name"] for one in (found or {}).get("items", [])]
    if there:
        yield kubectl(
            settings, "delete", kind, *there, "--ignore-not-found", "--wait=true", f"--timeout={wait}", limit="0",
            doing=f"delete {kind.split('.')[0]} {', '.join(there)}", retry=True, timeout=330,
        )  # fmt: skip


def orphans(settings: Settings) -> Failures:
    """Delete what a cluster that is gone left: load balancers at our addresses, disks with our labels."""
    failures = list[str]()
    for steps in (balancers(settings), disks(settings)):
        try:
            yield from steps
        except PipelineError as error:
            failures.append(str(error.message))
            yield Note(f"{error.message}; going on with the rest", always=True)
    return failures


def after_cluster(settings: Settings, *words: str, doing: str) -> Any:
    """A question about what is left once the cluster is gone; not asked while it is only going to be."""
    return cloud.ask(settings, *words, doing=doing, unasked=[], needs=("no cluster",))


def balancers(settings: Settings) -> Steps:
    """Forwarding rules at an address that we reserved, and what stands behind them under the same name."""
    ours = set[str]()
    for reserved in (cloud.page_address(settings), cloud.iap_address(settings)):
        found = yield reserved.look
        if found and not resources.owner(settings, reserved, found):
            ours.add(found.get("address"))
    if not ours:
        return
    rules = yield after_cluster(settings, "compute", "forwarding-rules", "list", doing="look for load balancers")
    for rule in rules or []:
        if rule.get("IPAddress") in ours:
            yield from torn_down(settings, rule)


BEHIND = {
    "targetPool": "target-pools", "backendService": "backend-services", "targetHttpProxy": "target-http-proxies",
    "targetHttpsProxy": "target-https-proxies",
}  # fmt: skip
"""What a target's URL calls a thing, and gcloud's group for it."""


def torn_down(settings: Settings, rule: dict[str, Any]) -> Steps:
    """One forwarding rule, what it leads to, and the firewall rule that GKE makes under its name."""
    name, place = rule["name"], place_of(rule)
    yield cloud.undo(
        settings, "compute", "forwarding-rules", "delete", name, place, doing=f"delete the forwarding rule {name}"
    )
    target = rule.get("target") or rule.get("backendService") or ""
    *_, plural, behind = ["", *target.split("/")][-2:]
    group = next((group for kind, group in BEHIND.items() if plural == f"{kind}s".replace("ys", "ies")), None)
    if group:
        what = group.removesuffix("s").replace("-", " ")
        yield cloud.undo(settings, "compute", group, "delete", behind, place, doing=f"delete the {what} {behind}")
    wall = behind if group == "backend-services" else f"k8s-fw-{name}"
    yield cloud.undo(
        settings, "compute", "firewall-rules", "delete", wall, doing=f"delete the firewall rule {wall}"
    )  # fmt: skip


def place_of(thing: dict[str, Any]) -> str:
    region = str(thing.get("region", "")).rsplit("/", 1)[-1]
    return f"--region={region}" if region else "--global"


VOLUME = "goog-gke-volume"
"""The label, without a value, of the disks that GKE made for volumes."""


def disks(settings: Settings) -> Steps:
    """Volumes of a cluster that is gone; GKE hands the cluster's labels on to them."""
    marks = " AND ".join(f"labels.{key}={value}" for key, value in labels(settings).items())
    found = yield after_cluster(settings, "compute", "disks", "list", f"--filter={marks}", doing="look for disks")
    for disk in (one for one in found or [] if VOLUME in one.get("labels", {})):
        zone = str(disk["zone"]).rsplit("/", 1)[-1]
        yield cloud.undo(
            settings,
            "compute",
            "disks",
            "delete",
            disk["name"],
            f"--zone={zone}",
            doing=f"delete the disk {disk['name']}",
        )


def proven(settings: Settings, whole: tuple[Resource, ...], failures: list[str], keep_models: bool) -> Steps:
    """List again all that could be there; RunFailed where something of ours still is, or may be."""
    found = yield from resources.looked(whole, failures, again, kind="wait")
    left = [one.what for one in whole if found.get(one.what) and not resources.whose_is(settings, one, found)]
    lines = dict.fromkeys([*failures, *(f"{what} is still there" for what in left)])
    if lines:
        yield Call("say what is left", partial(refuse, tuple(lines)))
    yield Call(f"delete {settings.build}", partial(delete_build, settings))
    kept = f"; the models are kept in {settings.bucket}" if keep_models else ""
    yield Result(f"nothing is left: looked for {len(whole)} things, found 0{kept}")


def refuse(lines: tuple[str, ...], show: Say) -> None:
    """Fail with what is left; a step, because `clean` goes on from its plan, in which a look may have failed."""
    raise RunFailed("clean left something behind:\n  " + "\n  ".join(lines))


def again(resource: Resource) -> Command | Probe:
    """The question for a thing that is to be gone by now."""
    return replace(resource.look, unasked=None)


def delete_build(settings: Settings, show: Say) -> None:
    """Delete what this machine kept for the environment: manifests, and the kubeconfig of a cluster that is gone."""
    shutil.rmtree(settings.build, ignore_errors=True)


def of_existing(settings: Settings, number: str, ours: Asking, keep_models: bool) -> Steps:
    """An environment on somebody's cluster: our objects by their labels, what we installed, what is outside it."""
    failures = list[str]()
    try:
        if (yield from ours):
            for kind in (*OUTSIDE, *INSIDE):
                yield from swept(settings, kind)
            yield from uninstalled(settings)
            yield from emptied(settings)
    except PipelineError as error:
        failures.append(f"what is inside the cluster: {error.message}")
        yield Note("what is inside the cluster could not be removed; going on with the rest", always=True)
    outside = (cloud.account(settings, "user"), cloud.registry(settings))
    models = cloud.access(settings, number) if keep_models else cloud.bucket(settings)
    failures += yield from resources.down(settings, models, *outside)
    yield from proven(settings, (models, *outside), failures, keep_models)


def uninstalled(settings: Settings) -> Steps:
    """Delete the training operator if we installed it and no TFJob of anybody is left."""
    found = yield kube.get(settings, "deployment", "training-operator", namespace=kube.KUBEFLOW, show_managers=True)
    if not found:
        return
    if not kubeflow.by_us(found):
        yield Note("the training operator is left alone: somebody else installed it", always=True)
        return
    jobs = yield kube.look(
        settings, "get", "tfjobs.kubeflow.org", "--all-namespaces", doing="look for others' TFJobs", unasked={},
        absent=r"the server doesn't have a resource type",
    )  # fmt: skip
    if (jobs or {}).get("items"):
        yield Note("the training operator is left alone: others have TFJobs in the cluster", always=True)
        return
    yield kubectl(
        settings, "delete", f"--kustomize={settings.cluster.operator}", "--ignore-not-found", limit="0",
        doing="delete the training operator", retry=True, timeout=330,
    )  # fmt: skip


def emptied(settings: Settings) -> Steps:
    """Delete the namespace if we made it and nothing of anybody is left in it."""
    name = settings.cluster.namespace
    found = yield kube.get(settings, "namespace", name)
    ours = f"{MANAGED_BY}/{settings.name}/{settings.environment}"
    theirs = (found or {}).get("metadata", {}).get("labels", {})
    keys = ("app.kubernetes.io/managed-by", "app.kubernetes.io/part-of", "pipeline/environment")
    if "/".join(theirs.get(key, "") for key in keys) != ours:
        return
    others = yield kube.look(settings, "get", "all,secrets,configmaps", doing="look for others' objects", unasked={})
    foreign = [one for one in (others or {}).get("items", []) if one["metadata"]["name"] not in BUILT_IN]
    if foreign:
        yield Note(f"namespace {name} is left alone: others have {len(foreign)} objects in it", always=True)
        return
    yield kubectl(
        settings, "delete", "namespace", name, "--ignore-not-found", "--wait=true", "--timeout=5m", limit="0",
        doing=f"delete namespace {name}", retry=True, timeout=330,
    )  # fmt: skip


BUILT_IN = ("kube-root-ca.crt", "kubernetes")
"""What Kubernetes itself puts into a namespace."""
