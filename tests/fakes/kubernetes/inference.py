"""What KServe's controller makes of an InferenceService in Standard mode, and an autoscaler of a Deployment."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import pods, removal
from fakes.kubernetes.pods import condition

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]
RESOURCE = "inferenceservices.serving.kserve.io"

RUNTIME: Object = {
    "name": "kserve-container", "image": "tensorflow/serving:2.6.2", "command": ["/usr/bin/tensorflow_model_server"],
    "args": ["--port=9000", "--rest_api_port=8080", "--model_base_path=/mnt/models", "--rest_api_timeout_in_ms=60000"],
}  # fmt: skip
"""The container of the ClusterServingRuntime kserve-tensorflow-serving, which `model` changes."""

NOT_OF_A_POD = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "deploymentStrategy", "labels",
                "annotations", "model")  # fmt: skip

DEFINITION: Object = {
    "metadata": {"name": RESOURCE},
    "spec": {
        "group": "serving.kserve.io", "scope": "Namespaced",
        "names": {"kind": "InferenceService", "plural": "inferenceservices", "singular": "inferenceservice",
                  "shortNames": ["isvc"]},
        "versions": [{"name": "v1beta1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}],
    },
}  # fmt: skip
"""What installing KServe adds to a cluster, as far as it matters here: `cluster.add("customresourcedefinitions…")`."""


def inference_service(cluster: Cluster, found: Object) -> Iterator[None]:
    """A Deployment and a Service of its own, labelled as the InferenceService; Ready once the Deployment is."""
    for _ in range(1 + cluster.delay):
        yield
    predictor, name = found["spec"]["predictor"], f"{found['metadata']['name']}-predictor"
    while predictor["model"]["modelFormat"]["name"] not in cluster.runtimes:
        message = "No runtime found to support specified framework/version"
        refused = {"transitionStatus": "InvalidSpec",
                   "lastFailureInfo": {"reason": "NoSupportingRuntime", "message": message}}  # fmt: skip
        cluster.set_status(RESOURCE, found, {"modelStatus": refused})
        yield
    put(cluster, "deployments.apps", made(found, name, {
        "replicas": predictor["minReplicas"], "selector": {"matchLabels": {"app": f"isvc.{name}"}},
        "strategy": predictor["deploymentStrategy"], "template": template(found, name),
    }))  # fmt: skip
    ports = predictor["model"]["ports"]
    first = [{"name": ports[0]["name"], "port": 80, "targetPort": ports[0]["containerPort"]}]
    rest = [{"name": one["name"], "port": one["containerPort"]} for one in ports[1:]]
    put(cluster, "services", made(found, name, {"selector": {"app": f"isvc.{name}"}, "ports": first + rest}))
    while not available(cluster, found, name):
        cluster.set_status(RESOURCE, found, {"conditions": [condition("Ready", False, "MinimumReplicasUnavailable")]})
        yield
    cluster.set_status(RESOURCE, found, {"conditions": [condition("PredictorReady", True), condition("Ready", True)]})


def template(found: Object, name: str) -> Object:
    """The pods: the runtime's container with what `model` says over it, its arguments after the runtime's."""
    predictor = found["spec"]["predictor"]
    own = {key: value for key, value in predictor["model"].items() if key not in ("modelFormat", "protocolVersion")}
    args = [f"--model_name={found['metadata']['name']}", *RUNTIME["args"], *own["args"]]
    labels = {**found["metadata"]["labels"], **predictor["labels"], "app": f"isvc.{name}", "component": "predictor",
              "serving.kserve.io/inferenceservice": found["metadata"]["name"]}  # fmt: skip
    pod = {key: value for key, value in predictor.items() if key not in NOT_OF_A_POD}
    annotations = {**found["metadata"].get("annotations", {}), **predictor["annotations"]}
    spec = copy.deepcopy({**pod, "containers": [{**RUNTIME, **own, "args": args}]})
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}


def made(found: Object, name: str, spec: Object) -> Object:
    """An object that KServe owns; the InferenceService's labels go on to it."""
    metadata = {"name": name, "namespace": found["metadata"]["namespace"], "labels": dict(found["metadata"]["labels"]),
                "ownerReferences": [pods.owned_by(found)]}  # fmt: skip
    return {"metadata": metadata, "spec": spec}


def put(cluster: Cluster, resource: str, wanted: Object) -> None:
    """Make an object, or bring the one that is there to what is wanted."""
    kind = cluster.kind(resource)
    current = cluster.store.get(kind, wanted["metadata"]["namespace"], wanted["metadata"]["name"])
    if current is None:
        removal.created(cluster, kind, wanted)
    else:
        cluster.store.put(kind, {**current, "spec": {**current["spec"], **wanted["spec"]}})


def available(cluster: Cluster, found: Object, name: str) -> bool:
    one = cluster.store.get(cluster.kind("deployments.apps"), found["metadata"]["namespace"], name)
    return bool(one and one.get("status", {}).get("availableReplicas") == one["spec"]["replicas"])


def autoscaler(cluster: Cluster, found: Object) -> Iterator[None]:
    """Keeps a Deployment's number of pods between its limits; nobody measures a load here, so more are never wanted."""
    yield
    spec, kind = found["spec"], cluster.kind("deployments.apps")
    current = cluster.store.get(kind, found["metadata"]["namespace"], spec["scaleTargetRef"]["name"])
    if current is None:
        return
    wanted = min(max(current["spec"]["replicas"], spec["minReplicas"]), spec["maxReplicas"])
    if wanted != current["spec"]["replicas"]:
        cluster.store.put(kind, {**current, "spec": {**current["spec"], "replicas": wanted}})
    status = {"currentReplicas": current["spec"]["replicas"], "desiredReplicas": wanted, "conditions": []}
    cluster.set_status("horizontalpodautoscalers.autoscaling", found, status)
