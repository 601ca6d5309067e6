"""The model server on a cluster: whether KServe is there where it is wanted, and what other settings left behind."""

from __future__ import annotations

from pipeline import kserve
from pipeline.clusters import kube
from pipeline.clusters.teardown import removal
from pipeline.commands import Asking, Command, Steps
from pipeline.errors import PipelineError
from pipeline.manifests import Manifest
from pipeline.settings import Settings

COMPONENTS = ("serving", "service", "protection")
"""What the stage applies."""

KINDS = (
    "deployments.apps", "services", "configmaps", "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy", "networkpolicies.networking.k8s.io",
)  # fmt: skip
"""What they are made of, but for kinds that a cluster may lack."""

MONITORS = "podmonitorings.monitoring.googleapis.com"

GUIDE = "https://kserve.github.io/website/docs/getting-started/quickstart-guide"


def required(settings: Settings) -> Steps:
    """Refuse to go on where KServe is wanted and not in the cluster, and say what brings it there."""
    if settings.serving.kind != "kserve":
        return
    if not (yield kube.get(settings, "crd", kserve.KIND, unasked={"kind": "assumed"})):
        raise PipelineError(
            "KServe, which serving.kind asks for, is not in the cluster: install it, Standard mode will do "
            f"({GUIDE}), or write serving.kind: deployment"
        )


def left_over(settings: Settings) -> Steps:
    """Delete what the stage made by other settings and wants no more: another kind of server, a server by another name.

    What KServe made of an InferenceService bears its labels, and is KServe's to delete. This machine tidies up itself.
    """
    if settings.cluster.kind == "local":
        return
    wanted = {(one["kind"], one["metadata"]["name"]) for part in COMPONENTS for one in kube.rendered(settings, part)}
    for one in filter(ours, (yield from there(settings))):
        kind, name = one["kind"], one["metadata"]["name"]
        if (kind, name) not in wanted:
            yield removal(settings, kind.lower(), name, doing=f"delete {kind} {name}, which is not wanted now")


def ours(one: Manifest) -> bool:
    """Whether an object is the stage's, and not on its way out."""
    metadata = one["metadata"]
    going = metadata.get("ownerReferences") or "deletionTimestamp" in metadata
    return metadata["labels"].get("app.kubernetes.io/name") in COMPONENTS and not going


def there(settings: Settings) -> Asking:
    """The environment's objects of all kinds that the stage makes; KServe's where it made something of one."""
    found = None
    if settings.cluster.kind == "gke":
        found = yield look(settings, *KINDS, MONITORS)
    if found is None:  # also where GKE's Prometheus was turned off
        found = yield look(settings, *KINDS)
    owners = [owner["kind"] for one in found["items"] for owner in one["metadata"].get("ownerReferences", [])]
    services = (yield look(settings, kserve.KIND)) if "InferenceService" in owners else None
    return [*found["items"], *(services or {"items": []})["items"]]


def look(settings: Settings, *kinds: str) -> Command:
    """Asks for the environment's objects of these kinds; the answer is None where a cluster lacks one of them."""
    return kube.look(
        settings, "get", ",".join(kinds), f"--selector={kube.selector(settings)}", absent=kube.NO_KIND,
        doing="look what other settings left", unasked={"items": []}, needs=("namespace",),
    )  # fmt: skip
