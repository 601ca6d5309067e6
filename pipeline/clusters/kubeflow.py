"""What of Kubeflow an environment's cluster needs: the training operator, and where it is wanted the whole of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pipeline.clusters.kube import KUBEFLOW, apply_command, get
from pipeline.commands import Command, Note, Steps, Unchanged, Upload
from pipeline.manifests import Manifest
from pipeline.settings import MANAGED_BY, Settings
from pipeline.tools import kubectl

WHOLE = "pipeline/installed-from"
"""Annotation of what an install is known by: written when all of it was applied, so that half of one is seen."""


def operator(settings: Settings) -> Steps:
    """Install the training operator where there is none, and wait until it is available."""
    place = settings.cluster.operator
    there = yield get(settings, "deployment", "training-operator", namespace=KUBEFLOW, show_managers=True)
    crd = yield get(settings, "crd", "tfjobs.kubeflow.org")
    if crd and is_whole(there, place):
        yield Unchanged("the training operator is there")
    else:
        if Path(place).is_dir():
            yield Upload(Path(place))
        yield kustomize(settings, place, "install the training operator", makes="operator")
        yield noted(settings, "deployment/training-operator", KUBEFLOW, place)
    if (there or {}).get("status", {}).get("availableReplicas") and crd:
        return
    yield kubectl(
        settings, "rollout", "status", "deployment/training-operator", "--timeout=5m", namespace=KUBEFLOW,
        doing="wait for the training operator", kind="wait", limit="0", timeout=330,
    )  # fmt: skip


def kustomize(settings: Settings, place: str, doing: str, **how: Any) -> Command:
    """Server-side: the CRDs are too large for a client-side apply. Our name as its manager tells that we did it.

    The namespaces are those that the manifests name.
    """
    return apply_command(
        settings, "--server-side", "--force-conflicts", f"--field-manager={MANAGED_BY}", f"--kustomize={place}",
        doing=doing, **{"timeout": 600, "limit": "60s", "namespace": None, **how},
    )  # fmt: skip


def by_us(found: Manifest) -> bool:
    """Whether we installed an object, which `get` showed with its managers."""
    return MANAGED_BY in managers(found)


def by_us_alone(found: Manifest) -> bool:
    """Whether nobody but us ever wrote an object: not even who made it."""
    return managers(found) == {MANAGED_BY}


def managers(found: Manifest) -> set[str | None]:
    """Who wrote fields of an object, by the names that they gave."""
    return {one.get("manager") for one in found["metadata"].get("managedFields", [])}


def is_whole(found: Manifest | None, place: str) -> bool:
    """Whether the install that an object is known by is whole; one of somebody else's is theirs to complete."""
    if not found:
        return False
    return not by_us(found) or found["metadata"].get("annotations", {}).get(WHOLE) == known_as(place)


def noted(settings: Settings, what: str, namespace: str, place: str) -> Command:
    """Writes down that all of an install was applied."""
    return kubectl(
        settings, "annotate", what, f"{WHOLE}={known_as(place)}", "--overwrite", namespace=namespace,
        doing="note that all of it was installed", retry=True, timeout=60,
    )  # fmt: skip


def known_as(place: str) -> str:
    """What an install was made from, as its annotation says it: a folder lies elsewhere on the environment's host."""
    return Path(place).name if Path(place).is_dir() else place


TRIES = 6
"""Kubeflow's own instructions repeat the apply until the CRDs that later objects need are known."""


def distribution(settings: Settings) -> Steps:
    """Install the whole of Kubeflow, where its dashboard or its notebooks are wanted."""
    if set(settings.kubeflow.components) <= {"training"}:
        return
    place, namespace = settings.kubeflow.distribution, "istio-system"
    found = yield get(settings, "service", "istio-ingressgateway", namespace=namespace, show_managers=True)
    if is_whole(found, place):
        yield Unchanged("the whole of Kubeflow is there")
        return
    yield from applied_until_known(partial(kustomize, settings, place, timeout=1200, retry=False))
    yield noted(settings, "service/istio-ingressgateway", namespace, place)


def applied_until_known(whole: Any) -> Steps:
    """Apply all, again while some of its kinds are not known; the last failure is for the caller."""
    doing = "install the whole of Kubeflow: about 10 minutes"
    for _ in range(TRIES - 1):
        code, _ = yield whole(doing=doing, codes=(0, 1), unasked=(0, ""))
        if code == 0:
            return
        yield Note("some of its objects need others that were only just made; trying again")
    yield whole(doing=doing)
