"""Takes an environment down in an order that leaves nothing behind: Services before the cluster, the bucket last."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline import cloud, resources
from pipeline.answering import Say
from pipeline.clusters import kube, orphans
from pipeline.commands import Call, Command, Note, Probe, Result, Step, Steps
from pipeline.errors import PipelineError, RunFailed
from pipeline.resources import Resource
from pipeline.settings import Settings
from pipeline.tools import kubectl

Failures = Generator[Step, Any, list[str]]

OUTSIDE = ("ingresses.networking.k8s.io", "services")
"""What holds load balancers: it is waited for, because a cluster that goes first leaves them running."""


def of_gke(settings: Settings, number: str, connected: Steps, keep_models: bool) -> Steps:
    """A GKE environment: what holds load balancers, the cluster, what it left, then all that stands outside it."""
    whole = cloud.cluster(settings)
    failures = yield from inside(settings, whole, connected)
    standing = yield from resources.down(settings, whole)
    failures += standing or (yield from orphans.removed(settings))
    failures += yield from resources.down(settings, *around(settings, number, keep_models))
    yield from proven(settings, (whole, *around(settings, number, keep_models)), failures, keep_models)


def around(settings: Settings, number: str, keep_models: bool) -> tuple[Resource, ...]:
    """What stands outside the cluster, whatever the settings say now; what an account may do before the account."""
    access = (cloud.access(settings, number),) if keep_models else ()
    bucket = (cloud.bucket(settings),) if not keep_models else ()
    return (
        cloud.public_name(settings), cloud.page_address(settings), cloud.iap_address(settings), *access,
        *cloud.node_bindings(settings), cloud.account(settings, "nodes"), cloud.account(settings, "user"),
        cloud.registry(settings), *bucket,
    )  # fmt: skip


def inside(settings: Settings, whole: Resource, connected: Steps) -> Failures:
    """Delete our Ingress and Services in a cluster that is ours, and wait until their load balancers are gone.

    Raises PipelineError, before any change, for a cluster with our labels that says of itself that it is another's.
    """
    found = yield resources.assumed(whole)
    if not found or resources.owner(settings, whole, found) or found.get("status") == "STOPPING":
        return []
    wrong = ""
    try:
        yield from connected
        marker = yield kube.get(settings, "configmap", kube.MARKER, unasked=kube.expected(settings))
        wrong = kube.whose(settings, marker) if marker else ""  # without one, `deploy` did not come so far
        for kind in OUTSIDE if not wrong else ():
            yield from swept(settings, kind)
    except PipelineError as error:
        yield Note("the cluster's load balancers could not be removed first; going on with the rest", always=True)
        return [f"what is inside the cluster: {error.message}"]
    if wrong:
        raise PipelineError(f"nothing was done: {wrong}")
    return []


def swept(settings: Settings, kind: str, *how: str, besides: str = "") -> Steps:
    """Delete the environment's objects of a kind, found by all its labels; kinds that the cluster lacks are skipped.

    `besides` names one that stays.
    """
    found = yield kube.look(
        settings, "get", kind, f"--selector={kube.selector(settings)}", doing=f"look for our {kind}",
        unasked={"items": [{"metadata": {"name": "<name>"}}]}, absent=kube.NO_KIND,
    )  # fmt: skip
    there = [one["metadata"]["name"] for one in (found or {}).get("items", [])]
    going = [name for name in there if name != besides]
    if going:
        yield removal(settings, kind, *going, *how, doing=f"delete {kind.split('.')[0]} {', '.join(going)}")


def removal(settings: Settings, *words: str, doing: str, namespace: str = "") -> Command:
    """Deletes objects, and waits until they are gone."""
    return kubectl(
        settings, "delete", *words, "--ignore-not-found", "--wait=true", "--timeout=5m", limit="0", doing=doing,
        retry=True, timeout=330, namespace=namespace,
    )  # fmt: skip


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
