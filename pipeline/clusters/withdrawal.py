"""Takes an environment out of a cluster that is somebody else's: what is ours in it goes, and it stays.

The mark that says whose the namespace is goes last, so that `clean` finds its way back after a failure.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import cloud, kserve, manifests, resources
from pipeline.clusters import inference, kube, kubeflow
from pipeline.clusters.teardown import OUTSIDE, Failures, proven, removal, swept
from pipeline.commands import Asking, Note, Steps, Upload, Write
from pipeline.errors import PipelineError
from pipeline.manifests import Manifest
from pipeline.resources import Resource
from pipeline.settings import MANAGED_BY, Settings
from pipeline.tools import kubectl

INSIDE = (kserve.KIND, *OUTSIDE, "httproutes.gateway.networking.k8s.io", "grpcroutes.gateway.networking.k8s.io",
          "experiments.kubeflow.org", "tfjobs.kubeflow.org", "jobs.batch", "deployments.apps",
          "horizontalpodautoscalers.autoscaling", "poddisruptionbudgets.policy",
          "networkpolicies.networking.k8s.io", inference.MONITORS, "managedcertificates.networking.gke.io",
          "backendconfigs.cloud.google.com", "secrets", "serviceaccounts", "configmaps")  # fmt: skip
"""The kinds that the templates make; KServe's first, for what it makes of one it would make again."""

FOREGROUND = "--cascade=foreground"
"""What an object owns goes before it: afterwards the namespace holds nothing of ours that is only about to go."""


def of_existing(settings: Settings, number: str, ours: Asking, keep_models: bool) -> Steps:
    """An environment on somebody's cluster: our objects by their labels, what we installed, what is outside it."""
    failures = yield from inside(settings, ours)
    seen = () if failures else tuple(objects(settings, kind) for kind in INSIDE)
    models = cloud.access(settings, number) if keep_models else cloud.bucket(settings)
    around = (models, cloud.account(settings, "user"), cloud.registry(settings))
    failures += yield from resources.down(settings, *around)
    yield from proven(settings, (*seen, *around), failures, keep_models)


def inside(settings: Settings, ours: Asking) -> Failures:
    """Remove what is in the cluster. Without our mark that is a namespace of ours at most, which is made before it."""
    try:
        marked, operator_stays = (yield from ours), True
        if marked:
            for kind in INSIDE:
                yield from swept(settings, kind, FOREGROUND, besides=kube.MARKER)
            operator_stays = yield from uninstalled(settings)
            yield from unlabelled(settings)
        gone = yield from emptied(settings, settings.cluster.namespace, operator_stays)
        if marked and not gone:
            yield removal(
                settings, "configmap", kube.MARKER, FOREGROUND, doing="take the environment's mark out of the cluster"
            )
    except PipelineError as error:
        yield Note("what is inside the cluster could not be removed; going on with the rest", always=True)
        return [f"what is inside the cluster: {error.message}"]
    return []


def objects(settings: Settings, kind: str) -> Resource:
    """What is left of a kind in the namespace, for the proof."""
    look = kubectl(
        settings, "get", kind, f"--selector={kube.selector(settings)}", "--ignore-not-found", "--output=name",
        doing=f"look for our {kind}", kind="ask", parse="text", absent=kube.NO_KIND, timeout=60, unasked="",
    )  # fmt: skip
    return Resource(f"something of {kind}", look, ())


def uninstalled(settings: Settings) -> Asking:
    """Delete what we installed of Katib and the training operator, unless others need it; whether anything stays."""
    katib_stays = False
    if (yield kube.get(settings, "crd", kubeflow.KATIB.crd, needs=("katib",))):
        katib_stays = yield from removed(settings, kubeflow.KATIB, settings.kubeflow.katib)
    operator_stays = yield from removed(settings, kubeflow.OPERATOR, settings.cluster.operator)
    stays = bool(katib_stays or operator_stays)
    if not stays and settings.cluster.namespace != kube.KUBEFLOW:
        yield from emptied(settings, kube.KUBEFLOW, False)
    return stays


def unlabelled(settings: Settings) -> Steps:
    """Take Katib's label off a namespace that stays, where we put it there."""
    name = settings.cluster.namespace
    found = yield kube.get(settings, "namespace", name, show_managers=True)
    if found and kubeflow.injects_by_us(found) and not is_ours(settings, found):
        yield kubectl(
            settings, "label", "namespace", name, f"{kubeflow.INJECTION}-", namespace=None, retry=True, timeout=60,
            doing=f"take Katib's label off namespace {name}",
        )  # fmt: skip


def removed(settings: Settings, part: kubeflow.Part, place: str) -> Asking:
    """Delete of one part what we installed, unless others need it; whether anything of it stays."""
    if Path(place).is_dir():
        yield Upload(Path(place))
    there = yield kube.look(
        settings, "get", f"--kustomize={place}", "--ignore-not-found", "--show-managed-fields",
        doing=f"look who installed {part.what}", namespace=kube.KUBEFLOW, unasked=assumed(part),
    )  # fmt: skip
    parts = [one for one in items(there) if one["kind"] != "Namespace"]
    ours = [one for one in parts if kubeflow.by_us(one)]
    if len(ours) < len(parts):
        yield Note(f"{part.what} is left alone: somebody else installed it", always=True)
        return True
    definitions = [one for one in ours if one["kind"] == "CustomResourceDefinition"]
    why = ours and (yield from needed(settings, definitions))
    if why:
        yield Note(f"{part.what} is left alone: {why}", always=True)
        return True
    if ours:
        path = kube.file_for(settings, part.makes)
        yield Write(path, manifests.dump([named(one) for one in ours]))
        yield removal(settings, f"--filename={path}", FOREGROUND, doing=f"delete {part.what}", namespace=kube.KUBEFLOW)
    return False


def assumed(part: kubeflow.Part) -> Manifest:
    """What stands for an install of ours where nothing is asked."""
    metadata = {"name": part.deployment, "namespace": kube.KUBEFLOW, "managedFields": [{"manager": MANAGED_BY}]}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}


def items(answer: Manifest | None) -> list[Manifest]:
    """The objects that kubectl answered with: a list, one by itself, or none."""
    if not answer:
        return []
    return list(answer["items"]) if "items" in answer else [answer]


def named(one: Manifest) -> Manifest:
    """Of an object what a deletion needs."""
    metadata = {key: one["metadata"][key] for key in ("name", "namespace") if key in one["metadata"]}
    return {"apiVersion": one["apiVersion"], "kind": one["kind"], "metadata": metadata}


def needed(settings: Settings, definitions: list[Manifest]) -> Asking:
    """Who else needs a part, in words: others' jobs, or other environments of this pipeline."""
    kinds = ",".join(one["metadata"]["name"] for one in definitions)
    jobs = kinds and (yield kube.look(
        settings, "get", kinds, "--all-namespaces", doing="look for others' jobs", unasked={}, absent=kube.NO_KIND,
    ))  # fmt: skip
    if [one for one in items(jobs or None) if not is_ours(settings, one)]:
        return "others have jobs in the cluster"
    marks = yield kube.look(
        settings, "get", "configmaps", "--all-namespaces", f"--selector=app.kubernetes.io/managed-by={MANAGED_BY}",
        doing="look for other environments", unasked={},
    )  # fmt: skip
    others = [one for one in items(marks) if one["metadata"]["name"] == kube.MARKER and not is_ours(settings, one)]
    return ", ".join(f"environment {one['data'].get('environment')} needs it" for one in others)


def is_ours(settings: Settings, one: Manifest) -> bool:
    """Whether an object bears all of the environment's labels."""
    return set(kube.ours(settings).items()) <= set(one["metadata"].get("labels", {}).items())


PASSING = ("events", "events.events.k8s.io", "endpoints", "leases.coordination.k8s.io", "pods.metrics.k8s.io")
"""Kinds that come and go with others and bear no mark of whose they are: no reason to keep a namespace."""

OWNERS = ("ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "Service", "TFJob", "Experiment", "Suggestion",
          "Trial", "InferenceService")  # fmt: skip
"""What is looked at itself, so that what it owns need not be."""

BUILT_IN = ("ConfigMap/kube-root-ca.crt", "Service/kubernetes", "ServiceAccount/default")
"""What Kubernetes itself puts into a namespace."""


def emptied(settings: Settings, name: str, operator_stays: bool) -> Asking:
    """Delete a namespace if we made it and nothing of anybody is left in it; whether it goes."""
    found = yield kube.get(settings, "namespace", name, show_managers=True)
    if not found or not (is_ours(settings, found) or kubeflow.by_us_alone(found)):
        return False
    known = yield kubectl(
        settings, "api-resources", "--namespaced=true", "--verbs=list", "--output=name", kind="ask", parse="text",
        doing="look which kinds of objects the cluster knows", unasked="pods", timeout=60,
    )  # fmt: skip
    kinds = ",".join(kind for kind in known.split() if kind not in PASSING)
    held = yield kube.look(
        settings, "get", kinds, "--show-managed-fields", doing=f"look who uses {name}", namespace=name, unasked={}
    )
    foreign = [one for one in items(held) if keeps(settings, one, operator_stays)]
    if foreign:
        many = f"{len(foreign)} objects are" if len(foreign) > 1 else "1 object is"
        yield Note(f"namespace {name} is left alone: {many} not this environment's", always=True)
        return False
    yield removal(settings, "namespace", name, FOREGROUND, doing=f"delete namespace {name}")
    return True


def keeps(settings: Settings, one: Manifest, operator_stays: bool) -> bool:
    """Whether an object is a reason to leave its namespace: it is not ours, and does not go with what is."""
    metadata = one["metadata"]
    owned = any(owner["kind"] in OWNERS for owner in metadata.get("ownerReferences", []))
    going = owned or "deletionTimestamp" in metadata or (kubeflow.by_us(one) and not operator_stays)
    return not (going or is_ours(settings, one) or f"{one['kind']}/{metadata['name']}" in BUILT_IN)
