"""What of Kubeflow an environment's cluster needs: the training operator, where wanted Katib, or all of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.clusters.kube import KUBEFLOW, apply_command, get
from pipeline.commands import Command, Note, Steps, Unchanged, Upload
from pipeline.manifests import Manifest
from pipeline.settings import MANAGED_BY, Settings
from pipeline.tools import kubectl


@dataclass(frozen=True)
class Part:
    """A part of Kubeflow that can be installed by itself: how we call it, its controller, and a kind that it brings."""

    what: str
    deployment: str
    crd: str
    makes: str


OPERATOR = Part("the training operator", "training-operator", "tfjobs.kubeflow.org", "operator")
KATIB = Part("Katib", "katib-controller", "experiments.kubeflow.org", "katib")

SEPARATE = {"training", "katib"}
"""The components that do without the whole of Kubeflow."""

INJECTION = "katib.kubeflow.org/metrics-collector-injection"
"""Label of the namespaces in which Katib puts a reader of figures beside each trial."""

LABELLER = f"{MANAGED_BY}-katib"
"""Our name where we give a namespace that label: a manager of its own, for a label makes no namespace ours."""

WHOLE = "pipeline/installed-from"
"""Annotation of what an install is known by: written when all of it was applied, so that half of one is seen."""


def operator(settings: Settings) -> Steps:
    """Install the training operator where there is none, and wait until it is available."""
    yield from installed(settings, OPERATOR, settings.cluster.operator)


def katib(settings: Settings) -> Steps:
    """Install Katib where it is wanted and not there, and let it see the pods of our namespace.

    The whole of Kubeflow brings its own.
    """
    if "katib" not in settings.kubeflow.components:
        return
    if set(settings.kubeflow.components) <= SEPARATE:
        yield from installed(settings, KATIB, settings.kubeflow.katib)
    name = settings.cluster.namespace
    found = yield get(settings, "namespace", name, needs=("namespace",))
    if (found or {}).get("metadata", {}).get("labels", {}).get(INJECTION) == "enabled":
        return
    yield kubectl(
        settings, "label", "namespace", name, f"{INJECTION}=enabled", "--overwrite", f"--field-manager={LABELLER}",
        doing=f"let Katib read the trials' figures in namespace {name}", retry=True, timeout=60, namespace=None,
    )  # fmt: skip


def injects_by_us(namespace: Manifest) -> bool:
    """Whether a namespace, which `get` showed with its managers, bears Katib's label because we put it there."""
    entries = namespace["metadata"].get("managedFields", [])
    return any(one.get("manager") == LABELLER and f"f:{INJECTION}" in json.dumps(one) for one in entries)


def installed(settings: Settings, part: Part, place: str) -> Steps:
    """Install a part from a kustomization where it is not there, and wait until its controller is available."""
    there = yield get(settings, "deployment", part.deployment, namespace=KUBEFLOW, show_managers=True)
    crd = yield get(settings, "crd", part.crd)
    if crd and is_whole(there, place):
        yield Unchanged(f"{part.what} is there")
    else:
        if Path(place).is_dir():
            yield Upload(Path(place))
        yield kustomize(settings, place, f"install {part.what}", makes=part.makes)
        yield noted(settings, f"deployment/{part.deployment}", KUBEFLOW, place)
    if (there or {}).get("status", {}).get("availableReplicas") and crd:
        return
    yield kubectl(
        settings, "rollout", "status", f"deployment/{part.deployment}", "--timeout=5m", namespace=KUBEFLOW,
        doing=f"wait for {part.what}", kind="wait", limit="0", timeout=330,
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
    if set(settings.kubeflow.components) <= SEPARATE:
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
